-- Items, products and purchases of customers: users, teams, and whatever projects call customers.

-- How much of an item a customer has. There is no number in it: what is there depends on the time,
-- which the ledger's rest of history answers for. A customer's key is its stream.
CREATE TABLE item_balances (
    customer_key uuid NOT NULL,
    item_id text NOT NULL,
    project_id text NOT NULL,
    -- `user`, `team` or `custom`.
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    ledger jsonb NOT NULL,
    PRIMARY KEY (customer_key, item_id)
);
CREATE INDEX item_balances_of_project ON item_balances (project_id, item_id);

-- Every change by hand.
CREATE TABLE item_quantity_changes (
    id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    item_id text NOT NULL,
    delta bigint NOT NULL,
    description text,
    expires_at bigint,
    created_at bigint NOT NULL
);
CREATE INDEX item_quantity_changes_of_project ON item_quantity_changes (project_id, created_at DESC, id DESC);
CREATE INDEX item_quantity_changes_of_customer ON item_quantity_changes (customer_key);

-- Subscriptions and one-time purchases, each with the product as it was then.
CREATE TABLE purchases (
    id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    is_subscription boolean NOT NULL,
    created_at bigint NOT NULL,
    purchase jsonb NOT NULL
);
CREATE INDEX purchases_of_customer ON purchases (customer_key, created_at, id);
CREATE INDEX purchases_of_project ON purchases (project_id, created_at DESC, id DESC);
