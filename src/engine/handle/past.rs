//! Cases of the time before Recoup: each is written once, closed, with every line at the instant of which it tells. No engine need
//! run for it.

use std::collections::BTreeMap;

use crate::clock::Clock;
use crate::domain::campaign::Campaign;
use crate::domain::command::Command;
use crate::domain::decide::NoCase;
use crate::domain::decide::past::{Past, PastInvoice, past};
use crate::domain::event::Opening;
use crate::domain::ids::{AttemptId, CaseId, TimelineId, TransferId};
use crate::domain::ledger::transfers;
use crate::store::changes::{CaseChange, Line, RowWrite, Written};
use crate::store::{Storage, StoreError};

/// Writes invoices of the past.
#[derive(Debug)]
pub struct Import<'a> {
    /// Whose doing it is.
    pub actor: &'a str,
    /// The connection that they came by.
    pub opening: &'a Opening,
    /// The campaign that they are pinned to.
    pub campaign: &'a Campaign,
    /// Where ids get what tells them apart.
    pub clock: &'a Clock,
}

/// What became of invoices of the past.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// How many have a case now that had none.
    pub written: u64,
    /// How many had a case.
    pub known: u64,
    /// How many get none, and why.
    pub without: BTreeMap<NoCase, u64>,
}

impl Import<'_> {
    /// Writes the cases of these invoices in one transaction, but for those that have one. The same again changes nothing.
    pub async fn write(&self, storage: &dyn Storage, invoices: &[PastInvoice]) -> Result<Imported, StoreError> {
        let mut done = Imported::default();
        let mut pieces = Vec::new();
        for invoice in invoices {
            let id = CaseId::new(invoice.failed_at.as_millisecond(), self.clock.entropy());
            match past(id, self.opening, invoice, self.campaign) {
                Ok(past) => pieces.push(Written::Opened(Box::new(self.written(past)))),
                Err(why) => *done.without.entry(why).or_default() += 1,
            }
        }
        let written = storage.change(&[], &|_| Vec::new(), &mut |_| pieces.clone()).await?;
        for was_written in written {
            *(if was_written {
                &mut done.written
            } else {
                &mut done.known
            }) += 1;
        }
        Ok(done)
    }

    fn written(&self, past: Past) -> CaseChange {
        let Past { case, lines, commands } = past;
        let at = case.closed_at.unwrap_or(case.opened_at);
        let books = transfers(None, &case, &commands);
        let attempts = commands.into_iter().filter_map(|command| match command {
            Command::RecordAttempt { seen, origin } => {
                let id = AttemptId::new(seen.at.as_millisecond(), self.clock.entropy());
                Some(RowWrite::RecordAttempt(id, seen, origin))
            }
            Command::OpenAttempt { .. }
            | Command::Resend { .. }
            | Command::CloseAttempt { .. }
            | Command::Block { .. }
            | Command::Finish
            | Command::Notify { .. }
            | Command::TellStaff { .. }
            | Command::SupersedeNotices { .. }
            | Command::BookLate { .. }
            | Command::WinBack { .. }
            | Command::Learn(_)
            | Command::Shadow(_)
            | Command::OpenReversal
            | Command::NamePayment { .. }
            | Command::BookOverpayment { .. } => None,
        });
        let books = books.into_iter().map(|transfer| {
            let id = TransferId::new(at.as_millisecond(), self.clock.entropy());
            RowWrite::Book(id, transfer)
        });
        let rows = attempts.chain(books).collect();
        let lines = lines.into_iter().map(|(at, entry)| Line {
            id: TimelineId::new(at.as_millisecond(), self.clock.entropy()),
            at,
            actor: self.actor.to_owned(),
            entry,
        });
        CaseChange {
            restated: true,
            lines: lines.collect(),
            rows,
            audit: Vec::new(),
            release: None,
            at,
            case,
        }
    }
}
