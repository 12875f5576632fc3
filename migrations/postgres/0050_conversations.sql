-- Conversations of dashboard users with the assistant.
CREATE TABLE ai_conversations (
    id uuid PRIMARY KEY,
    -- The project that it is about.
    project_id text NOT NULL CONSTRAINT ai_conversations_project REFERENCES projects,
    -- Whose it is: a user of the project `internal`.
    user_id uuid NOT NULL CONSTRAINT ai_conversations_user REFERENCES users,
    title text NOT NULL,
    -- [{"id": …, "role": …, "content": …}] in order.
    messages jsonb NOT NULL,
    updated_at bigint NOT NULL
);
CREATE INDEX ai_conversations_recent ON ai_conversations (user_id, project_id, updated_at DESC, id DESC);
CREATE INDEX ai_conversations_of_project ON ai_conversations (project_id);

-- Conversations of agents with users of a project.
CREATE TABLE support_conversations (
    id uuid PRIMARY KEY,
    project_id text NOT NULL,
    -- The customer; null once the account is gone, and then nothing that was said is here either.
    user_id uuid CONSTRAINT support_conversations_user REFERENCES users,
    topic text NOT NULL,
    status text NOT NULL,
    priority text NOT NULL,
    source text NOT NULL,
    assigned_to_user_id text,
    assigned_to_display_name text,
    tags text[] NOT NULL,
    -- [{"id": …, "channel_type": …, …}], oldest first.
    entry_points jsonb NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    closed_at bigint,
    first_response_at bigint,
    last_inbound_at bigint,
    last_outbound_at bigint,
    -- The latest message, for listing and searching.
    last_message_at bigint NOT NULL,
    last_message_type text NOT NULL,
    last_message_body text
);
-- Listings and searches walk along this one, so they never meet other projects' conversations.
CREATE INDEX support_conversations_recent ON support_conversations (project_id, last_message_at DESC, id DESC);
CREATE INDEX support_conversations_of_user ON support_conversations (user_id, last_message_at DESC, id DESC);

CREATE TABLE support_messages (
    id uuid PRIMARY KEY,
    conversation_id uuid NOT NULL CONSTRAINT support_messages_conversation REFERENCES support_conversations,
    project_id text NOT NULL,
    -- `message`, `internal-note` or `status-change`.
    type text NOT NULL,
    -- `user` or `agent`.
    sender_type text NOT NULL,
    -- A user of the project, or of `internal`. Null once the customer's account is gone.
    sender_id uuid,
    body text,
    metadata jsonb,
    created_at bigint NOT NULL
);
CREATE INDEX support_messages_of_conversation ON support_messages (conversation_id, created_at, id);
CREATE INDEX support_messages_of_project ON support_messages (project_id);
