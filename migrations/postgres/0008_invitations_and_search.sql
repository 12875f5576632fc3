-- Invitations are verification codes; these find them by team and by recipient.
CREATE INDEX verification_codes_team
    ON verification_codes (project_id, (data ->> 'team_id'), issued_at, id)
    WHERE purpose = 'team_invitation';
CREATE INDEX verification_codes_recipient
    ON verification_codes (project_id, email)
    WHERE purpose = 'team_invitation';

-- For searching; see `users.rs`. The extensions are trusted: who may create tables may create them.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;
CREATE INDEX users_search ON users USING gin (project_id, display_name gin_trgm_ops);
CREATE INDEX contact_channels_search ON contact_channels USING gin (project_id, value gin_trgm_ops);
