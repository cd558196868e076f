//! Sample digests: a busy week in one currency, one in several, and a quiet one.

use jiff::ToSpan;
use jiff::civil::{Date, date};

use crate::domain::money::Currency;
use crate::domain::report::digest::{Attention, Days, Digest, InCurrency, OfWeek, Split, Standing};
use crate::domain::report::{Rate, Sum};

/// The Monday of the sample's week.
const MONDAY: Date = date(2026, 9, 21);
/// What failed and what was recovered of it in each of twelve weeks, in minor units.
const WEEKS: [(i64, i64); 12] = [
    (184_300, 131_200),
    (201_750, 140_900),
    (166_020, 121_300),
    (243_980, 158_400),
    (198_400, 139_900),
    (221_150, 149_720),
    (175_600, 128_300),
    (260_430, 171_050),
    (232_900, 148_820),
    (209_770, 121_400),
    (251_200, 118_650),
    (228_640, 61_980),
];

/// A busy week.
pub(super) fn full() -> Digest {
    Digest {
        week: Days {
            first: MONDAY,
            last: date(2026, 9, 27),
        },
        month: Days {
            first: date(2026, 9, 1),
            last: date(2026, 9, 27),
        },
        month_before: Days {
            first: date(2026, 8, 1),
            last: date(2026, 8, 27),
        },
        currencies: vec![in_currency(
            "EUR".parse().expect("a sample's currency is three letters"),
        )],
        left_out: 0,
        split: Split {
            recovered: 402,
            open: 121,
            exhausted: 67,
            stopped: 23,
        },
        attention: Attention {
            needs_person: 3,
            dead_events: 1,
            undelivered: 4,
        },
    }
}

/// Another one: several currencies, or, for a currency without many cases, a quiet week.
pub(super) fn other(digest: Digest, currency: Currency) -> Digest {
    let mut one = in_currency(currency);
    if currency.decimals() == 0 {
        let currencies = digest.currencies.into_iter().chain([one]).collect();
        return Digest {
            currencies,
            left_out: 2,
            ..digest
        };
    }
    for sum in [
        &mut one.opened,
        &mut one.recovered,
        &mut one.exhausted,
        &mut one.stopped,
    ] {
        *sum = Sum::default();
    }
    one.open = sum(1, 12_500);
    one.month = Standing::default();
    Digest {
        currencies: vec![one],
        attention: Attention::default(),
        ..digest
    }
}

fn in_currency(currency: Currency) -> InCurrency {
    let week = |(nth, (all, recovered)): (i32, (i64, i64))| OfWeek {
        monday: MONDAY.saturating_add((7 * (nth - 11)).days()),
        all: sum(all.unsigned_abs() / 4_000, all),
        recovered: sum(recovered.unsigned_abs() / 4_000, recovered),
    };
    InCurrency {
        currency,
        opened: sum(57, 228_640),
        recovered: sum(41, 164_130),
        exhausted: sum(6, 23_940),
        stopped: sum(1, 3_990),
        open: sum(121, 482_790),
        month: standing((214, 98), 856_700, 301_230),
        month_before: standing((231, 117), 921_440, 342_910),
        weeks: (0..).zip(WEEKS).map(week).collect(),
    }
}

fn standing((cases, closed): (u64, u64), all_minor: i64, recovered_minor: i64) -> Standing {
    Standing {
        all: sum(cases, all_minor),
        rate: Rate::of_amounts(recovered_minor, all_minor),
        maturity: Rate::of_counts(closed, cases),
    }
}

fn sum(cases: u64, amount_minor: i64) -> Sum {
    Sum { cases, amount_minor }
}
