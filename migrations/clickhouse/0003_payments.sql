-- What customers have and bought. For the operator: tenants have no view of these.

-- Quantities change by themselves, as grants expire and come round: `quantity` is what there was
-- at `as_of`, the last instant at which an event told something of it.
CREATE TABLE IF NOT EXISTS analytics_internal.item_balances
(
    project_id String,
    branch_id String,
    customer_key UUID,
    customer_type LowCardinality(String),
    customer_id String,
    item_id String,
    quantity Decimal(38, 9),
    as_of DateTime64(3, 'UTC'),
    sync_sequence_id Int64,
    sync_is_deleted UInt8,
    sync_created_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(sync_sequence_id)
ORDER BY (project_id, branch_id, customer_key, item_id);

CREATE TABLE IF NOT EXISTS analytics_internal.subscriptions
(
    project_id String,
    branch_id String,
    id UUID,
    customer_key UUID,
    customer_type LowCardinality(String),
    customer_id String,
    product_id Nullable(String),
    price_id Nullable(String),
    quantity Int64,
    status LowCardinality(String),
    current_period_start DateTime64(3, 'UTC'),
    current_period_end DateTime64(3, 'UTC'),
    cancel_at_period_end UInt8,
    canceled_at Nullable(DateTime64(3, 'UTC')),
    ended_at Nullable(DateTime64(3, 'UTC')),
    creation_source LowCardinality(String),
    created_at DateTime64(3, 'UTC'),
    sync_sequence_id Int64,
    sync_is_deleted UInt8,
    sync_created_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(sync_sequence_id)
PARTITION BY toYYYYMM(created_at)
ORDER BY (project_id, branch_id, id);

CREATE TABLE IF NOT EXISTS analytics_internal.transactions
(
    project_id String,
    branch_id String,
    id UUID,
    type LowCardinality(String),
    customer_key UUID,
    customer_type LowCardinality(String),
    customer_id String,
    created_at DateTime64(3, 'UTC'),
    test_mode UInt8,
    amount_usd_cents Nullable(Int64),
    product_id Nullable(String),
    item_id Nullable(String),
    quantity Int64,
    sync_sequence_id Int64,
    sync_is_deleted UInt8,
    sync_created_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplacingMergeTree(sync_sequence_id)
PARTITION BY toYYYYMM(created_at)
ORDER BY (project_id, branch_id, id);
