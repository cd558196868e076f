//! The test of the world itself: without faults every case ends as a computation of a few lines says, which knows the
//! campaign by heart and nothing of our code.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use recoup::domain::decline::{DeclineKind, Disposition};
use recoup::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy};
use recoup::mailer::Templates;

use super::books::{Books, By, Fate, Issuer};
use super::faults::Faults;
use super::run::Play;
use super::state::{HOUR, instant};
use crate::decide::desk::disposition;

const SEEDS: u64 = 4;
const CASES: usize = 50;

/// Nine in the morning, so many days after the local date of `from`.
fn nine(from: i64, days: i64, zone: &str) -> i64 {
    let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
    let date = instant(from).to_zoned(zone.clone()).date() + days.days();
    let at: Timestamp = date.at(9, 0, 0, 0).to_zoned(zone).unwrap().timestamp();
    at.as_millisecond()
}

/// How a case ends whose first charge failed at `failed`, and after how many charges of ours.
fn expected(issuer: Issuer, zone: &str, failed: i64) -> (Outcome, usize) {
    let (kind, heals) = match issuer {
        Issuer::Heals(kind, at) => (kind, Some(at)),
        Issuer::Refuses(kind) => (kind, None),
        Issuer::Works | Issuer::Slow(..) => unreachable!("a calm world has neither"),
    };
    let charges: Vec<i64> = match kind {
        DeclineKind::InsufficientFunds | DeclineKind::Limit | DeclineKind::DoNotHonor => {
            [1, 3, 7, 14].map(|days| nine(failed, days, zone)).to_vec()
        }
        DeclineKind::IssuerDown => [1, 6, 24].map(|hours| failed + hours * HOUR).to_vec(),
        _ => Vec::new(),
    };
    let works = charges.iter().position(|at| heals.is_some_and(|heals| *at >= heals));
    if let Some(number) = works {
        return (Outcome::Recovered { by: RecoveredBy::Retry }, number + 1);
    }
    let reason = if disposition(kind) == Disposition::Never {
        ExhaustedReason::TerminalDecline
    } else {
        ExhaustedReason::AttemptsSpent
    };
    let then = ExhaustedThen::Cancelled;
    (Outcome::Exhausted { reason, then }, charges.len())
}

/// Whether the issuer changes its mind so close to a charge that the seconds of the way decide.
fn is_close(issuer: Issuer, books: &Books, invoice: usize) -> bool {
    let Issuer::Heals(_, heals) = issuer else {
        return false;
    };
    let charges = &books.invoices[invoice].charges;
    charges.iter().any(|charge| (charge.at - heals).abs() < HOUR / 4)
}

#[test]
fn without_faults_every_case_ends_as_computed() {
    let templates = Templates::new().unwrap();
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..SEEDS {
        let ended = Play {
            faults: Faults::none(),
            calm: true,
            ..Play::of(seed, CASES)
        }
        .run(&templates);
        assert_eq!(ended.breach, None, "seed {seed}");
        let state = ended.state.lock();
        assert_eq!(state.db.cases.len(), CASES, "seed {seed}");
        for row in state.db.cases.values() {
            let number = state.books.by_name[&row.case.invoice_id];
            let customer = &state.books.customers[state.books.invoices[number].customer];
            let issuer = customer.methods[0].issuer;
            if is_close(issuer, &state.books, number) {
                continue;
            }
            let zone = customer.seen.local_zone().unwrap_or("UTC");
            let failed = state.books.invoices[number].charges[0].at;
            let ours = |by: &By| matches!(by, By::Key(_));
            let charges = state.books.invoices[number].charges.iter();
            let charges = charges
                .filter(|charge| ours(&charge.by) && charge.fate != Fate::Processing)
                .count();
            let got = (row.case.outcome().unwrap(), charges);
            assert_eq!(
                got,
                expected(issuer, zone, failed),
                "seed {seed}, {}, {issuer:?}",
                row.case.invoice_id
            );
            *ends.entry(format!("{:?}", got.0)).or_default() += 1;
        }
    }
    println!("{ends:#?}");
    assert_eq!(ends.len(), 3, "each end was met: {ends:?}");
}
