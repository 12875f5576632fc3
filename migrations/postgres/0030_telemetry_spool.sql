-- Rows of the analytics store's table `events` that are on their way there. Telemetry, and so no part
-- of the log; see projections/src/telemetry/spool.rs.
CREATE TABLE telemetry_spool (
    position bigserial PRIMARY KEY,
    event_type text NOT NULL,
    event_at bigint NOT NULL,
    -- JSON as text: it is passed on as it came, and may hold the NUL that `jsonb` refuses.
    data text NOT NULL,
    project_id text NOT NULL,
    user_id uuid,
    session_id uuid,
    session_replay_id uuid,
    session_replay_segment_id text,
    created_at bigint NOT NULL
);

-- What is inserted together, decided before it is inserted: the batch's id is the token by which
-- ClickHouse recognises a repetition.
CREATE TABLE telemetry_batches (
    number bigserial PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    positions bigint[] NOT NULL
);

-- Rows that the analytics store refused for what is in them, kept for the operator.
CREATE TABLE telemetry_refused (
    LIKE telemetry_spool,
    refusal text NOT NULL,
    PRIMARY KEY (position)
);
CREATE INDEX telemetry_refused_of_project ON telemetry_refused (project_id);
