//! The report as CSV: a group comes back from a CSV reader as it was, and no cell is a formula.
//!
//! The first nine bytes are the kind of group and the amount. Parts: the campaign's name, the connection's name.

#![no_main]

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI32, Ordering};

use jiff::Span;
use jiff::civil::{Date, date};
use libfuzzer_sys::fuzz_target;
use recoup::domain::campaign::Campaign;
use recoup::domain::decline::DeclineKind;
use recoup::store::cases::insert;
use recoup::store::changes::CaseChange;
use recoup_fuzz::cases;
use recoup_fuzz::parts::{choices, choose, number, parts, some_text, text};
use recoup_fuzz::service::{BOOTSTRAP, Service, now};

static SERVICE: LazyLock<Service> = LazyLock::new(Service::start);
static CAMPAIGN: LazyLock<Campaign> = LazyLock::new(Campaign::embedded);
/// Each input has a cohort of its own, so that its report tells of its case alone.
static NUMBER: AtomicI32 = AtomicI32::new(0);

fuzz_target!(|input: &[u8]| {
    let (chosen, names) = choices::<9>(input);
    let [campaign, connection] = parts(names);
    let number_of_input = NUMBER.fetch_add(1, Ordering::Relaxed);
    let day = date(1900, 1, 1) + Span::new().days(number_of_input);
    let opened_at = now();
    let by = choose(&["connection", "campaign"], chosen[0]);
    let mut case = cases::open(
        number_of_input.unsigned_abs().into(),
        &CAMPAIGN,
        DeclineKind::Fraud,
        "UTC",
        opened_at,
    );
    // The database takes neither an empty name nor a negative amount.
    case.campaign.name = some_text(campaign).unwrap_or("default".to_owned());
    case.connection = some_text(connection).unwrap_or("stripe".to_owned());
    case.birth.day = Some(day);
    case.amount_due.amount_minor = number(&chosen, 1) & i64::MAX;
    let group = match by {
        "campaign" => format!("{} v{}", case.campaign.name, case.campaign.version),
        _ => case.connection.clone(),
    };
    let service = &*SERVICE;
    service.runtime.block_on(async {
        let tx = service.store.begin().await.unwrap();
        let opened = CaseChange {
            case: case.clone(),
            restated: true,
            lines: Vec::new(),
            rows: Vec::new(),
            audit: Vec::new(),
            release: None,
            at: opened_at,
        };
        assert!(insert(&tx, &[&opened]).await.unwrap().contains(&case.id));
        tx.commit().await.unwrap();
    });
    let report = report(by, day);
    let mut reader = csv::Reader::from_reader(report.as_slice());
    let names = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let [row] = &rows[..] else {
        panic!("{} rows in {}", rows.len(), text(&report))
    };
    for cell in names.iter().chain(row) {
        let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
        assert!(!formula || cell.parse::<i64>().is_ok(), "{cell:?} is a formula");
    }
    let cell = |name: &str| row.get(names.iter().position(|have| have == name).unwrap()).unwrap();
    let shown = cell("group");
    assert!(
        shown == group || shown.strip_prefix('\'') == Some(&group),
        "{group:?} became {shown:?}"
    );
    assert_eq!(cell("all_amount_minor"), case.amount_due.amount_minor.to_string());
    assert_eq!((cell("all_cases"), cell("by"), cell("currency")), ("1", by, "EUR"));
});

/// The report of one day.
fn report(by: &str, from: Date) -> Vec<u8> {
    let to = from.tomorrow().unwrap();
    let request = format!(
        "GET /v1/reports/recovery?by={by}&from={from}&to={to} HTTP/1.1\r\nHost: x\r\n\
         Authorization: Bearer {BOOTSTRAP}\r\nAccept: text/csv\r\n\r\n"
    );
    let answer = SERVICE.exchange(request.as_bytes());
    assert_eq!(answer.status, 200, "{}", text(&answer.body));
    answer.body
}
