//! Cases and what belongs to one: attempts, notifications, timeline, late money.
//!
//! Words that grow with the service (kinds of timeline lines, messages, next actions) are not listed here, since SQLite
//! cannot change a CHECK without a new table; reading them fails loudly instead.

use sea_orm_migration::prelude::*;

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &[CASES]).await?;
        crate::run(manager, &CASES_INDEXES).await?;
        crate::run(manager, &ATTEMPTS).await?;
        crate::run(manager, &NOTIFICATIONS).await?;
        crate::run(manager, &TIMELINE).await?;
        crate::make_append_only(manager, "timeline").await?;
        crate::run(manager, &LATE_MONEY).await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &["DROP TABLE late_money"]).await?;
        crate::drop_append_only(manager, "timeline").await?;
        crate::run(
            manager,
            &["DROP TABLE notifications", "DROP TABLE attempts", "DROP TABLE cases"],
        )
        .await
    }
}

/// `COALESCE(.., '')` keeps a CHECK from passing because a word is missing.
const CASES: &str = "CREATE TABLE cases (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL CHECK (connection <> ''),
    invoice_id TEXT NOT NULL CHECK (invoice_id <> ''),
    subscription_id TEXT,
    customer_id TEXT NOT NULL,
    amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    status TEXT NOT NULL CHECK (status IN ('open', 'recovered', 'exhausted', 'stopped')),
    state TEXT NOT NULL CHECK (state IN ('scheduled', 'waiting', 'charging', 'in_doubt', 'processing', 'paused',
        'needs_person', 'ending', 'closed')),
    decline_kind TEXT NOT NULL CHECK (decline_kind IN ('insufficient_funds', 'limit', 'do_not_honor', 'issuer_down',
        'expired', 'invalid_account', 'lost_stolen', 'fraud', 'not_permitted', 'authentication_required', 'revoked',
        'merchant_config')),
    decline_disposition TEXT NOT NULL CHECK (decline_disposition IN ('retry', 'fix_data', 'customer_action', 'never',
        'merchant')),
    provider_code TEXT,
    network_code TEXT,
    advice_code TEXT,
    campaign_name TEXT NOT NULL CHECK (campaign_name <> ''),
    campaign_version {int} NOT NULL CHECK (campaign_version > 0),
    collector TEXT NOT NULL CHECK (collector IN ('us', 'provider')),
    opened_at {int} NOT NULL,
    closed_at {int},
    outcome_kind TEXT,
    outcome_detail TEXT,
    outcome_then TEXT,
    next_action_at {int},
    next_action_kind TEXT,
    next_action_why TEXT,
    attempts {int} NOT NULL CHECK (attempts >= 0),
    notifications {int} NOT NULL CHECK (notifications >= 0),
    zone TEXT NOT NULL,
    contact_email TEXT,
    contact_name TEXT,
    contact_locale TEXT,
    reversal_of TEXT REFERENCES cases (id),
    warnings TEXT NOT NULL,
    memory TEXT NOT NULL,
    lease_owner TEXT,
    lease_until {int},
    fence {int} NOT NULL DEFAULT 0,
    updated_at {int} NOT NULL,
    CONSTRAINT open_until_closed CHECK ((status = 'open') = (closed_at IS NULL)
        AND (state = 'closed') = (closed_at IS NOT NULL)),
    CONSTRAINT one_outcome CHECK (CASE status
        WHEN 'open' THEN outcome_kind IS NULL AND outcome_detail IS NULL AND outcome_then IS NULL
        WHEN 'recovered' THEN COALESCE(outcome_kind, '') = 'recovered' AND outcome_then IS NULL
            AND COALESCE(outcome_detail, '') IN ('retry', 'provider_retry', 'card_update', 'customer', 'out_of_band')
        WHEN 'exhausted' THEN COALESCE(outcome_kind, '') = 'exhausted'
            AND COALESCE(outcome_detail, '') IN ('attempts_spent', 'terminal_decline')
            AND COALESCE(outcome_then, '') IN ('cancelled', 'unpaid', 'paused', 'uncollectible', 'left_open')
        ELSE COALESCE(outcome_kind, '') = 'stopped' AND outcome_then IS NULL
            AND COALESCE(outcome_detail, '') IN ('customer_cancelled', 'voided', 'disputed', 'written_off', 'staff',
                'erased')
        END),
    CONSTRAINT closed_is_never_due CHECK (closed_at IS NULL OR next_action_at IS NULL),
    CONSTRAINT next_action_whole CHECK ((next_action_at IS NULL) = (next_action_kind IS NULL)
        AND (next_action_at IS NULL) = (next_action_why IS NULL)),
    CONSTRAINT lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
){strict}";

/// The lists name a customer or an invoice without its connection; the laws name the connection first.
const CASES_INDEXES: [&str; 7] = [
    "CREATE UNIQUE INDEX cases_one_open_per_invoice ON cases (connection, invoice_id) WHERE closed_at IS NULL",
    "CREATE INDEX cases_due ON cases (next_action_at, id) WHERE closed_at IS NULL",
    "CREATE INDEX cases_invoice ON cases (invoice_id, id)",
    "CREATE INDEX cases_customer ON cases (customer_id, id)",
    "CREATE INDEX cases_subscription ON cases (subscription_id, id) WHERE subscription_id IS NOT NULL",
    "CREATE INDEX cases_status ON cases (status, id)",
    "CREATE INDEX cases_opened ON cases (opened_at)",
];

const ATTEMPTS: [&str; 4] = [
    "CREATE TABLE attempts (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    origin TEXT NOT NULL CHECK (origin IN ('us', 'provider', 'customer', 'staff')),
    \"trigger\" TEXT CHECK (\"trigger\" IN ('schedule', 'card_update', 'staff')),
    status TEXT NOT NULL CHECK (status IN ('open', 'succeeded', 'declined', 'not_sent', 'not_needed', 'not_charged',
        'mismatch', 'unresolved')),
    amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    payment_method TEXT,
    charge_id TEXT,
    decline_kind TEXT CHECK (decline_kind IN ('insufficient_funds', 'limit', 'do_not_honor', 'issuer_down', 'expired',
        'invalid_account', 'lost_stolen', 'fraud', 'not_permitted', 'authentication_required', 'revoked',
        'merchant_config')),
    decline_disposition TEXT CHECK (decline_disposition IN ('retry', 'fix_data', 'customer_action', 'never',
        'merchant')),
    provider_code TEXT,
    network_code TEXT,
    advice_code TEXT,
    started_at {int} NOT NULL,
    ended_at {int},
    CONSTRAINT open_until_ended CHECK ((status = 'open') = (ended_at IS NULL)),
    CONSTRAINT decline_whole CHECK ((decline_kind IS NULL) = (decline_disposition IS NULL))
){strict}",
    "CREATE UNIQUE INDEX attempts_one_open_per_case ON attempts (case_id) WHERE status = 'open'",
    "CREATE UNIQUE INDEX attempts_charge ON attempts (connection, charge_id) WHERE charge_id IS NOT NULL",
    "CREATE INDEX attempts_case ON attempts (case_id, id)",
];

const NOTIFICATIONS: [&str; 4] = [
    "CREATE TABLE notifications (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    message TEXT NOT NULL CHECK (message <> ''),
    step TEXT NOT NULL CHECK (step <> ''),
    status TEXT NOT NULL CHECK (status IN ('pending', 'sending', 'sent', 'kept', 'failed', 'unknown', 'superseded',
        'suppressed')),
    recipient TEXT,
    locale TEXT,
    subject TEXT,
    body_text TEXT,
    body_html TEXT,
    queued_at {int} NOT NULL,
    next_at {int} NOT NULL,
    ended_at {int},
    tries {int} NOT NULL DEFAULT 0 CHECK (tries >= 0),
    reason TEXT,
    lease_owner TEXT,
    lease_until {int},
    CONSTRAINT live_until_ended CHECK ((status IN ('pending', 'sending')) = (ended_at IS NULL)),
    CONSTRAINT sending_has_a_lease CHECK (status <> 'sending' OR lease_until IS NOT NULL),
    CONSTRAINT lease_whole CHECK ((lease_owner IS NULL) = (lease_until IS NULL)),
    CONSTRAINT each_step_once UNIQUE (case_id, step)
){strict}",
    "CREATE INDEX notifications_due ON notifications (next_at, id) WHERE status = 'pending'",
    "CREATE INDEX notifications_sending ON notifications (lease_until) WHERE status = 'sending'",
    "CREATE INDEX notifications_case ON notifications (case_id, id)",
];

const TIMELINE: [&str; 2] = [
    "CREATE TABLE timeline (
    id TEXT PRIMARY KEY NOT NULL,
    connection TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    seq {int} NOT NULL CHECK (seq > 0),
    at {int} NOT NULL,
    actor TEXT NOT NULL CHECK (actor <> ''),
    kind TEXT NOT NULL CHECK (kind <> ''),
    text TEXT NOT NULL,
    data TEXT NOT NULL
){strict}",
    "CREATE UNIQUE INDEX timeline_case ON timeline (case_id, seq)",
];

const LATE_MONEY: [&str; 2] = [
    "CREATE TABLE late_money (
    connection TEXT NOT NULL,
    case_id TEXT NOT NULL REFERENCES cases (id),
    seq {int} NOT NULL CHECK (seq > 0),
    kind TEXT NOT NULL CHECK (kind IN ('late_recovery', 'refund', 'dispute')),
    amount_minor {int} NOT NULL CHECK (amount_minor >= 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    booked_at {int} NOT NULL,
    PRIMARY KEY (case_id, seq)
){strict}",
    "CREATE INDEX late_money_booked ON late_money (booked_at)",
];
