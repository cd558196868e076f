//! What one transaction writes, under the laws of the schema.

use jiff::Timestamp;
use recoup::domain::command::{AttemptStatus, LateKind};
use recoup::domain::ids::{AttemptId, CaseId, NotificationId};
use recoup::domain::money::Money;
use recoup::domain::mutant::alive;
use recoup::store::StoreError;
use recoup::store::changes::{AttemptEnd, CaseChange, EndsFrom, NewNotice, NoticeEnd, RowWrite, Written};
use recoup::store::inbox::{EventEnd, InboxStatus};
use recoup::store::learning::Waiting;
use recoup::store::notifications::{NotificationRow, NotificationStatus};

use super::{AttemptRow, CaseRow, Database, MailRow};

fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

impl Database {
    /// Whether the laws let these pieces in; nothing is written yet.
    pub fn check(&self, pieces: &[Written]) -> Result<(), StoreError> {
        for piece in pieces {
            let (Written::Changed(change) | Written::Opened(change)) = piece else {
                continue;
            };
            if change.case.amount_due.amount_minor < 0 {
                return Err(StoreError::Other("CHECK amount_minor >= 0".to_owned()));
            }
            if matches!(piece, Written::Changed(_)) && !self.cases.contains_key(&change.case.id) {
                return Err(StoreError::Other(format!("there is no case {}", change.case.id)));
            }
            self.check_attempts(change)?;
            self.ledger.check(change)?;
        }
        Ok(())
    }

    /// At most one attempt of a case is open, at any moment of the transaction.
    fn check_attempts(&self, change: &CaseChange) -> Result<(), StoreError> {
        let of_case = |id: &&AttemptId| self.attempts[*id].case == change.case.id;
        let mut open = self.open_attempts.iter().filter(of_case).count();
        for row in &change.rows {
            match row {
                RowWrite::OpenAttempt(..) if open > 0 && !alive("no_row_lock") => {
                    return Err(StoreError::Conflict("attempts_one_open_per_case".to_owned()));
                }
                RowWrite::OpenAttempt(..) => open += 1,
                RowWrite::CloseAttempt(AttemptEnd { id, .. }) => {
                    open = open.saturating_sub(usize::from(self.open_attempts.contains(id)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes the pieces and says which were news.
    pub fn write(&mut self, pieces: Vec<Written>, now: i64) -> Vec<bool> {
        pieces.into_iter().map(|piece| self.piece(piece, now)).collect()
    }

    fn piece(&mut self, piece: Written, now: i64) -> bool {
        match piece {
            Written::Changed(change) => {
                self.save(*change, now);
                true
            }
            Written::Opened(change) => {
                let invoice = &change.case.invoice_id;
                // Only a reversal follows another case, and none is open beside another.
                let known = self.case_of_invoice(invoice);
                let follows = change.case.reversal_of.is_some();
                let chased = known.is_some_and(|row| row.closed.is_none()) && change.case.closed_at.is_none();
                if chased || (known.is_some() && !follows) || self.cases.contains_key(&change.case.id) {
                    return false;
                }
                let row = CaseRow {
                    case: change.case.clone(),
                    next_at: None,
                    lease: None,
                    fence: 0,
                    closed: None,
                    updated: change.at,
                    lines: Vec::new(),
                };
                let of_invoice = self.by_invoice.entry(invoice.clone()).or_default();
                of_invoice.insert(change.case.id.clone());
                self.open.insert(change.case.id.clone());
                self.cases.insert(change.case.id.clone(), row);
                self.save(*change, now);
                true
            }
            Written::Notice(end) => self.end_notice(end, now),
            Written::Event(end) => self.end_event(end),
        }
    }

    fn save(&mut self, change: CaseChange, now: i64) {
        let id = change.case.id.clone();
        for row in change.rows {
            self.beside(&change.case, row, millis(change.at), now);
        }
        self.audit.extend(change.audit);
        let row = self.cases.get_mut(&id).unwrap();
        row.next_at = change.case.next_action().map(|next| millis(next.at));
        row.closed = change.case.closed_at.map(|_| row.closed.unwrap_or(now));
        row.updated = change.at;
        row.lines.extend(change.lines);
        row.case = change.case;
        if row.closed.is_some() {
            self.open.remove(&id);
        }
        self.dues.extend(row.next_at);
        if let Some(fence) = change.release {
            self.release(&id, fence);
        }
    }

    fn beside(&mut self, case: &recoup::domain::case::Case, row: RowWrite, at: i64, now: i64) {
        let is_on_record = matches!(&row, RowWrite::RecordAttempt(_, seen, _)
            if seen.charge_id.as_ref().is_some_and(|charge| self.charges.contains(charge)));
        if !is_on_record {
            self.try_on(case, &row);
        }
        match row {
            RowWrite::OpenAttempt(attempt, origin) => {
                let row = AttemptRow {
                    case: case.id.clone(),
                    origin,
                    status: AttemptStatus::Open,
                    charge: None,
                    started: millis(attempt.started_at),
                    committed: now,
                };
                self.open_attempts.insert(attempt.id.clone());
                self.attempts.insert(attempt.id, row);
            }
            RowWrite::RecordAttempt(id, seen, origin) => {
                if is_on_record {
                    return;
                }
                self.charges.extend(seen.charge_id.clone());
                let row = AttemptRow {
                    case: case.id.clone(),
                    origin,
                    status: AttemptStatus::Declined,
                    charge: seen.charge_id,
                    started: millis(seen.at),
                    committed: now,
                };
                self.attempts.insert(id, row);
            }
            RowWrite::CloseAttempt(AttemptEnd {
                id, status, charge_id, ..
            }) => {
                let Some(row) = self
                    .attempts
                    .get_mut(&id)
                    .filter(|row| row.status == AttemptStatus::Open)
                else {
                    return;
                };
                self.open_attempts.remove(&id);
                row.status = status;
                row.charge = charge_id.filter(|charge| !self.charges.contains(charge));
                self.charges.extend(row.charge.clone());
            }
            RowWrite::Queue(notice) => self.queue(case, notice, at, now),
            RowWrite::HoldBack(reason) => self.supersede(&case.id, reason, at),
            RowWrite::BookLate(kind, amount) => self.book_late(&case.id, kind, amount),
            RowWrite::WinBack(..) => unreachable!("nobody of the model comes back"),
            RowWrite::See(id, evidence) => self.evidence.push(Waiting { id, evidence }),
            RowWrite::Book(id, transfer) => self.ledger.book(case, &id, transfer),
            // No campaign of the model is a shadow.
            RowWrite::Block(_) | RowWrite::Shadow(_) => {}
            RowWrite::Approval(_) => unreachable!("nobody of the model needs a second person"),
            RowWrite::UnknownCode(unknown) => unreachable!("every code of the model is known, not so {unknown:?}"),
        }
    }

    fn queue(&mut self, case: &recoup::domain::case::Case, notice: NewNotice, at: i64, now: i64) {
        if self.steps.insert((case.id.clone(), notice.step.clone())) {
            self.dues.push(millis(notice.due_at));
            let row = mail(notice, case, at);
            let row = MailRow {
                row,
                lease: None,
                committed: now,
            };
            self.waiting.insert(row.row.id.clone());
            self.mails.insert(row.row.id.clone(), row);
        }
    }

    fn book_late(&mut self, case: &CaseId, kind: LateKind, amount: Money) {
        self.ledger.late(case, amount);
        self.late.push((case.clone(), kind, amount));
    }

    fn supersede(&mut self, case: &CaseId, reason: &str, at: i64) {
        let mails = &self.mails;
        let held = |id: &&NotificationId| {
            let row = &mails[*id].row;
            row.case_id == *case && row.status == NotificationStatus::Pending && row.message.is_of_open_invoice()
        };
        let held: Vec<NotificationId> = self.waiting.iter().filter(held).cloned().collect();
        for id in held {
            self.waiting.remove(&id);
            let mail = self.mails.get_mut(&id).unwrap();
            mail.row.status = NotificationStatus::Superseded;
            mail.row.reason = Some(reason.to_owned());
            mail.row.ended_at = Some(super::super::state::instant(at));
            mail.lease = None;
        }
    }

    fn end_notice(&mut self, end: NoticeEnd, now: i64) -> bool {
        let Some(mail) = self.mails.get_mut(&end.id) else {
            return false;
        };
        let status = mail.row.status;
        let is_news = match end.from {
            EndsFrom::Stranded => status == NotificationStatus::Sending && mail.lease.is_some_and(|until| until <= now),
            EndsFrom::Queue => {
                // Only what has not left can be held back.
                let holds_back = matches!(
                    end.status,
                    NotificationStatus::Superseded | NotificationStatus::Suppressed
                );
                status == NotificationStatus::Pending
                    || (!holds_back && matches!(status, NotificationStatus::Sending | NotificationStatus::Unknown))
            }
            EndsFrom::Relay => unreachable!("the simulated mail server sends no reports"),
        };
        if is_news {
            mail.row.status = end.status;
            mail.row.reason = end.reason;
            mail.row.ended_at = Some(end.at);
            mail.lease = None;
            self.waiting.remove(&end.id);
            self.cases.get_mut(&end.case_id).unwrap().lines.push(end.line);
        }
        is_news
    }

    fn end_event(&mut self, end: EventEnd) -> bool {
        let (EventEnd::Ended { id, .. } | EventEnd::Deferred { id, .. }) = &end;
        let Some(event) = self.events.get_mut(id) else {
            return false;
        };
        if event.row.status != InboxStatus::Pending {
            return false;
        }
        event.lease = None;
        match end {
            EventEnd::Ended { id, status, reason, at } => {
                event.row.status = status;
                event.row.reason = reason;
                event.row.ended_at = Some(at);
                self.pending.remove(&id);
            }
            EventEnd::Deferred { next_at, reason, .. } => {
                event.row.next_at = next_at;
                event.row.reason = Some(reason);
                event.row.tries += 1;
                self.dues.push(millis(next_at));
            }
        }
        true
    }
}

fn mail(notice: NewNotice, case: &recoup::domain::case::Case, at: i64) -> NotificationRow {
    NotificationRow {
        id: notice.id,
        case_id: case.id.clone(),
        connection: case.connection.clone(),
        message: notice.message,
        step: notice.step,
        status: NotificationStatus::Pending,
        recipient: notice.recipient,
        locale: None,
        subject: None,
        body_text: None,
        body_html: None,
        queued_at: super::super::state::instant(at),
        next_at: notice.due_at,
        ended_at: None,
        tries: 0,
        reason: None,
    }
}
