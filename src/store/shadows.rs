//! What shadow versions of campaigns would have planned, beside what was planned.

use jiff::Timestamp;
use sea_orm::{ConnectionTrait, QueryResult, Statement};
use serde::Serialize;

use super::bulk::{Column as Field, Kind};
use super::row::{Row, to_json};
use super::{StoreError, Tx, bulk};
use crate::domain::case::{CampaignRef, Case};
use crate::domain::decide::shadow::{Plan, Shadowed};
use crate::domain::ids::CaseId;

/// Two plans of one case at one instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShadowRow {
    /// The case.
    pub case_id: CaseId,
    /// When both were made.
    pub at: Timestamp,
    /// The version that counted.
    pub live_version: u32,
    /// Its plan.
    pub live: Plan,
    /// The shadow's.
    pub shadow: Plan,
}

const COLUMNS: [Field; 7] = [
    ("case_id", Kind::Text),
    ("shadow_version", Kind::Int),
    ("at", Kind::Int),
    ("campaign_name", Kind::Text),
    ("live_version", Kind::Int),
    ("live", Kind::Text),
    ("shadow", Kind::Text),
];

#[derive(Serialize)]
struct Record<'a> {
    case_id: &'a CaseId,
    shadow_version: u32,
    at: i64,
    campaign_name: &'a str,
    live_version: u32,
    live: String,
    shadow: String,
}

/// Keeps plans. Of several at one instant of a case, the first stays.
pub async fn keep(tx: &Tx, shadowed: &[(&Case, &Shadowed, Timestamp)]) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(shadowed.len());
    for (case, both, at) in shadowed {
        rows.push(Record {
            case_id: &case.id,
            shadow_version: both.shadow.version,
            at: at.as_millisecond(),
            campaign_name: &both.shadow.name,
            live_version: case.campaign.version,
            live: to_json(&both.live)?,
            shadow: to_json(&both.other)?,
        });
    }
    let sql = format!(
        "INSERT INTO shadow_plans ({}) SELECT {} FROM {} WHERE true ON CONFLICT DO NOTHING",
        bulk::names(&COLUMNS),
        bulk::values(&COLUMNS),
        tx.new_rows(&COLUMNS)
    );
    tx.write_rows(&sql, &COLUMNS, &rows).await?;
    Ok(())
}

/// At most `limit` plans of a shadow, the newest first.
pub async fn newest<C: ConnectionTrait>(
    conn: &C,
    shadow: &CampaignRef,
    limit: u64,
) -> Result<Vec<ShadowRow>, StoreError> {
    let sql = "SELECT case_id, at, live_version, live, shadow FROM shadow_plans WHERE campaign_name = $1 AND shadow_version = $2 \
               ORDER BY at DESC LIMIT $3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = [
        shadow.name.as_str().into(),
        i64::from(shadow.version).into(),
        limit.into(),
    ];
    let statement = Statement::from_sql_and_values(conn.get_database_backend(), sql, values);
    conn.query_all_raw(statement).await?.iter().map(decode).collect()
}

fn decode(found: &QueryResult) -> Result<ShadowRow, StoreError> {
    let id: String = found.try_get("", "case_id")?;
    let row = Row {
        table: "shadow_plans",
        id: &id,
    };
    Ok(ShadowRow {
        at: row.instant("at", found.try_get("", "at")?)?,
        live_version: row.count("live_version", found.try_get("", "live_version")?)?,
        live: row.json("live", &found.try_get::<String>("", "live")?)?,
        shadow: row.json("shadow", &found.try_get::<String>("", "shadow")?)?,
        case_id: id.clone().into(),
    })
}
