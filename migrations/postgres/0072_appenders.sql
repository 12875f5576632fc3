-- Transactions of this database that append to the log at the moment, by their 32-bit ids. Readers wait
-- for these, and for no other transaction of the cluster. Whoever appends takes the first of the two
-- locks before the transaction has an id: see event_store/src/commit/hold.rs. What is appended by hand,
-- in one statement, takes the second before.
CREATE VIEW log_appenders AS
WITH locks AS MATERIALIZED (SELECT * FROM pg_locks WHERE granted)
SELECT own.transactionid AS transaction, own.pid
FROM locks own
WHERE own.locktype = 'transactionid' AND own.mode = 'ExclusiveLock'
  AND own.virtualtransaction IN (
      SELECT l.virtualtransaction FROM locks l
      WHERE l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND (l.locktype = 'advisory' AND l.objsubid = 1
                 AND l.classid = x'6d756e69'::integer::oid AND l.objid = x'6d656e74'::integer::oid
             OR l.locktype = 'relation' AND l.relation = 'public.events'::regclass
                 AND l.mode = 'RowExclusiveLock'));
