-- Telemetry: not a mutation, so not in the log; `replay` and `verify` leave it alone. Written in
-- batches, at most once a minute per session.
CREATE TABLE session_activity (
    session_id uuid PRIMARY KEY,
    last_active_at bigint NOT NULL,
    -- Where the end user was seen last: {"ip": …, "countryCode": …}.
    ip_info jsonb
);

CREATE TABLE user_activity (
    user_id uuid PRIMARY KEY,
    last_active_at bigint NOT NULL
);
