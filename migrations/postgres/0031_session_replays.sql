-- Recordings of what users saw. Telemetry, and so no part of the log; see
-- projections/src/session_replays/. There are no foreign keys into read models, which are rebuilt.
CREATE TABLE session_replays (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    user_id uuid NOT NULL,
    session_id uuid NOT NULL,
    -- By the browser's clock.
    started_at bigint NOT NULL,
    last_event_at bigint NOT NULL,
    -- By ours.
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX session_replays_of_project ON session_replays (project_id, last_event_at DESC, id DESC);
CREATE INDEX session_replays_of_session ON session_replays (session_id, updated_at DESC);
CREATE INDEX session_replays_of_user ON session_replays (user_id);

CREATE TABLE session_replay_chunks (
    id uuid PRIMARY KEY,
    replay_id uuid NOT NULL CONSTRAINT session_replay_chunks_replay REFERENCES session_replays ON DELETE CASCADE,
    batch_id text NOT NULL,
    segment_id text NOT NULL,
    browser_session_id text NOT NULL,
    object_key text NOT NULL,
    event_count integer NOT NULL,
    -- Of the object, compressed.
    byte_length integer NOT NULL,
    first_event_at bigint NOT NULL,
    last_event_at bigint NOT NULL,
    created_at bigint NOT NULL,
    CONSTRAINT session_replay_chunks_batch UNIQUE (replay_id, batch_id)
);
CREATE INDEX session_replay_chunks_in_order ON session_replay_chunks (replay_id, first_event_at, id);

-- Files that nobody but the server reads.
CREATE TABLE private_objects (
    key text PRIMARY KEY,
    content_type text NOT NULL,
    content_encoding text,
    body bytea NOT NULL,
    created_at bigint NOT NULL
);
-- What is compressed already is not compressed again.
ALTER TABLE private_objects ALTER COLUMN body SET STORAGE EXTERNAL;

-- Who was seen last: see projections/src/overview/accounts.rs.
CREATE INDEX user_activity_latest ON user_activity (last_active_at DESC);
