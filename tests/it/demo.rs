//! The demo's core over real HTTP, SQLite and SMTP: what the service believes is what the provider's books say.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use recoup::cli::demo::audit::{Audit, audit};
use recoup::cli::demo::progress::Progress;
use recoup::cli::demo::town::{Plan, Town};
use recoup::domain::case::Case;
use recoup::domain::outcome::Status;
use recoup::sandbox::Books;
use recoup::store::cases::{self, CaseFilter};
use recoup::store::late;

use crate::support::campaigns::FOLDER;

const START: &str = "2026-03-01T00:00:00Z";

/// A small town for a month, from its start to the audit; then the story's own questions are asked, and all is stopped.
fn play(folder: &Path, ask: &impl AsyncFn(&Town, &Audit)) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let start: Timestamp = START.parse().unwrap();
        let plan = Plan {
            seed: 4,
            customers: 60,
            start,
            listen: ([127, 0, 0, 1], 0).into(),
            campaigns: Some(FOLDER.into()),
        };
        let town = Town::start(folder, &plan).await.unwrap();
        let end = start + SignedDuration::from_hours(32 * 24);
        town.play(end, &mut Progress::start(start, end, false)).await.unwrap();
        let found = audit(&town.app.store, &town.sandbox.books()).await.unwrap();
        ask(&town, &found).await;
        town.stop().await.unwrap();
    });
}

/// The successful charges of the invoices whose first charge failed: how many each, and their sum by currency.
fn recovered_by_the_books(books: &Books) -> (BTreeMap<&str, usize>, BTreeMap<String, i64>) {
    let mut successes = BTreeMap::new();
    let mut sums = BTreeMap::new();
    for invoice in books.failed_first() {
        successes.insert(invoice, books.successes(invoice));
        for charge in books.charges_of(invoice).filter(|charge| charge.declined.is_none()) {
            *sums.entry(charge.amount.currency.to_string()).or_default() += charge.amount.amount_minor;
        }
    }
    (successes, sums)
}

#[test]
fn the_cases_are_what_the_books_say_and_nothing_stays_behind() {
    let around = tempfile::tempdir().unwrap();
    let folder = tempfile::tempdir_in(around.path()).unwrap();
    play(folder.path(), &async |town: &Town, found: &Audit| {
        assert_eq!(found.faults, Vec::<String>::new());
        let books = town.sandbox.books();
        let (successes, booked) = recovered_by_the_books(&books);
        assert!(successes.len() >= 12, "{} first failures", successes.len());
        assert!(successes.values().all(|count| *count <= 1));
        assert_eq!(town.sandbox.pending_webhooks(), 0);

        let conn = town.app.store.conn();
        let filter = CaseFilter {
            limit: 200,
            ..CaseFilter::default()
        };
        let cases = cases::list(conn, &filter).await.unwrap();
        let invoices: BTreeSet<&str> = cases.iter().map(|case| case.invoice_id.as_str()).collect();
        assert_eq!(invoices.len(), cases.len(), "an invoice has two cases");
        let is_ours = |case: &Case| case.campaign.to_string() == "default@1";
        assert!(cases.iter().all(is_ours), "the campaign of the folder is played by");
        assert_eq!(invoices, successes.keys().copied().collect());
        let mut sums: BTreeMap<String, i64> = BTreeMap::new();
        for case in cases.iter().filter(|case| case.status() == Status::Recovered) {
            *sums.entry(case.amount_due.currency.to_string()).or_default() += case.amount_due.amount_minor;
        }
        for row in late::list(conn, Timestamp::MIN, Timestamp::MAX).await.unwrap() {
            *sums.entry(row.amount.currency.to_string()).or_default() += row.amount.amount_minor;
        }
        assert_eq!(sums, booked);
        assert!(found.recovered > 0 && found.mails > 0 && found.worth_reading.is_some());
        assert_eq!(town.letters() as u64, found.mails);
    });
    folder.close().unwrap();
    assert_eq!(std::fs::read_dir(around.path()).unwrap().count(), 0);
}

#[test]
fn a_disagreement_names_its_invoice() {
    let folder = tempfile::tempdir().unwrap();
    play(folder.path(), &async |town: &Town, _: &Audit| {
        let mut books = town.sandbox.books();
        let failed: Vec<String> = books.failed_first().into_iter().map(str::to_owned).collect();
        let paid = failed.iter().find(|invoice| books.successes(invoice) == 1).unwrap();
        let second = books
            .charges
            .iter()
            .rfind(|charge| charge.invoice == *paid)
            .unwrap()
            .clone();
        books.charges.push(second.clone());
        let mut stranger = second;
        stranger.invoice = "in_stranger".to_owned();
        stranger.declined = Some("do_not_honor".to_owned());
        books.charges.push(stranger);
        let found = audit(&town.app.store, &books).await.unwrap();
        assert_eq!(found.paid_twice, 1);
        let told = found.faults.join("\n");
        assert!(told.contains(&format!("{paid}: it was paid 2 times")), "{told}");
        assert!(
            told.contains("in_stranger: its first charge failed, but it has no case"),
            "{told}"
        );
    });
}
