//! The ledger, and the chain over the audit log. Both only grow, and both are begun from what stands in the tables.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::Statement;

use crate::chain::{self, Link};

#[derive(DeriveMigrationName)]
pub(crate) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::run(manager, &LEDGER).await?;
        for (from, kind, debit, credit) in BOOKED {
            crate::run(manager, &[&begun(from, kind, debit, credit)]).await?;
        }
        crate::make_append_only(manager, "ledger").await?;
        crate::run(manager, &[AUDIT_CHAIN]).await?;
        begin_chain(manager).await?;
        crate::make_append_only(manager, "audit_chain").await
    }

    async fn down(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        crate::drop_append_only(manager, "audit_chain").await?;
        crate::drop_append_only(manager, "ledger").await
    }
}

/// A transfer has two entries, one above zero (debit) and one below (credit).
const LEDGER: [&str; 5] = [
    "CREATE TABLE ledger (
    transfer_id TEXT NOT NULL,
    account TEXT NOT NULL CHECK (account IN ('receivable', 'invoiced', 'provider_clearing', 'elsewhere', 'suspense',
        'given_up', 'taken_back')),
    connection TEXT NOT NULL CHECK (connection <> ''),
    case_id TEXT NOT NULL REFERENCES cases (id),
    invoice_id TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind <> ''),
    amount_minor {int} NOT NULL CHECK (amount_minor <> 0),
    currency TEXT NOT NULL CHECK (length(currency) = 3),
    reference TEXT NOT NULL CHECK (reference <> ''),
    booked_at {int} NOT NULL,
    PRIMARY KEY (transfer_id, account)
){strict}",
    "CREATE UNIQUE INDEX ledger_reference_once ON ledger (connection, reference, account)",
    "CREATE INDEX ledger_case ON ledger (case_id)",
    "CREATE INDEX ledger_contested ON ledger (reference) WHERE account = 'suspense'",
    "CREATE INDEX ledger_booked ON ledger (booked_at)",
];

const AUDIT_CHAIN: &str = "CREATE TABLE audit_chain (
    seq {int} PRIMARY KEY NOT NULL CHECK (seq > 0),
    audit_id TEXT NOT NULL UNIQUE REFERENCES audit (id),
    hash {bytes} NOT NULL CHECK (length(hash) = 32)
){strict}";

/// What was owed and how it ended, as the tables have it: from where, the kind, debit and credit.
const BOOKED: [(&str, &str, &str, &str); 9] = [
    (OWED, "owed", "receivable", "invoiced"),
    (NAMED, "payment", "provider_clearing", "receivable"),
    (UNNAMED, "payment", "suspense", "receivable"),
    (ELSEWHERE, "payment", "elsewhere", "receivable"),
    (WRITTEN_OFF, "write_off", "given_up", "receivable"),
    (ABANDONED, "abandoned", "given_up", "receivable"),
    (LATE, "late_recovery", "suspense", "given_up"),
    (REFUND, "refund", "taken_back", "suspense"),
    (DISPUTE, "dispute", "taken_back", "suspense"),
];

const OWED: &str = "SELECT id, 'owed:' || id AS reference, connection, id AS case_id, invoice_id, amount_minor, currency, \
     opened_at AS at FROM cases WHERE reversal_of IS NULL AND amount_minor > 0";
const NAMED: &str = "SELECT c.id, a.charge_id AS reference, c.connection, c.id AS case_id, c.invoice_id, \
     c.amount_minor, c.currency, c.closed_at AS at FROM cases c JOIN attempts a ON a.case_id = c.id \
     WHERE a.status = 'succeeded' AND a.charge_id IS NOT NULL AND c.reversal_of IS NULL AND c.amount_minor > 0 \
     AND c.outcome_kind = 'recovered' AND c.outcome_detail <> 'out_of_band' \
     AND a.id = (SELECT MAX(b.id) FROM attempts b WHERE b.case_id = c.id AND b.status = 'succeeded' \
     AND b.charge_id IS NOT NULL)";
const UNNAMED: &str = "SELECT c.id, 'end:' || c.id AS reference, c.connection, c.id AS case_id, c.invoice_id, \
     c.amount_minor, c.currency, c.closed_at AS at FROM cases c WHERE c.reversal_of IS NULL AND c.amount_minor > 0 \
     AND c.outcome_kind = 'recovered' AND c.outcome_detail <> 'out_of_band' \
     AND NOT EXISTS (SELECT 1 FROM attempts a WHERE a.case_id = c.id AND a.status = 'succeeded' \
     AND a.charge_id IS NOT NULL)";
const ELSEWHERE: &str = "SELECT id, 'end:' || id AS reference, connection, id AS case_id, invoice_id, amount_minor, \
     currency, closed_at AS at FROM cases WHERE reversal_of IS NULL AND amount_minor > 0 \
     AND outcome_kind = 'recovered' AND outcome_detail = 'out_of_band'";
const WRITTEN_OFF: &str = "SELECT id, 'end:' || id AS reference, connection, id AS case_id, invoice_id, amount_minor, \
     currency, closed_at AS at FROM cases WHERE reversal_of IS NULL AND amount_minor > 0 AND status <> 'recovered' \
     AND (outcome_detail = 'written_off' OR outcome_then = 'uncollectible')";
const ABANDONED: &str = "SELECT id, 'end:' || id AS reference, connection, id AS case_id, invoice_id, amount_minor, \
     currency, closed_at AS at FROM cases WHERE reversal_of IS NULL AND amount_minor > 0 \
     AND status IN ('exhausted', 'stopped') AND outcome_detail <> 'written_off' \
     AND COALESCE(outcome_then, '') <> 'uncollectible'";
const LATE: &str = "SELECT l.case_id || ':' || l.seq AS id, 'late:' || l.case_id AS reference, l.connection, l.case_id, \
     c.invoice_id, l.amount_minor, l.currency, l.booked_at AS at FROM late_money l JOIN cases c ON c.id = l.case_id \
     WHERE l.kind = 'late_recovery' AND l.amount_minor > 0";
const REFUND: &str = "SELECT l.case_id || ':' || l.seq AS id, 'refund:' || l.case_id || ':seq' || l.seq AS reference, \
     l.connection, l.case_id, c.invoice_id, l.amount_minor, l.currency, l.booked_at AS at \
     FROM late_money l JOIN cases c ON c.id = l.case_id WHERE l.kind = 'refund' AND l.amount_minor > 0";
const DISPUTE: &str = "SELECT l.case_id || ':' || l.seq AS id, 'dispute:' || l.case_id AS reference, l.connection, \
     l.case_id, c.invoice_id, l.amount_minor, l.currency, l.booked_at AS at \
     FROM late_money l JOIN cases c ON c.id = l.case_id WHERE l.kind = 'dispute' AND l.amount_minor > 0";

/// Both entries of the transfers that `from` selects.
fn begun(from: &str, kind: &str, debit: &str, credit: &str) -> String {
    let entry = |account: &str, amount: &str| {
        format!(
            "SELECT 'begun:{kind}:' || id, '{account}', connection, case_id, invoice_id, '{kind}', {amount}, currency, \
             reference, at FROM ({from}) AS begun"
        )
    };
    let (debited, credited) = (entry(debit, "amount_minor"), entry(credit, "-amount_minor"));
    format!(
        "INSERT INTO ledger (transfer_id, account, connection, case_id, invoice_id, kind, amount_minor, currency, \
         reference, booked_at) {debited} UNION ALL {credited}"
    )
}

/// Chains the entries that are there, oldest first.
async fn begin_chain(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let backend = connection.get_database_backend();
    let sql = "SELECT id, at, actor, action, object, comment FROM audit ORDER BY id";
    let rows = connection.query_all_raw(Statement::from_string(backend, sql)).await?;
    let mut last = chain::START.to_vec();
    for (seq, row) in (1_i64..).zip(rows) {
        let (id, at): (String, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let words: (String, String, String) = (
            row.try_get_by_index(2)?,
            row.try_get_by_index(3)?,
            row.try_get_by_index(4)?,
        );
        let comment: Option<String> = row.try_get_by_index(5)?;
        let link = Link {
            id: &id,
            at,
            actor: &words.0,
            action: &words.1,
            object: &words.2,
            comment: comment.as_deref(),
        };
        last = link.hash(&last).to_vec();
        let values = [seq.into(), id.clone().into(), last.clone().into()];
        let sql = "INSERT INTO audit_chain (seq, audit_id, hash) VALUES ($1, $2, $3)";
        connection
            .execute_raw(Statement::from_sql_and_values(backend, sql, values))
            .await?;
    }
    Ok(())
}
