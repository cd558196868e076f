//! The ledger of attempts by instrument in the model.

use jiff::Timestamp;
use recoup::domain::calendar::secs_from;
use recoup::domain::case::Case;
use recoup::domain::command::AttemptStatus;
use recoup::domain::decline::DeclineKind;
use recoup::domain::instrument::{BANK_ANSWERS_MAX, BankAnswer, History, Instrument, OUTAGE_SPAN_SECS, PastAttempt};
use recoup::store::changes::{AttemptEnd, RowWrite};

use super::Database;

impl Database {
    /// What was tried on an instrument.
    pub fn history(&self, key: &str, history: &mut History) {
        history.know(key.to_owned());
        for past in self.tried.get(key).into_iter().flatten() {
            history.push(key.to_owned(), past.clone());
        }
    }

    /// What the bank of a group answered lately.
    pub fn bank(&self, group: &str, now: Timestamp) -> Vec<BankAnswer> {
        let of_group = self.tried.iter().filter(|(key, _)| self.banks[*key] == group);
        let mut answers: Vec<(&String, &PastAttempt)> = of_group
            .flat_map(|(key, tried)| tried.iter().map(move |past| (key, past)))
            .filter(|(_, past)| past.at >= secs_from(now, -OUTAGE_SPAN_SECS))
            .filter(|(_, past)| matches!(past.status, AttemptStatus::Succeeded | AttemptStatus::Declined))
            .collect();
        answers.sort_by_key(|(_, past)| (past.at, &past.id));
        answers.drain(..answers.len().saturating_sub(BANK_ANSWERS_MAX));
        let answer = |(key, past): (&String, &PastAttempt)| BankAnswer {
            instrument: key.clone(),
            at: past.at,
            is_down: past
                .decline
                .as_ref()
                .is_some_and(|decline| decline.kind == DeclineKind::IssuerDown),
        };
        answers.into_iter().map(answer).collect()
    }

    /// What a row beside a case does to the ledger. A charge that is on record already never comes here.
    pub(super) fn try_on(&mut self, case: &Case, row: &RowWrite) {
        match row {
            RowWrite::OpenAttempt(attempt, origin) => {
                let past = PastAttempt {
                    id: Some(attempt.id.clone()),
                    at: attempt.started_at,
                    case_id: case.id.clone(),
                    origin: *origin,
                    amount: attempt.amount,
                    status: AttemptStatus::Open,
                    decline: None,
                };
                self.add(attempt.instrument.as_ref(), past);
            }
            RowWrite::RecordAttempt(id, seen, origin) => {
                let past = PastAttempt {
                    id: Some(id.clone()),
                    at: seen.at,
                    case_id: case.id.clone(),
                    origin: *origin,
                    amount: seen.amount,
                    status: AttemptStatus::Declined,
                    decline: Some(seen.decline.clone()),
                };
                self.add(seen.instrument.as_ref(), past);
            }
            RowWrite::CloseAttempt(end) => self.end(end),
            _ => {}
        }
    }

    fn add(&mut self, instrument: Option<&Instrument>, past: PastAttempt) {
        let instrument = instrument
            .cloned()
            .unwrap_or_else(|| Instrument::of_case(&past.case_id));
        self.banks.insert(instrument.key.clone(), instrument.group());
        let tried = self.tried.entry(instrument.key).or_default();
        let place = tried.partition_point(|other| (other.at, &other.id) <= (past.at, &past.id));
        tried.insert(place, past);
    }

    fn end(&mut self, end: &AttemptEnd) {
        let is_open = |past: &PastAttempt| past.id.as_ref() == Some(&end.id) && past.status == AttemptStatus::Open;
        for tried in self.tried.values_mut() {
            let Some(place) = tried.iter().position(is_open) else {
                continue;
            };
            let mut past = tried.remove(place);
            past.status = end.status;
            past.decline.clone_from(&end.decline);
            match &end.instrument {
                Some(named) => self.add(Some(named), past),
                None => tried.insert(place, past),
            }
            return;
        }
    }
}
