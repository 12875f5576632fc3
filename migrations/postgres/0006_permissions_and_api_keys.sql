-- Permissions, API keys of users and teams, notification preferences and member profiles.
--
-- A database with projects in it needs `muniment replay permission_closure` once after this: what a
-- permission contains is rendered from the project's settings, which SQL cannot do.

-- What each permission amounts to: itself and all it contains, directly or not. So a check reads
-- this one table, however deep the definitions are nested.
CREATE TABLE permission_closure (
    project_id text NOT NULL CONSTRAINT permission_closure_project REFERENCES projects,
    permission_id text NOT NULL,
    contained_id text NOT NULL,
    -- `team` or `project`, the same for both.
    scope text NOT NULL,
    -- What a grant amounts to.
    PRIMARY KEY (project_id, permission_id, contained_id)
);
-- What amounts to a permission.
CREATE INDEX permission_closure_grantors
    ON permission_closure (project_id, contained_id, permission_id) INCLUDE (scope);

-- How a member appears in the team, where that differs from the user's own profile.
ALTER TABLE team_memberships ADD COLUMN display_name text, ADD COLUMN profile_image_url text;
CREATE INDEX team_memberships_of_project ON team_memberships (project_id, team_id, user_id);
CREATE INDEX project_permissions_of_project ON project_permissions (project_id, permission_id, user_id);

CREATE TABLE api_keys (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    -- The owner: one of the two.
    user_id uuid CONSTRAINT api_keys_user REFERENCES users,
    team_id uuid CONSTRAINT api_keys_team REFERENCES teams,
    -- `secret` or `public`.
    kind text NOT NULL,
    description text NOT NULL,
    secret_hash text NOT NULL CONSTRAINT api_keys_secret UNIQUE,
    last_four text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint,
    revoked_at bigint
);
CREATE INDEX api_keys_of_user ON api_keys (user_id, created_at DESC) WHERE user_id IS NOT NULL;
CREATE INDEX api_keys_of_team ON api_keys (team_id, created_at DESC) WHERE team_id IS NOT NULL;

-- What users said; who said nothing has the category's default.
CREATE TABLE notification_preferences (
    user_id uuid NOT NULL CONSTRAINT notification_preferences_user REFERENCES users,
    category_id uuid NOT NULL,
    project_id text NOT NULL,
    is_enabled boolean NOT NULL,
    PRIMARY KEY (user_id, category_id)
);

-- Teams remember the permissions of their members now; older snapshots do not have them. Without
-- a snapshot, the stream is read from its beginning.
DELETE FROM snapshots WHERE aggregate_type = 'team';
