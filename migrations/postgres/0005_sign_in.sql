-- Codes, passkeys, command-line logins and outgoing mail. Read models, like those of 0002.

ALTER TABLE users ADD COLUMN passkey_enabled boolean NOT NULL DEFAULT false;

-- One per user. The credential is what `webauthn-rs` needs to check the next signature.
CREATE TABLE passkeys (
    user_id uuid PRIMARY KEY CONSTRAINT passkeys_user REFERENCES users,
    project_id text NOT NULL,
    credential_id text NOT NULL,
    credential jsonb NOT NULL,
    CONSTRAINT passkeys_credential UNIQUE (project_id, credential_id)
);

-- Codes themselves are never stored, only their hashes. A tail is a code without its first six
-- characters; see `CodeIssued::tail_hash`.
CREATE TABLE verification_codes (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    purpose text NOT NULL,
    code_hash text NOT NULL,
    tail_hash text NOT NULL,
    issued_at bigint NOT NULL,
    expires_at bigint NOT NULL,
    redeemed_at bigint,
    attempts integer NOT NULL,
    -- The user whose data this is, if it is an existing user's.
    subject uuid,
    email text,
    redirect_url text,
    data jsonb NOT NULL,
    CONSTRAINT verification_codes_code UNIQUE (project_id, code_hash)
);
CREATE INDEX verification_codes_tail ON verification_codes (project_id, tail_hash);
CREATE INDEX verification_codes_expiry ON verification_codes (expires_at);
CREATE INDEX verification_codes_subject ON verification_codes (subject) WHERE subject IS NOT NULL;

CREATE TABLE cli_logins (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    polling_hash text NOT NULL CONSTRAINT cli_logins_polling UNIQUE,
    login_hash text NOT NULL CONSTRAINT cli_logins_login UNIQUE,
    started_at bigint NOT NULL,
    expires_at bigint NOT NULL
);

-- What is to be sent is in the log, sealed; this is the queue.
CREATE TABLE outgoing_emails (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    template text NOT NULL,
    subject uuid,
    -- pending, sent, failed
    status text NOT NULL,
    requested_at bigint NOT NULL,
    -- When to try (again); null once it was sent or given up.
    next_attempt_at bigint,
    finished_at bigint,
    failures integer NOT NULL,
    last_failure text
);
CREATE INDEX outgoing_emails_due ON outgoing_emails (next_attempt_at)
    WHERE next_attempt_at IS NOT NULL;
CREATE INDEX outgoing_emails_of_project ON outgoing_emails (project_id, requested_at DESC);
