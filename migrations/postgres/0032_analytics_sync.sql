-- Versions of rows in the analytics store. A version is drawn before the row is read that it is put
-- on, so of two versions of a row the higher one is of a state that is not older, whichever process
-- wrote it and in whatever order they arrived. Positions of events would not do: an event may be
-- passed on later than one of a higher position. Each draw is for two: deletions, then rows.
CREATE SEQUENCE analytics_versions INCREMENT BY 2;

-- Deleted users, teams and projects whose traces are still to be removed from the analytics store.
CREATE TABLE analytics_erasures (
    -- Where the deletion stands in the log.
    transaction xid8 NOT NULL,
    position bigint PRIMARY KEY,
    project_id text NOT NULL,
    -- `user`, `team` or `project`.
    kind text NOT NULL,
    subject text NOT NULL,
    -- The SHA-256 digests, in hexadecimal, of the addresses that a user had.
    email_digests text[] NOT NULL,
    -- Where the telemetry spool ended then: what is in it up to there may be the subject's.
    spooled bigint NOT NULL,
    noted_at timestamptz NOT NULL DEFAULT now()
);

-- Which sessions were used lately is looked up every few seconds.
CREATE INDEX session_activity_recent ON session_activity (last_active_at);
