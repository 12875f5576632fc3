-- Subscriptions at Stripe of users and teams that were deleted: they are cancelled there, however often
-- that has to be tried. Filled by a subscription to the log, so it is no read model.
CREATE TABLE stripe_cancellations (
    stripe_subscription_id text PRIMARY KEY,
    project_id text NOT NULL,
    -- The project's account at Stripe.
    account_id text NOT NULL,
    requested_at bigint NOT NULL,
    due_at bigint NOT NULL,
    failures integer NOT NULL DEFAULT 0,
    last_error text
);
CREATE INDEX stripe_cancellations_due ON stripe_cancellations (due_at);
