//! What goes with an act of staff, in the transaction of its case: lines of the audit log, and the approval that it is about.

use crate::domain::approval::ApprovalStatus;
use crate::domain::command::Change;
use crate::domain::event::{Event, StaffAction};
use crate::domain::ids::AuditId;
use crate::engine::Inner;
use crate::store::approvals::ApprovalWrite;
use crate::store::audit::AuditRow;
use crate::store::changes::{CaseChange, RowWrite};

/// Adds what goes with an event, where staff brought it.
pub fn beside(inner: &Inner, change: &Change, event: &Event, actor: &str, written: &mut CaseChange) {
    let Event::Staff { action, comment, .. } = event else {
        return;
    };
    let mut note = |actor: &str, action: String, comment: Option<String>| {
        written.audit.push(AuditRow {
            id: AuditId::new(inner.now_ms(), inner.clock.entropy()),
            at: inner.now(),
            actor: actor.to_owned(),
            action,
            object: change.case.id.to_string(),
            comment,
        });
    };
    if change.refused.is_some() {
        note(actor, format!("{}.refused", action.as_str()), comment.clone());
        return;
    }
    note(actor, action.as_str().to_owned(), comment.clone());
    let rule = |id: &crate::domain::ids::ApprovalId, ruler_id: &str, status| ApprovalWrite::Rule {
        id: id.clone(),
        status,
        ruled_by: actor.to_owned(),
        ruler_id: ruler_id.to_owned(),
        comment: comment.clone(),
    };
    let approval = match action {
        StaffAction::Ask(ask) => ApprovalWrite::Ask {
            id: ask.id.clone(),
            act: ask.act,
            asked_by: actor.to_owned(),
            asker_id: ask.asker_id.clone(),
            expires_at: ask.expires_at,
            comment: comment.clone(),
        },
        StaffAction::Approve(ruling) => {
            let how = format!("approved by {actor}");
            note(&ruling.asked_by, ruling.act.as_str().to_owned(), Some(how));
            rule(&ruling.id, &ruling.ruler_id, ApprovalStatus::Approved)
        }
        StaffAction::Refuse(ruling) => rule(&ruling.id, &ruling.ruler_id, ApprovalStatus::Refused),
        StaffAction::Retry
        | StaffAction::Pause { .. }
        | StaffAction::Resume
        | StaffAction::Skip { .. }
        | StaffAction::Extend { .. }
        | StaffAction::Hold
        | StaffAction::Release
        | StaffAction::Stop
        | StaffAction::Exclude
        | StaffAction::MarkPaid
        | StaffAction::WriteOff
        | StaffAction::Soon(_)
        | StaffAction::Undo
        | StaffAction::Migrate { .. }
        | StaffAction::Note => return,
    };
    written.rows.push(RowWrite::Approval(Box::new(approval)));
}
