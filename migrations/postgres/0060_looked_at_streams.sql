-- Users remember which password, which passkey and whether a second factor; older snapshots do not.
-- Without a snapshot, the stream is read from its beginning.
DELETE FROM snapshots WHERE aggregate_type = 'user';

-- What a unit of work looked at is compared in the transaction that takes effect: see
-- event_store/src/commit/hold.rs. Takes the locks in the order given, exclusive where `written`; then
-- says where each of the streams ends. One call, because each would be a round trip; a volatile
-- function, because the ends must be read after the last lock was had.
CREATE FUNCTION hold_streams(keys bigint[], written boolean[], types text[], ids text[])
RETURNS bigint[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    ends bigint[] := '{}';
    last bigint;
BEGIN
    FOR place IN 1 .. cardinality(keys) LOOP
        IF written[place] THEN
            PERFORM pg_advisory_xact_lock(keys[place]);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(keys[place]);
        END IF;
    END LOOP;
    -- Stream by stream: one query over all of them takes twice as long.
    FOR place IN 1 .. cardinality(ids) LOOP
        SELECT e.sequence INTO last FROM events e
        WHERE e.aggregate_type = types[place] AND e.aggregate_id = ids[place]
        ORDER BY e.sequence DESC LIMIT 1;
        ends := ends || coalesce(last, 0);
    END LOOP;
    RETURN ends;
END;
$$;
