-- A destroyed key leaves a mark in its place, so that none is ever made for that subject again.
ALTER TABLE subject_keys
    ALTER COLUMN wrapped_key DROP NOT NULL,
    ADD COLUMN destroyed_at timestamptz,
    ADD CONSTRAINT subject_keys_destroyed CHECK ((wrapped_key IS NULL) = (destroyed_at IS NOT NULL));

-- Whose key is gone already, or was made anew by what came after the deletion: earlier versions did
-- that. What was sealed under such a second key is erased with it, as it should have been.
INSERT INTO subject_keys (subject, destroyed_at)
SELECT DISTINCT e.aggregate_id, now()
FROM events e JOIN subscriptions s ON s.name = 'erasure'
WHERE e.event_type IN ('UserDeleted', 'TeamDeleted', 'ProjectDeleted')
  AND (e.transaction, e.position) <= (s.transaction, s.position)
ON CONFLICT (subject) DO UPDATE SET wrapped_key = NULL, destroyed_at = now();
