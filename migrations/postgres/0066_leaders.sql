-- Who leads, and when it was last heard of. A leader holds an advisory lock on a connection of its own;
-- one that is not heard of for a while is stopped, or cut off, and its connection is ended by whoever
-- wants to lead instead: see event_store/src/leader_lock.rs.
CREATE TABLE leaders (
    name text PRIMARY KEY,
    -- The process of Postgres that serves the leader's connection, and since when: numbers are reused.
    pid integer NOT NULL,
    backend_start timestamptz NOT NULL,
    beat_at timestamptz NOT NULL
);
