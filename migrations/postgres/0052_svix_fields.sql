-- What Svix's API knows of endpoints and messages beside what is there already.
ALTER TABLE webhook_endpoints
    -- A name that the project gave it.
    ADD COLUMN uid text,
    -- Kept for whoever wrote them; messages of ours have none.
    ADD COLUMN channels text[],
    ADD COLUMN metadata jsonb NOT NULL DEFAULT '{}',
    -- Messages per second, at most.
    ADD COLUMN rate_limit integer;
CREATE UNIQUE INDEX webhook_endpoints_uid ON webhook_endpoints (project_id, uid);

ALTER TABLE webhook_messages
    -- A name that whoever sent it gave it.
    ADD COLUMN event_id text,
    ADD COLUMN channels text[];
CREATE UNIQUE INDEX webhook_messages_event_id ON webhook_messages (project_id, event_id);
