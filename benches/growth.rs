//! What one case costs when millions are stored: on PostgreSQL, a database that grows beside one that does not.
//!
//! Both are asked in turn, so that whatever else the machine does falls on both. What is asked was read once before, so
//! that pages come from memory; the first reading is told beside it.

use std::fmt;

use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::ids::CaseId;
use recoup::domain::outcome::Status;
use recoup::store::cases::{self, CaseFilter};
use recoup::store::{Store, attempts, notifications, timeline};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::time::Instant;

use crate::support::database::{Schema, migrate};
use crate::support::report::{Bound, Report};
use crowd::Crowd;

pub mod crowd;

/// What the database that does not grow holds.
const SMALL: u64 = 10_000;
/// The cases beyond these are stored without their history: with it they would not fit on a common disk.
const WHOLE_MAX: u64 = 1_000_000;
const CLAIMED: u64 = 32;
const LEASE_SECS: u32 = 120;
const OWNER: &str = "bench";
/// A page of the list and one more, as the API asks for it.
const PAGE: u64 = 51;
/// A page that is full in the small database, too.
const SHORT_PAGE: u64 = 21;
const LINES_MAX: u64 = 200;
const CONNECTIONS: u32 = 4;
const FLAT: Bound = Bound::AtMost(1.5);

/// What is done to one case, or shown at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Claim,
    Insert,
    FirstPage,
    DeepPage,
    OpenPage,
    RecoveredDeep,
    RarePage,
    OpenRarePage,
    CustomerPage,
    InvoicePage,
    CasePage,
}

const DEEDS: [Deed; 11] = [
    Deed::Claim,
    Deed::Insert,
    Deed::FirstPage,
    Deed::DeepPage,
    Deed::OpenPage,
    Deed::RecoveredDeep,
    Deed::RarePage,
    Deed::OpenRarePage,
    Deed::CustomerPage,
    Deed::InvoicePage,
    Deed::CasePage,
];

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Claim => "claim of due cases",
            Self::Insert => "new case with its children",
            Self::FirstPage => "list, first page",
            Self::DeepPage => "list, deep page",
            Self::OpenPage => "list, open",
            Self::RecoveredDeep => "list, recovered, deep page",
            Self::RarePage => "list, a rare decline",
            Self::OpenRarePage => "list, open with a rare decline",
            Self::CustomerPage => "list, one customer",
            Self::InvoicePage => "list, one invoice",
            Self::CasePage => "page of a case",
        })
    }
}

/// A stored case that is asked for.
struct Pick {
    id: CaseId,
    customer_id: String,
    invoice_id: String,
}

/// One database.
struct Side {
    schema: Schema,
    store: Store,
    crowd: Crowd,
    now: Timestamp,
    picks: Vec<Pick>,
    /// The number of the next new case.
    born: u64,
}

impl Side {
    async fn begin(now: Timestamp) -> anyhow::Result<Self> {
        let schema = Schema::create().await?;
        let url = schema.url();
        migrate(&url).await?;
        Ok(Self {
            store: Store::connect(&url, CONNECTIONS).await?,
            crowd: Crowd::begin(&url, now).await?,
            schema,
            now,
            picks: Vec::new(),
            born: 1 << 40,
        })
    }

    /// Takes cases out of the whole time, evenly, to be asked for.
    async fn pick(&mut self, count: u64) -> anyhow::Result<()> {
        self.picks.clear();
        let sql = "SELECT id, customer_id, invoice_id FROM cases WHERE id >= (SELECT case_id FROM attempts WHERE \
                   case_id >= $1 ORDER BY case_id LIMIT 1) ORDER BY id LIMIT 1";
        let span_ms = crowd::SPAN_DAYS * crowd::DAY_MS;
        for nth in 1..=i64::try_from(count)? {
            let at = self.now.as_millisecond() - span_ms / i64::try_from(count + 1)? * nth;
            let from = CaseId::new(at, 0).to_string();
            let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [from.into()]);
            let row = self.store.conn().query_one_raw(statement).await?;
            let Some(row) = row else { continue };
            self.picks.push(Pick {
                id: CaseId::from(row.try_get_by_index::<String>(0)?),
                customer_id: row.try_get_by_index(1)?,
                invoice_id: row.try_get_by_index(2)?,
            });
        }
        anyhow::ensure!(!self.picks.is_empty(), "there is no case to ask for");
        Ok(())
    }

    /// Does it once; gives how long that took, in milliseconds.
    async fn once(&mut self, deed: Deed, round: usize) -> anyhow::Result<f64> {
        let change = (deed == Deed::Insert).then(|| {
            self.born += 1;
            crowd::newborn(self.born, self.now)
        });
        let began = Instant::now();
        match (deed, change) {
            (Deed::Claim, _) => {
                let claimed = cases::claim_due(&self.store, self.now, CLAIMED, LEASE_SECS, OWNER).await?;
                anyhow::ensure!(claimed.len() as u64 == CLAIMED, "{} cases were due", claimed.len());
            }
            (Deed::Insert, Some(change)) => crowd::write(&self.store, change).await?,
            (Deed::CasePage, _) => self.case_page(round).await?,
            _ => self.list(deed, round).await?,
        }
        let taken = began.elapsed().as_secs_f64() * 1000.0;
        if deed == Deed::Claim {
            let free = "UPDATE due_cases SET lease_owner = NULL, lease_until = NULL WHERE lease_until IS NOT NULL";
            self.store.conn().execute_unprepared(free).await?;
        }
        Ok(taken)
    }

    fn picked(&self, round: usize) -> &Pick {
        &self.picks[round % self.picks.len()]
    }

    async fn case_page(&self, round: usize) -> anyhow::Result<()> {
        let (conn, id) = (self.store.conn(), &self.picked(round).id);
        let case = cases::find(conn, id).await?;
        let lines = timeline::by_case(conn, id, LINES_MAX, None).await?;
        let tries = attempts::by_case(conn, id).await?;
        let mails = notifications::by_case(conn, id).await?;
        let whole = case.is_some() && !lines.is_empty() && !tries.is_empty() && !mails.is_empty();
        anyhow::ensure!(whole, "a case is not whole");
        Ok(())
    }

    async fn list(&self, deed: Deed, round: usize) -> anyhow::Result<()> {
        let pick = self.picked(round);
        let all = CaseFilter {
            limit: PAGE,
            ..CaseFilter::default()
        };
        let cursor = Some(pick.id.clone());
        let (filter, least) = match deed {
            Deed::DeepPage => (CaseFilter { cursor, ..all }, 1),
            Deed::OpenPage => (
                CaseFilter {
                    status: Some(Status::Open),
                    ..all
                },
                PAGE,
            ),
            Deed::RecoveredDeep => (
                CaseFilter {
                    status: Some(Status::Recovered),
                    cursor,
                    ..all
                },
                1,
            ),
            Deed::RarePage => (
                CaseFilter {
                    decline_kind: Some(crowd::RARE),
                    ..all
                },
                PAGE,
            ),
            Deed::OpenRarePage => (
                CaseFilter {
                    status: Some(Status::Open),
                    decline_kind: Some(crowd::RARE),
                    limit: SHORT_PAGE,
                    ..all
                },
                SHORT_PAGE,
            ),
            Deed::CustomerPage => (
                CaseFilter {
                    customer_id: Some(pick.customer_id.clone()),
                    ..all
                },
                1,
            ),
            Deed::InvoicePage => (
                CaseFilter {
                    invoice_id: Some(pick.invoice_id.clone()),
                    ..all
                },
                1,
            ),
            _ => (all, PAGE),
        };
        let found = cases::list(self.store.conn(), &filter).await?.len() as u64;
        anyhow::ensure!(found >= least, "{deed}: {found} cases were listed");
        Ok(())
    }

    async fn end(self) -> anyhow::Result<()> {
        self.store.close().await?;
        self.crowd.end().await?;
        self.schema.drop().await
    }
}

pub async fn run(report: &mut Report, cases_max: u64) -> anyhow::Result<()> {
    let (sizes, rounds): (&[u64], usize) = if report.quick {
        (&[100_000], 31)
    } else {
        (&[100_000, 1_000_000, 10_000_000], 101)
    };
    let now = Clock::System.now();
    let mut small = match Side::begin(now).await {
        Ok(small) => small,
        Err(error) => {
            report.note(format!("growth is left out, it wants PostgreSQL: {error:#}"));
            return Ok(());
        }
    };
    report.note(format!(
        "growth: {SMALL} stored cases beside more, asked in turn, {rounds} rounds; 96 % are closed and 2 % due; with each go \
         10 lines of its timeline, 3 attempts and 4 rendered mails, but beyond {WHOLE_MAX} cases only the case"
    ));
    small.crowd.add(SMALL, SMALL).await?;
    let mut large = Side::begin(now).await?;
    let mut stored = 0;
    for size in sizes.iter().copied().filter(|size| *size <= cases_max) {
        large.crowd.add(size - stored, WHOLE_MAX.saturating_sub(stored)).await?;
        stored = size;
        let told = large.crowd.bytes().await?;
        report.figure(&format!("growth: database of {stored} cases"), "GiB", vec![told]);
        for side in [&mut small, &mut large] {
            side.pick(rounds as u64).await?;
        }
        for deed in DEEDS {
            compare(report, deed, stored, rounds, [&mut small, &mut large]).await?;
        }
    }
    small.end().await?;
    large.end().await
}

async fn compare(
    report: &mut Report,
    deed: Deed,
    stored: u64,
    rounds: usize,
    sides: [&mut Side; 2],
) -> anyhow::Result<()> {
    let [small, large] = sides;
    let (mut few, mut many, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..rounds {
        small.once(deed, round).await?;
        few.push(small.once(deed, round).await?);
        first.push(large.once(deed, round).await?);
        many.push(large.once(deed, round).await?);
    }
    report.figure(&format!("growth: {deed}, {stored}, first"), "ms", first);
    let few = report.figure(&format!("growth: {deed}, {SMALL}"), "ms", few);
    let many = report.figure(&format!("growth: {deed}, {stored}"), "ms", many);
    report.limit(&format!("{deed}, {stored} / {SMALL}"), many / few, FLAT);
    Ok(())
}
