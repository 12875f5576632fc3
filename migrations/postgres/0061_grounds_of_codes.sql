-- Users remember how often their password changed, and teams who left them; older snapshots do not.
-- Without a snapshot, the stream is read from its beginning.
DELETE FROM snapshots WHERE aggregate_type IN ('user', 'team');

-- Whoever uses a sign-in code voids the others that were sent to the same address. An address may be
-- longer than a B-tree takes.
CREATE INDEX verification_codes_sign_in ON verification_codes USING hash (email)
    WHERE purpose = 'sign_in' AND redeemed_at IS NULL;
