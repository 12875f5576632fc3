-- What a payment provider tells of payments, and what is kept to understand it.

CREATE TABLE subscription_invoices (
    id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    subscription_id uuid NOT NULL,
    stripe_subscription_id text NOT NULL,
    stripe_invoice_id text NOT NULL,
    -- Whether it is the subscription's first.
    is_creation_invoice boolean NOT NULL,
    -- Stripe's names: `draft`, `open`, `paid`, `uncollectible`, `void`.
    status text,
    -- In cents.
    amount_total bigint,
    hosted_invoice_url text,
    created_at bigint NOT NULL
);
CREATE INDEX subscription_invoices_of_customer ON subscription_invoices (customer_key, created_at DESC, id DESC);
CREATE INDEX subscription_invoices_of_project ON subscription_invoices (project_id, created_at DESC, id DESC);
CREATE INDEX subscription_invoices_of_subscription ON subscription_invoices (subscription_id);
CREATE UNIQUE INDEX subscription_invoices_stripe ON subscription_invoices (project_id, stripe_invoice_id);

-- One per purchase, at most.
CREATE TABLE refunds (
    purchase_id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    -- `subscription` or `one-time-purchase`.
    source text NOT NULL,
    -- `[{"entry_index", "quantity"}]`
    revocations jsonb NOT NULL,
    -- In cents.
    amount bigint NOT NULL,
    refunded_at bigint NOT NULL
);
CREATE INDEX refunds_of_customer ON refunds (customer_key);
CREATE INDEX refunds_of_project ON refunds (project_id, refunded_at DESC);

-- Products under names that follow from what they say, so that the provider's metadata can point at
-- them. They belong to nobody in particular.
CREATE TABLE product_versions (
    project_id text NOT NULL,
    version_id text NOT NULL,
    product_id text,
    product jsonb NOT NULL,
    PRIMARY KEY (project_id, version_id)
);
