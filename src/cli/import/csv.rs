//! A table of invoices whose end is known, whichever system chased them.

use std::collections::HashSet;
use std::path::Path;
use std::str::FromStr;

use anyhow::Context;
use csv::{Reader, StringRecord};
use jiff::Timestamp;

use super::Found;
use crate::domain::case::{Birth, Origin};
use crate::domain::decide::past::{PastEnd, PastInvoice};
use crate::domain::event::SeenAttempt;
use crate::domain::instrument::Funding;
use crate::domain::money::Money;
use crate::domain::network::Network;
use crate::domain::outcome::{ExhaustedThen, RecoveredBy, Status, StoppedWhy};
use crate::domain::snapshot::{PaymentSeen, Snapshot, SubscriptionSeen, SubscriptionStatus};
use crate::providers::stripe::declines::{RawDecline, decline};

/// The columns that a table must have.
pub const NEEDED: [&str; 8] = [
    "invoice_id",
    "customer_id",
    "amount_minor",
    "currency",
    "failed_at",
    "outcome",
    "detail",
    "ended_at",
];
/// Those it may have.
pub const MORE: [&str; 10] = [
    "subscription_id",
    "retried_at",
    "decline_code",
    "network_code",
    "network",
    "country",
    "funding",
    "plan",
    "tenure_days",
    "monthly_minor",
];
/// How many faults are told at once.
const FAULTS_MAX: usize = 20;

/// A line of the table.
struct Line<'a> {
    columns: &'a StringRecord,
    record: &'a StringRecord,
}

impl Line<'_> {
    /// What stands in a column; nothing where it is empty or there is no such column.
    fn text(&self, column: &str) -> Option<&str> {
        let place = self.columns.iter().position(|name| name == column)?;
        self.record.get(place).map(str::trim).filter(|text| !text.is_empty())
    }

    /// The same in its form.
    fn maybe<T>(&self, column: &str) -> anyhow::Result<Option<T>>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        let read = |text: &str| {
            // Not every database keeps them.
            anyhow::ensure!(
                !text.contains(char::is_control),
                "{column}: {text:?} has a control character"
            );
            text.parse()
                .map_err(|error| anyhow::anyhow!("{column}: {text:?}: {error}"))
        };
        self.text(column).map(read).transpose()
    }

    /// The same where it must not be missing.
    fn needed<T>(&self, column: &str) -> anyhow::Result<T>
    where
        T: FromStr,
        T::Err: std::fmt::Display,
    {
        self.maybe(column)?.with_context(|| format!("{column}: it is empty"))
    }
}

/// Reads a table whole, and tells all its faults at once.
pub fn read(path: &Path) -> anyhow::Result<Found> {
    let shown = path.display();
    let mut reader = Reader::from_path(path).with_context(|| format!("{shown} cannot be read"))?;
    let columns = reader.headers().with_context(|| format!("{shown}: line 1"))?.clone();
    check(&columns).with_context(|| format!("{shown}: line 1"))?;
    let (mut invoices, mut faults, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
    let mut without_reason = 0;
    for record in reader.records() {
        let read = record.context("no line of this table").and_then(|record| {
            let place = record.position().map_or(0, csv::Position::line);
            let line = Line {
                columns: &columns,
                record: &record,
            };
            let invoice = invoice(&line).with_context(|| format!("line {place}"))?;
            let is_untold = line.text("decline_code").or(line.text("network_code")).is_none();
            without_reason += u64::from(is_untold);
            let id = invoice.first.invoice_id.clone();
            anyhow::ensure!(
                seen.insert(id.clone()),
                "line {place}: invoice_id: {id} stands on two lines"
            );
            Ok(invoice)
        });
        match read {
            Ok(invoice) => invoices.push(invoice),
            Err(fault) => faults.push(format!("{shown}: {fault:#}")),
        }
        if faults.len() == FAULTS_MAX {
            faults.push("and perhaps more".to_owned());
            break;
        }
    }
    anyhow::ensure!(faults.is_empty(), "{}", faults.join("\n"));
    invoices.sort_by_key(|invoice| invoice.failed_at);
    Ok(Found {
        invoices,
        left_out: Vec::new(),
        without_reason,
    })
}

fn check(columns: &StringRecord) -> anyhow::Result<()> {
    for needed in NEEDED {
        anyhow::ensure!(
            columns.iter().any(|column| column == needed),
            "there is no column {needed}"
        );
    }
    for column in columns {
        let known = NEEDED.contains(&column) || MORE.contains(&column);
        let all = || [&NEEDED[..], &MORE].concat().join(", ");
        anyhow::ensure!(known, "a column {column:?} is not known; known are {}", all());
    }
    Ok(())
}

fn invoice(line: &Line<'_>) -> anyhow::Result<PastInvoice> {
    let amount_minor: i64 = line.needed("amount_minor")?;
    anyhow::ensure!(amount_minor > 0, "amount_minor: what failed is more than nothing");
    let amount = Money::new(amount_minor, line.needed("currency")?);
    let [failed_at, ended_at]: [Timestamp; 2] = [line.needed("failed_at")?, line.needed("ended_at")?];
    anyhow::ensure!(ended_at >= failed_at, "ended_at: it ended before it failed");
    let also = birth(line)?;
    let decline = decline(&RawDecline {
        decline_code: line.text("decline_code"),
        network_code: line.text("network_code"),
        brand: also.network.as_deref(),
        ..RawDecline::default()
    });
    let later = retries(line, failed_at, ended_at)?.into_iter().map(|at| {
        let seen = SeenAttempt {
            charge_id: None,
            at,
            amount,
            decline: decline.clone(),
            payment_method: None,
            instrument: None,
        };
        (seen, Origin::Provider)
    });
    let later = later.collect();
    let subscription_id: Option<String> = line.maybe("subscription_id")?;
    let subscription = subscription_id.is_some().then_some(SubscriptionSeen {
        status: SubscriptionStatus::PastDue,
        canceled_at: None,
        cancel_at_period_end: false,
        cancel_reason: None,
        collection_paused: false,
    });
    Ok(PastInvoice {
        first: Snapshot {
            subscription_id,
            subscription,
            payment: Some(PaymentSeen {
                decline: Some(decline),
                ..PaymentSeen::failed(failed_at)
            }),
            ..Snapshot::failed(line.needed("invoice_id")?, line.needed("customer_id")?, amount)
        },
        failed_at,
        also,
        later,
        ended_at,
        end: end(line.needed("outcome")?, &line.needed::<String>("detail")?)?,
    })
}

/// What a line tells of the case beside the charge.
fn birth(line: &Line<'_>) -> anyhow::Result<Birth> {
    let country: Option<String> = line.maybe("country")?;
    let is_code = |code: &String| code.len() == 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    anyhow::ensure!(
        country.as_ref().is_none_or(is_code),
        "country: two capital letters, such as DE"
    );
    let network: Option<Network> = line.maybe("network")?;
    let funding: Option<Funding> = line.maybe("funding")?;
    Ok(Birth {
        network: network.map(|network| network.to_string()),
        country,
        funding: funding.map(|funding| funding.to_string()),
        plan: line.maybe("plan")?,
        tenure_days: line.maybe("tenure_days")?,
        monthly_minor: line.maybe("monthly_minor")?,
        ..Birth::default()
    })
}

/// The instants of the retries that failed, between the failure and the end.
fn retries(line: &Line<'_>, failed_at: Timestamp, ended_at: Timestamp) -> anyhow::Result<Vec<Timestamp>> {
    let mut retries = Vec::new();
    for text in line.text("retried_at").unwrap_or_default().split_whitespace() {
        let at: Timestamp = text
            .parse()
            .with_context(|| format!("retried_at: {text:?} is no instant such as 2026-03-01T09:00:00Z"))?;
        anyhow::ensure!(
            failed_at < at && at <= ended_at,
            "retried_at: {text} is not between failed_at and ended_at"
        );
        retries.push(at);
    }
    retries.sort_unstable();
    Ok(retries)
}

fn end(outcome: Status, detail: &str) -> anyhow::Result<PastEnd> {
    Ok(match outcome {
        Status::Open => {
            anyhow::bail!("outcome: an invoice without an end is not read in; recovered, exhausted or stopped")
        }
        Status::Recovered => PastEnd::Paid {
            by: word(detail, RecoveredBy::ALL)?,
            charge_id: None,
        },
        Status::Exhausted => PastEnd::Exhausted {
            then: word(detail, ExhaustedThen::ALL)?,
        },
        Status::Stopped => PastEnd::Stopped {
            why: word(detail, StoppedWhy::ALL)?,
        },
    })
}

/// One of the words that an outcome knows.
fn word<W: Copy + std::fmt::Display>(detail: &str, words: &[W]) -> anyhow::Result<W> {
    let found = words.iter().find(|word| word.to_string() == detail);
    let all = || words.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    found
        .copied()
        .with_context(|| format!("detail: {detail:?} is none of {}", all()))
}
