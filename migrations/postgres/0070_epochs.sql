-- Transaction ids belong to a cluster of Postgres and do not travel with a dump: another cluster
-- counts from elsewhere. So the log is ordered by (epoch, transaction, position). An epoch is a stay
-- of the log in one cluster; see event_store/src/epoch.rs, which begins a new one where the ids of the
-- present cluster would contradict the order.
CREATE TABLE log_epochs (
    epoch integer PRIMARY KEY CHECK (epoch > 0),
    -- The cluster's `pg_control_system().system_identifier`; null as long as nobody could ask for it.
    system_identifier bigint,
    -- The transaction that began the epoch: its cluster has passed this id.
    first_transaction xid8 NOT NULL,
    -- Why it began, for people.
    reason text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO log_epochs (epoch, first_transaction, reason)
VALUES (1, '0', 'everything before there were epochs, and after');

-- The epoch of an append. Read in the database by the statement that appends, which waits for the
-- lock of whoever begins a new epoch: a process that has not heard of it cannot append to the old one.
CREATE FUNCTION log_epoch() RETURNS integer LANGUAGE sql STABLE AS
    'SELECT max(epoch) FROM public.log_epochs';

-- A constant default first: existing rows get it without being rewritten.
ALTER TABLE events ADD COLUMN epoch integer NOT NULL DEFAULT 1;
ALTER TABLE events ALTER COLUMN epoch SET DEFAULT log_epoch();
DROP INDEX events_order;
CREATE UNIQUE INDEX events_order ON events (epoch, transaction, position);

-- A cursor stands in the epoch of the last event that was seen; a new one before all.
ALTER TABLE subscriptions ADD COLUMN epoch integer NOT NULL DEFAULT 1;
ALTER TABLE subscriptions ALTER COLUMN epoch SET DEFAULT 0;

ALTER TABLE analytics_erasures ADD COLUMN epoch integer NOT NULL DEFAULT 1;
ALTER TABLE analytics_erasures ALTER COLUMN epoch DROP DEFAULT;
