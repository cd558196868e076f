//! How messages end, and what is heard of them afterwards.

use metrics::counter;
use serde_json::{Value, json};

use super::{Done, ENGINE, Request, line};
use crate::domain::command::{Entry, EntryKind};
use crate::engine::{Inner, desk};
use crate::store::StoreError;
use crate::store::changes::{EndsFrom, NoticeEnd};
use crate::store::notifications::{NotificationRow, NotificationStatus};
use crate::telemetry::metric;

/// Writes how a message ended, with its line in the timeline; nothing where that is no news.
pub async fn end_notice(
    inner: &Inner,
    row: &NotificationRow,
    status: NotificationStatus,
    reason: Option<&str>,
) -> Result<(), StoreError> {
    let text = format!("The message ended: {status}.");
    write_end(inner, row, (status, reason), EndsFrom::Queue, (text, Value::Null)).await
}

/// Marks `unknown` a message whose sender went away while it was sending: it may have left, so it is not sent again.
pub async fn lose_notice(inner: &Inner, row: &NotificationRow) -> Result<(), StoreError> {
    let status = NotificationStatus::Unknown;
    let text = format!("The message ended: {status}.");
    let end = (status, Some("the sender went away"));
    write_end(inner, row, end, EndsFrom::Stranded, (text, Value::Null)).await
}

/// Writes what became of a message after the relay took it; nothing where that is no news. `at` is when it happened, where that is told.
pub async fn learn_fate(
    inner: &Inner,
    row: &NotificationRow,
    status: NotificationStatus,
    reason: &str,
    at: Value,
) -> Result<(), StoreError> {
    let text = format!("A mail server reports of the message: {reason}.");
    write_end(inner, row, (status, Some(reason)), EndsFrom::Relay, (text, at)).await
}

async fn write_end(
    inner: &Inner,
    row: &NotificationRow,
    (status, reason): (NotificationStatus, Option<&str>),
    from: EndsFrom,
    (text, at): (String, Value),
) -> Result<(), StoreError> {
    let mut data = json!({"notification": row.id, "status": status, "reason": reason});
    if !at.is_null() {
        data["at"] = at;
    }
    let entry = Entry {
        kind: EntryKind::NoticeEnded,
        text,
        data,
    };
    let end = NoticeEnd {
        id: row.id.clone(),
        connection: row.connection.clone(),
        case_id: row.case_id.clone(),
        status,
        reason: reason.map(str::to_owned),
        from,
        line: line(inner, ENGINE, entry),
        at: inner.now(),
    };
    if let Done::Written(true) = desk::submit(inner, Request::Notice(end)).await? {
        if from != EndsFrom::Relay || status != row.status {
            counter!(metric::NOTIFICATIONS, "message" => row.message.as_str(), "result" => status.as_str())
                .increment(1);
        }
        tracing::info!(case_id = %row.case_id, notification_id = %row.id, status = status.as_str(), reason, "message ended");
    }
    Ok(())
}
