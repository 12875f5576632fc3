-- Read models: projected from the log in the transaction that appends, rebuilt by `replay`,
-- compared by `verify`. Times are milliseconds since the Unix epoch, as on the wire.

CREATE TABLE projects (
    id text PRIMARY KEY,
    created_at bigint NOT NULL,
    owner_team_id uuid,
    profile jsonb NOT NULL,
    -- The override documents by level, as written.
    overrides jsonb NOT NULL
);
CREATE INDEX projects_owner ON projects (owner_team_id);

CREATE TABLE project_keys (
    id uuid PRIMARY KEY,
    project_id text NOT NULL CONSTRAINT project_keys_project REFERENCES projects,
    description text NOT NULL,
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    revoked_at bigint,
    publishable_client_key jsonb,
    secret_server_key jsonb,
    super_secret_admin_key jsonb
);
CREATE INDEX project_keys_of_project ON project_keys (project_id, created_at DESC);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    signed_up_at bigint NOT NULL,
    is_anonymous boolean NOT NULL,
    display_name text,
    profile_image_url text,
    client_metadata jsonb,
    client_read_only_metadata jsonb,
    server_metadata jsonb,
    -- The primary contact channel's fields, here as well: nearly every request wants them.
    primary_email text,
    primary_email_verified boolean NOT NULL,
    primary_email_auth_enabled boolean NOT NULL,
    password_hash text,
    otp_enabled boolean NOT NULL,
    totp_enabled boolean NOT NULL,
    oauth_accounts jsonb NOT NULL,
    selected_team_id uuid,
    restricted_by_admin boolean NOT NULL,
    restricted_by_admin_reason text,
    restricted_by_admin_private_details text,
    country_code text,
    risk_scores jsonb NOT NULL
);
CREATE INDEX users_by_sign_up ON users (project_id, signed_up_at, id);
CREATE INDEX users_by_selected_team ON users (selected_team_id) WHERE selected_team_id IS NOT NULL;

CREATE TABLE contact_channels (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    user_id uuid NOT NULL CONSTRAINT contact_channels_user REFERENCES users,
    type text NOT NULL,
    value text NOT NULL,
    is_primary boolean NOT NULL,
    is_verified boolean NOT NULL,
    used_for_auth boolean NOT NULL,
    created_at bigint NOT NULL
);
-- One user per project signs in with an address.
CREATE UNIQUE INDEX contact_channels_auth ON contact_channels (project_id, type, value)
    WHERE used_for_auth;
CREATE UNIQUE INDEX contact_channels_value ON contact_channels (user_id, type, value);

CREATE TABLE teams (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    created_at bigint NOT NULL,
    display_name text NOT NULL,
    profile_image_url text,
    client_metadata jsonb,
    client_read_only_metadata jsonb,
    server_metadata jsonb
);
CREATE INDEX teams_by_creation ON teams (project_id, created_at, id);

CREATE TABLE team_memberships (
    team_id uuid NOT NULL CONSTRAINT team_memberships_team REFERENCES teams,
    user_id uuid NOT NULL CONSTRAINT team_memberships_user REFERENCES users,
    project_id text NOT NULL,
    joined_at bigint NOT NULL,
    -- The permissions granted directly, without what they contain.
    permission_ids text[] NOT NULL,
    PRIMARY KEY (team_id, user_id)
);
CREATE INDEX team_memberships_user_teams ON team_memberships (user_id, joined_at);

CREATE TABLE project_permissions (
    user_id uuid NOT NULL CONSTRAINT project_permissions_user REFERENCES users,
    permission_id text NOT NULL,
    project_id text NOT NULL,
    PRIMARY KEY (user_id, permission_id)
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    user_id uuid NOT NULL CONSTRAINT sessions_user REFERENCES users,
    token_hash text NOT NULL CONSTRAINT sessions_token UNIQUE,
    created_at bigint NOT NULL,
    expires_at bigint,
    is_impersonation boolean NOT NULL
);
CREATE INDEX sessions_of_user ON sessions (user_id, created_at DESC);
