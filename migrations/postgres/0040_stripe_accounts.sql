-- The project's account at Stripe, once payments are set up.
ALTER TABLE projects ADD COLUMN stripe_account_id text;
