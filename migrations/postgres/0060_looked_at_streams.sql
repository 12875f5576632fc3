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
BEGIN
    FOR place IN 1 .. cardinality(keys) LOOP
        IF written[place] THEN
            PERFORM pg_advisory_xact_lock(keys[place]);
        ELSE
            PERFORM pg_advisory_xact_lock_shared(keys[place]);
        END IF;
    END LOOP;
    RETURN ARRAY(
        SELECT coalesce((SELECT max(e.sequence) FROM events e
                         WHERE e.aggregate_type = seen.type AND e.aggregate_id = seen.id), 0)
        FROM unnest(types, ids) WITH ORDINALITY AS seen (type, id, place)
        ORDER BY seen.place
    );
END;
$$;
