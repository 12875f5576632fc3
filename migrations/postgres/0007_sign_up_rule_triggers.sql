-- Every time that a rule applied to a sign-up. No part of the log: see projections/src/sign_up_rules.rs.
CREATE TABLE sign_up_rule_triggers (
    position bigserial PRIMARY KEY,
    project_id text NOT NULL,
    rule_id text NOT NULL,
    action text NOT NULL,
    triggered_at bigint NOT NULL,
    auth_method text NOT NULL,
    oauth_provider text NOT NULL,
    -- Empty if there was none; null once the person was erased.
    email text
);
CREATE INDEX sign_up_rule_triggers_counts ON sign_up_rule_triggers (project_id, rule_id, triggered_at, action);
CREATE INDEX sign_up_rule_triggers_email ON sign_up_rule_triggers (project_id, email)
    WHERE email IS NOT NULL;
