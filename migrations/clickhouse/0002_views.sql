-- What tenants see: their own rows of these twelve views, by the row policies that go with them.
-- The views run with the rights of who made them, because tenants may not read the tables.

CREATE OR REPLACE VIEW default.events
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    event_type,
    event_at,
    data,
    project_id,
    branch_id,
    user_id,
    team_id,
    refresh_token_id,
    session_replay_id,
    session_replay_segment_id,
    created_at
FROM analytics_internal.events;

CREATE OR REPLACE VIEW default.users
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    display_name,
    profile_image_url,
    primary_email,
    primary_email_verified,
    signed_up_at,
    client_metadata,
    client_read_only_metadata,
    server_metadata,
    is_anonymous,
    restricted_by_admin,
    restricted_by_admin_reason,
    restricted_by_admin_private_details
FROM analytics_internal.users FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.contact_channels
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    user_id,
    type,
    value,
    is_primary,
    is_verified,
    used_for_auth,
    created_at
FROM analytics_internal.contact_channels FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.teams
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    display_name,
    profile_image_url,
    created_at,
    client_metadata,
    client_read_only_metadata,
    server_metadata
FROM analytics_internal.teams FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.team_member_profiles
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    team_id,
    user_id,
    display_name,
    profile_image_url,
    created_at
FROM analytics_internal.team_member_profiles FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.team_permissions
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    team_id,
    user_id,
    id,
    created_at
FROM analytics_internal.team_permissions FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.project_permissions
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    user_id,
    id,
    created_at
FROM analytics_internal.project_permissions FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.team_invitations
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    team_id,
    team_display_name,
    recipient_email,
    expires_at_millis,
    created_at
FROM analytics_internal.team_invitations FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.email_outboxes
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    status,
    simple_status,
    created_with,
    email_draft_id,
    email_programmatic_call_template_id,
    theme_id,
    is_high_priority,
    is_transactional,
    subject,
    notification_category_id,
    started_rendering_at,
    rendered_at,
    render_error,
    scheduled_at,
    created_at,
    updated_at,
    started_sending_at,
    server_error,
    delivered_at,
    opened_at,
    clicked_at,
    unsubscribed_at,
    marked_as_spam_at,
    bounced_at,
    delivery_delayed_at,
    can_have_delivery_info,
    skipped_reason,
    skipped_details,
    send_retries,
    is_paused
FROM analytics_internal.email_outboxes FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.notification_preferences
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    user_id,
    notification_category_id,
    enabled
FROM analytics_internal.notification_preferences FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.refresh_tokens
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    id,
    user_id,
    created_at,
    last_used_at,
    is_impersonation,
    expires_at
FROM analytics_internal.refresh_tokens FINAL
WHERE sync_is_deleted = 0;

CREATE OR REPLACE VIEW default.connected_accounts
DEFINER = CURRENT_USER SQL SECURITY DEFINER
AS SELECT
    project_id,
    branch_id,
    user_id,
    provider,
    provider_account_id,
    created_at
FROM analytics_internal.connected_accounts FINAL
WHERE sync_is_deleted = 0;
