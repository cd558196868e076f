//! The pure world over ninety days: reproducible, and recoverable to a share that nobody wrote down.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use recoup::sandbox::issuer::Session;
use recoup::sandbox::objects::InvoiceStatus;
use recoup::sandbox::{ChargedBy, Shape, World};

use super::at;

const START: &str = "2026-01-05T00:00:00Z";
const END: &str = "2026-04-05T00:00:00Z";

/// A town and a simple chaser: a mail on days 0, 5 and 12, a charge on days 1, 3, 7 and 14, then the end.
fn chased(seed: u64, customers: usize, chase: bool) -> World {
    let mut world = World::new(seed, Shape::New, at(START));
    world.settle_town(customers);
    let mut chases: BTreeMap<String, Timestamp> = BTreeMap::new();
    let mut now = at(START);
    while now < at(END) {
        now += SignedDuration::from_hours(6);
        let failed: Vec<String> = world
            .advance(now)
            .iter()
            .filter(|event| event.kind == "invoice.payment_failed")
            .filter_map(|event| {
                event.body(Shape::New, 0)["data"]["object"]["id"]
                    .as_str()
                    .map(str::to_owned)
            })
            .collect();
        for invoice in failed {
            chases.entry(invoice).or_insert(now);
        }
        for (invoice, since) in chases.iter().filter(|_| chase) {
            let hours = now.duration_since(*since).as_hours();
            let open = world
                .invoice(invoice)
                .is_some_and(|invoice| invoice.status == InvoiceStatus::Open);
            if open && [24, 72, 168, 336].contains(&hours) {
                let _ = world.charge(invoice, None, ChargedBy::Api, Session::Off);
            } else if open && [0, 120, 288].contains(&hours) {
                let email = world.invoice(invoice).unwrap().customer_email.clone();
                assert!(world.mail_arrives(&email));
            }
        }
    }
    world
}

/// The share of first failures older than 20 days that were paid in the end, in percent.
fn recovered_percent(world: &World) -> usize {
    let old_enough = at(END) - SignedDuration::from_hours(20 * 24);
    let books = world.books();
    let failed: Vec<&str> = books
        .failed_first()
        .into_iter()
        .filter(|id| world.invoice(id).unwrap().created < old_enough)
        .collect();
    let paid = failed.iter().filter(|id| books.successes(id) > 0).count();
    100 * paid / failed.len()
}

#[test]
fn ninety_days_hold_enough_failures_of_every_kind_and_chasing_recovers_most() {
    let chased_world = chased(11, 700, true);
    let failed = chased_world.books().failed_first().len();
    let mut codes: BTreeMap<&str, usize> = BTreeMap::new();
    for entry in &chased_world.books().charges {
        *codes.entry(entry.declined.as_deref().unwrap_or("success")).or_default() += 1;
    }
    assert!(failed >= 300, "{failed} first failures");
    for code in [
        "insufficient_funds",
        "expired_card",
        "lost_card",
        "stolen_card",
        "fraudulent",
        "do_not_honor",
        "generic_decline",
        "issuer_not_available",
        "authentication_required",
    ] {
        assert!(codes.contains_key(code), "no {code} in {codes:?}");
    }
    let (chased_percent, left_percent) = (
        recovered_percent(&chased_world),
        recovered_percent(&chased(11, 700, false)),
    );
    assert!((45..=80).contains(&chased_percent), "{chased_percent} %");
    assert!(left_percent < 5, "{left_percent} % without any chasing");
}

#[test]
fn nobody_pays_twice_and_the_invoices_agree_with_the_books() {
    let world = chased(5, 300, true);
    for invoice in world.invoices() {
        let books = world.books();
        let paid = books.paid_minor.get(&invoice.id).copied().unwrap_or(0);
        assert!(books.successes(&invoice.id) <= 1);
        assert_eq!(paid, invoice.paid_minor, "{}", invoice.id);
        assert_eq!(paid > 0, invoice.status == InvoiceStatus::Paid);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let world = chased(seed, 120, true);
        let events: Vec<String> = world
            .events()
            .iter()
            .map(|event| event.body(Shape::New, 0).to_string())
            .collect();
        (events, world.books().clone())
    };
    assert!(trace(3) == trace(3));
    assert!(trace(3) != trace(4));
}
