-- The event log: what happened, in order, for good. Rows are never updated or deleted.
CREATE TABLE events (
    -- Order of the append within its transaction; unique, with gaps where appends rolled back.
    position bigserial NOT NULL,
    -- The appending transaction. Readers follow (transaction, position) up to the oldest running
    -- transaction, so that an append that commits late is never skipped.
    transaction xid8 NOT NULL DEFAULT pg_current_xact_id(),
    project_id text NOT NULL,
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    event_type text NOT NULL,
    event_version text NOT NULL,
    -- The field `personal`, where there is one, is sealed under the subject's key.
    payload jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    -- Two writers that decided on the same state collide here: the optimistic check.
    CONSTRAINT events_sequence PRIMARY KEY (aggregate_type, aggregate_id, sequence)
);
CREATE UNIQUE INDEX events_order ON events (transaction, position);
CREATE INDEX events_project ON events (project_id, position);
-- Events on other streams that are about a user: sessions, memberships. For the history.
CREATE INDEX events_about_user ON events ((payload ->> 'user_id')) 
    WHERE payload ->> 'user_id' IS NOT NULL;

-- Aggregates' states after a number of events, so that long streams load fast. Sealed.
CREATE TABLE snapshots (
    aggregate_type text NOT NULL,
    aggregate_id text NOT NULL,
    last_sequence bigint NOT NULL CHECK (last_sequence >= 0),
    current_snapshot bigint NOT NULL CHECK (current_snapshot >= 0),
    payload jsonb NOT NULL,
    PRIMARY KEY (aggregate_type, aggregate_id)
);

-- One data key per subject (a user, a team, a project), wrapped by a key that derives from the
-- server secret. Deleting a row makes the subject's personal data unreadable, in every copy.
CREATE TABLE subject_keys (
    subject text PRIMARY KEY,
    wrapped_key bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- How far each subscriber has followed the log.
CREATE TABLE subscriptions (
    name text PRIMARY KEY,
    transaction xid8 NOT NULL DEFAULT '0',
    position bigint NOT NULL DEFAULT 0,
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- Events that a subscriber could not take, however often it tried.
CREATE TABLE dead_letters (
    subscription text NOT NULL,
    position bigint NOT NULL,
    error text NOT NULL,
    attempts integer NOT NULL,
    recorded_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (subscription, position)
);

-- Sink of the `tally` subscriber: how often each thing happened, per project and UTC day.
CREATE TABLE event_tally (
    project_id text NOT NULL,
    day date NOT NULL,
    event_type text NOT NULL,
    count bigint NOT NULL,
    PRIMARY KEY (project_id, day, event_type)
);
