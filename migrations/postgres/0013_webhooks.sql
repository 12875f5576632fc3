-- Webhooks: where they go, what is sent, and how that went. Endpoints are settings of the delivery
-- service, messages and attempts its work: none of it is projected from the log, so `replay` and
-- `verify` leave it alone. What messages say is made from the log.
CREATE TABLE webhook_endpoints (
    id text PRIMARY KEY,
    project_id text NOT NULL,
    url text NOT NULL,
    description text NOT NULL,
    is_disabled boolean NOT NULL,
    -- The event types wanted; all, if null.
    filter_types text[],
    -- Headers sent along: {"name": "value"}.
    headers jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    -- How it has been failing since the last success; see src/webhooks/health.rs.
    first_failure_at bigint,
    failures integer NOT NULL DEFAULT 0,
    failing_since bigint
);
CREATE INDEX webhook_endpoints_project ON webhook_endpoints (project_id, created_at, id);

-- Signing secrets, sealed under the project's key. More than one while a secret is rotated out.
CREATE TABLE webhook_secrets (
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    ordinal bigserial,
    sealed bytea NOT NULL,
    -- When it stops to be used; never, if null.
    expires_at bigint,
    PRIMARY KEY (endpoint_id, ordinal)
);

CREATE TABLE webhook_messages (
    -- Made from the event's place in the log: the same event never becomes two messages.
    id text PRIMARY KEY,
    project_id text NOT NULL,
    event_type text NOT NULL,
    -- The user, team or endpoint that it is about.
    subject text NOT NULL,
    -- The body, as it is signed and sent, every time byte for byte. Null once its subject is erased.
    content text,
    created_at bigint NOT NULL
);
CREATE INDEX webhook_messages_project ON webhook_messages (project_id, created_at, id);
CREATE INDEX webhook_messages_subject ON webhook_messages (subject);
CREATE INDEX webhook_messages_age ON webhook_messages (created_at);

-- One message on its way to one endpoint.
CREATE TABLE webhook_deliveries (
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    message_id text NOT NULL REFERENCES webhook_messages ON DELETE CASCADE,
    status text NOT NULL CHECK (status IN ('pending', 'success', 'fail')),
    -- Attempts that failed on schedule.
    failures integer NOT NULL DEFAULT 0,
    -- When it is tried next; null if it is not.
    due_at bigint,
    -- Whether the next attempt is one that somebody asked for.
    is_manual boolean NOT NULL DEFAULT false,
    PRIMARY KEY (endpoint_id, message_id)
);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX webhook_deliveries_message ON webhook_deliveries (message_id);

CREATE TABLE webhook_attempts (
    id text PRIMARY KEY,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    message_id text NOT NULL REFERENCES webhook_messages ON DELETE CASCADE,
    url text NOT NULL,
    status text NOT NULL CHECK (status IN ('success', 'fail')),
    -- 0 if there was no response.
    response_status_code integer NOT NULL,
    -- The beginning of the response's body, or why there was none.
    response text NOT NULL,
    duration_millis bigint NOT NULL,
    is_manual boolean NOT NULL,
    created_at bigint NOT NULL
);
CREATE INDEX webhook_attempts_endpoint ON webhook_attempts (endpoint_id, created_at, id);
CREATE INDEX webhook_attempts_message ON webhook_attempts (message_id, created_at, id);

-- Stretches of the past that somebody wants sent to an endpoint, and how far that is.
CREATE TABLE webhook_replays (
    id bigserial PRIMARY KEY,
    endpoint_id text NOT NULL REFERENCES webhook_endpoints ON DELETE CASCADE,
    since bigint NOT NULL,
    until bigint NOT NULL,
    position bigint NOT NULL DEFAULT 0
);

-- Messages that are on their way to a Svix server, which then does all of the above.
CREATE TABLE webhook_submissions (
    message_id text PRIMARY KEY,
    project_id text NOT NULL,
    event_type text NOT NULL,
    content text NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    due_at bigint NOT NULL
);
CREATE INDEX webhook_submissions_due ON webhook_submissions (due_at);

-- What happened before there were webhooks is not announced afterwards.
INSERT INTO subscriptions (name, transaction, position)
SELECT 'webhooks', transaction, position FROM events ORDER BY transaction DESC, position DESC LIMIT 1;
