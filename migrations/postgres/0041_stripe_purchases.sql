-- Purchases, by kind: subscriptions come round, one-time purchases do not.

-- What a payment provider knows of is found by the id it has there. (`subscriptions` are cursors of
-- the log.)
CREATE TABLE customer_subscriptions (
    id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    created_at bigint NOT NULL,
    stripe_subscription_id text,
    -- Stripe's names: `active`, `trialing`, `canceled`, `paused`, `incomplete`,
    -- `incomplete_expired`, `past_due`, `unpaid`.
    status text NOT NULL,
    -- Everything, with the product as it was then.
    purchase jsonb NOT NULL
);
CREATE INDEX customer_subscriptions_of_customer ON customer_subscriptions (customer_key, created_at, id);
CREATE INDEX customer_subscriptions_of_project ON customer_subscriptions (project_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX customer_subscriptions_stripe ON customer_subscriptions (project_id, stripe_subscription_id);

CREATE TABLE one_time_purchases (
    id uuid PRIMARY KEY,
    customer_key uuid NOT NULL,
    project_id text NOT NULL,
    customer_type text NOT NULL,
    customer_id text NOT NULL,
    created_at bigint NOT NULL,
    stripe_payment_intent_id text,
    purchase jsonb NOT NULL
);
CREATE INDEX one_time_purchases_of_customer ON one_time_purchases (customer_key, created_at, id);
CREATE INDEX one_time_purchases_of_project ON one_time_purchases (project_id, created_at DESC, id DESC);
CREATE UNIQUE INDEX one_time_purchases_stripe ON one_time_purchases (project_id, stripe_payment_intent_id);

INSERT INTO customer_subscriptions
SELECT id, customer_key, project_id, customer_type, customer_id, created_at, NULL,
       purchase -> 'subscription' ->> 'status',
       CASE WHEN purchase -> 'subscription' ->> 'status' = 'canceled'
            THEN jsonb_set(purchase, '{subscription,cancel_at_period_end}', 'true')
            ELSE purchase END
FROM purchases WHERE is_subscription;
INSERT INTO one_time_purchases
SELECT id, customer_key, project_id, customer_type, customer_id, created_at, NULL, purchase
FROM purchases WHERE NOT is_subscription;
DROP TABLE purchases;
