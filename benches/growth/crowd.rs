//! Many stored cases: a few are written through the store with all that belongs to them, and the server copies them.

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};
use recoup::domain::case::{Birth, CampaignRef, Case, Collector, Contact, Memory, Origin, State, Timers};
use recoup::domain::command::{Entry, EntryKind};
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::event::SeenAttempt;
use recoup::domain::ids::{AttemptId, CaseId, NotificationId, TimelineId, TransferId};
use recoup::domain::instrument::Instrument;
use recoup::domain::ledger::transfers;
use recoup::domain::message::Message;
use recoup::domain::money::Money;
use recoup::domain::network::Network;
use recoup::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use recoup::mailer::{Locale, MailContext, Templates};
use recoup::store::changes::{self, CaseChange, Line, NewNotice, RowWrite, Written};
use recoup::store::{Store, StoreError};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::json;

/// What a case that has ended has collected.
const LINES: u64 = 10;
const ATTEMPTS: u64 = 3;
const NOTICES: u64 = 4;
/// So many cases are copied by one statement.
const COPIED_AT_ONCE: u64 = 50_000;
/// Of so many cases, in the order of `SHAPES`, which shape begins where.
const MIX: u64 = 200;
pub const DAY_MS: i64 = 86_400_000;
/// Cases were opened over two years; those that are open were so in the last two weeks.
pub const SPAN_DAYS: i64 = 730;
const OPEN_DAYS: i64 = 14;
/// What the children of a copied case are copied from, with the columns that a copy has of its own.
const CHILDREN: [(&str, &str, &str, &str); 4] = [
    ("timeline", "tl", "at", "seq"),
    (
        "attempts",
        "att",
        "started_at",
        "row_number() OVER (PARTITION BY crowd.i)",
    ),
    (
        "notifications",
        "ntf",
        "queued_at",
        "row_number() OVER (PARTITION BY crowd.i)",
    ),
    ("ledger", "trf", "booked_at", "1"),
];

/// A kind of case, where it begins in the mix, and whether it is due.
struct Shape {
    from: u64,
    state: State,
    rare: bool,
    due: bool,
}

fn shapes() -> Vec<Shape> {
    let ended = |from, rare, outcome| Shape {
        from,
        state: State::Closed { outcome },
        rare,
        due: false,
    };
    let open = |from, rare, due| Shape {
        from,
        state: State::Active,
        rare,
        due,
    };
    let recovered = Outcome::Recovered { by: RecoveredBy::Retry };
    let exhausted = Outcome::Exhausted {
        reason: ExhaustedReason::AttemptsSpent,
        then: ExhaustedThen::Cancelled,
    };
    let stopped = Outcome::Stopped {
        why: StoppedWhy::CustomerCancelled,
    };
    vec![
        open(0, false, true),
        open(4, false, false),
        open(8, true, false),
        ended(9, true, recovered),
        ended(18, false, recovered),
        ended(138, false, exhausted),
        ended(188, false, stopped),
    ]
}

/// The kind of decline that few cases have.
pub const RARE: DeclineKind = DeclineKind::Limit;

/// A case of number `number` that was opened at `opened`, with so many lines, attempts and messages.
fn opening(number: u64, opened: Timestamp, shape: &Shape, history: [u64; 3]) -> CaseChange {
    let case = case(number, opened, shape, history);
    let born = opened.as_millisecond();
    let id = |nth: u64| u128::from(number) << 8 | u128::from(nth);
    let lines = (0..history[0]).map(|nth| Line {
        id: TimelineId::new(born, id(nth)),
        at: opened,
        actor: "engine".to_owned(),
        entry: Entry {
            kind: EntryKind::AttemptAnswered,
            text: "The charge was declined (insufficient_funds); the next one is planned for the customer's payday."
                .to_owned(),
            data: json!({"attempt": AttemptId::new(born, id(nth)), "kind": case.decline.kind, "network_code": "51",
                "rule": "visa_15_in_30_days", "campaign": {"name": "default", "version": 1}, "next_at": opened}),
        },
    });
    let attempts = (0..history[1]).map(|nth| {
        let seen = SeenAttempt {
            charge_id: Some(format!("ch_{:024x}", id(nth))),
            at: opened,
            amount: case.amount_due,
            decline: case.decline.clone(),
            payment_method: Some(format!("pm_{number:024x}")),
            instrument: Some(Instrument {
                key: format!("fp_{number:024x}"),
                network: Network::Visa,
                country: None,
                funding: None,
                bank: None,
            }),
        };
        RowWrite::RecordAttempt(AttemptId::new(born, id(nth)), seen, Origin::Us)
    });
    let notices = (0..history[2]).map(|nth| {
        RowWrite::Queue(NewNotice {
            id: NotificationId::new(born, id(nth)),
            message: Message::PaymentFailed,
            step: format!("step_{nth}"),
            due_at: case.opened_at,
            recipient: None,
        })
    });
    let owed = transfers(None, &case, &[]).into_iter().take(1);
    let owed = owed.map(|transfer| RowWrite::Book(TransferId::new(born, id(0)), transfer));
    CaseChange {
        restated: true,
        lines: lines.collect(),
        rows: attempts.chain(notices).chain(owed).collect(),
        audit: Vec::new(),
        release: None,
        at: opened,
        case,
    }
}

fn case(number: u64, opened: Timestamp, shape: &Shape, [_, attempts, notices]: [u64; 3]) -> Case {
    let closed = matches!(shape.state, State::Closed { .. });
    let hours = |hours| opened + SignedDuration::from_hours(hours);
    let kind = if shape.rare {
        RARE
    } else {
        DeclineKind::InsufficientFunds
    };
    let mut memory = Memory::since(opened);
    memory.known_charges = (0..attempts).map(|nth| format!("ch_{number:023x}{nth}")).collect();
    memory.steps_done = (0..notices).map(|nth| format!("step_{nth}")).collect();
    memory.description = Some("Professional, monthly".to_owned());
    memory.pay_url = Some(format!("https://invoice.stripe.com/i/acct_bench/test_{number:060x}"));
    Case {
        id: CaseId::new(opened.as_millisecond(), u128::from(number)),
        connection: "stripe".to_owned(),
        invoice_id: format!("in_{number:024x}"),
        subscription_id: Some(format!("sub_{number:024x}")),
        customer_id: format!("cus_{number:014x}"),
        amount_due: Money::new(1999, "EUR".parse().expect("a currency")),
        state: shape.state.clone(),
        decline: Decline {
            kind,
            disposition: Disposition::Retry,
            provider_code: Some(kind.as_str().to_owned()),
            network_code: Some("51".to_owned()),
            advice_code: Some("try_again_later".to_owned()),
        },
        campaign: CampaignRef {
            name: "default".to_owned(),
            version: 1,
        },
        collector: Collector::Us,
        opened_at: opened,
        closed_at: closed.then(|| hours(240)),
        zone: "Europe/Berlin".to_owned(),
        contact: Contact {
            email: Some(format!("customer.{number}@example.com")),
            name: Some("Marlene Okafor".to_owned()),
            alternate: None,
            locale: Some("en".to_owned()),
        },
        timers: Timers {
            charge_at: (!closed).then(|| hours(72)),
            final_at: (!closed).then(|| hours(336)),
            ..Timers::default()
        },
        warnings: Vec::new(),
        attempts: u32::try_from(attempts).expect("a few"),
        notifications: u32::try_from(notices).expect("a few"),
        reversal_of: None,
        birth: Birth::default(),
        memory,
    }
}

/// A case as it is when it has just been opened: what one failed payment writes.
pub fn newborn(number: u64, now: Timestamp) -> CaseChange {
    let shape = Shape {
        from: 0,
        state: State::Active,
        rare: false,
        due: true,
    };
    opening(number, now, &shape, [3, 1, 1])
}

/// One case of each shape, in the order of `SHAPES`, opened now: what others are copied from.
pub fn moulds(now: Timestamp) -> Vec<CaseChange> {
    let number = |(number, shape): (u64, Shape)| opening(number, now, &shape, [LINES, ATTEMPTS, NOTICES]);
    (1..).zip(shapes()).map(number).collect()
}

/// Writes a new case through the store, as the engine does.
pub async fn write(store: &Store, change: CaseChange) -> Result<(), StoreError> {
    let mut pieces = vec![Written::Opened(Box::new(change))];
    changes::commit(store, &[], &|_| Vec::new(), &mut |_| std::mem::take(&mut pieces)).await?;
    Ok(())
}

/// A schema that is filled.
pub struct Crowd {
    store: Store,
    now: Timestamp,
    /// The first number that no case has.
    next: u64,
}

impl Crowd {
    /// Connects to a migrated schema and writes what is copied.
    pub async fn begin(url: &str, now: Timestamp) -> anyhow::Result<Self> {
        let store = Store::connect(url, 1).await?;
        for days in (0..=SPAN_DAYS).step_by(28) {
            store.make_months(now - SignedDuration::from_hours(24 * days)).await?;
        }
        for change in moulds(now) {
            write(&store, change).await?;
        }
        let mail = MailContext::samples(Message::PaymentFailed).swap_remove(0);
        let mail = Templates::new()?.render(Message::PaymentFailed, 0, Locale::pick(Some("en"), None), &mail)?;
        let values = [mail.subject, mail.text, mail.html].map(Into::into);
        let sql = "UPDATE notifications SET status = 'sent', ended_at = queued_at, recipient = 'customer@example.com', \
                   locale = 'en', subject = $1, body_text = $2, body_html = $3";
        let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
        store.conn().execute_raw(statement).await?;
        // Whoever copies checks no law again: the copies keep them as the originals do.
        for sql in [
            "SET statement_timeout = 0",
            "SET session_replication_role = replica",
            "SET synchronous_commit = off",
            "CREATE TEMPORARY TABLE mould AS SELECT * FROM cases ORDER BY id",
        ] {
            store.conn().execute_unprepared(sql).await?;
        }
        Ok(Self { store, now, next: 1000 })
    }

    /// Adds `count` cases, at most `whole` of them with all that belongs to a case.
    pub async fn add(&mut self, count: u64, whole: u64) -> anyhow::Result<()> {
        let bar = ProgressBar::new(count).with_style(
            ProgressStyle::with_template("{bar:30} {human_pos} of {human_len} cases, {eta} left")
                .expect("the template is valid"),
        );
        let first = self.next;
        while self.next < first + count {
            let until = (self.next + COPIED_AT_ONCE).min(first + count);
            let crowd = self.crowd(first, count, self.next, until);
            self.copy(&crowd, self.next - first < whole).await?;
            self.next = until;
            bar.set_position(until - first);
        }
        bar.finish_and_clear();
        self.store.conn().execute_unprepared("VACUUM (ANALYZE)").await?;
        Ok(())
    }

    /// What the database holds, in GiB.
    pub async fn bytes(&self) -> anyhow::Result<f64> {
        let sql = "SELECT SUM(pg_total_relation_size(c.oid))::float8 / (1 << 30) FROM pg_class c \
                   WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace";
        let statement = Statement::from_string(DbBackend::Postgres, sql);
        let row = self.store.conn().query_one_raw(statement).await?;
        Ok(row.map_or(Ok(0.0), |row| row.try_get_by_index(0))?)
    }

    /// Disconnects.
    pub async fn end(self) -> anyhow::Result<()> {
        Ok(self.store.close().await?)
    }

    /// The copies of numbers `from` to `until`, as a table: number, mould, when it was opened, id, when it is due.
    fn crowd(&self, first: u64, count: u64, from: u64, until: u64) -> String {
        let now = self.now.as_millisecond();
        let shapes = shapes();
        let by_shape = |value: &dyn Fn(usize, &Shape) -> String| {
            let shapes = shapes.iter().enumerate().rev();
            let cases =
                shapes.map(|(nth, shape)| format!("WHEN i % {MIX} >= {} THEN {}", shape.from, value(nth, shape)));
            format!("CASE {} END", cases.collect::<Vec<_>>().join(" "))
        };
        let mould = by_shape(&|nth, _| (nth + 1).to_string());
        let due = by_shape(&|_, shape| match shape {
            Shape { due: true, .. } => format!("{now} - i % 100000"),
            Shape {
                state: State::Active, ..
            } => format!("{now} + {DAY_MS} + i % 100000"),
            _ => "NULL".to_owned(),
        });
        let age = |days: i64| format!("{now} - {days} * {DAY_MS}::bigint");
        format!(
            "(SELECT i, mould, due_at, opened, 'case_' || lpad(to_hex(opened), 12, '0') || lpad(to_hex(i), 20, '0') AS id \
             FROM (SELECT i, {mould} AS mould, {due} AS due_at, \
             (CASE WHEN i % {MIX} < {open} THEN {} + (i - {first}) * {OPEN_DAYS} * {DAY_MS} / {count} \
             ELSE {} + (i - {first}) * {} * {DAY_MS} / {count} END)::bigint AS opened \
             FROM generate_series({from}::bigint, {until}::bigint - 1) AS i) AS numbers) AS crowd",
            age(OPEN_DAYS),
            age(SPAN_DAYS),
            SPAN_DAYS - OPEN_DAYS,
            open = shapes[3].from,
        )
    }

    async fn copy(&self, crowd: &str, whole: bool) -> anyhow::Result<()> {
        let own = [
            ("id", "crowd.id"),
            ("invoice_id", "'in_' || substr(md5(crowd.i::text), 1, 24)"),
            ("subscription_id", "'sub_' || substr(md5('s' || crowd.i), 1, 24)"),
            ("customer_id", "'cus_' || substr(md5('c' || crowd.i / 3), 1, 14)"),
            ("opened_at", "crowd.opened"),
            ("closed_at", "crowd.opened + (original.closed_at - original.opened_at)"),
            ("updated_at", "crowd.opened"),
            ("next_action_at", "crowd.due_at"),
        ];
        let mould = format!(
            "{crowd} JOIN (SELECT *, row_number() OVER (ORDER BY id) AS nth FROM mould) AS original ON original.nth = crowd.mould"
        );
        self.copy_rows("cases", &own, &mould).await?;
        let sql = format!(
            "INSERT INTO due_cases (case_id, connection, invoice_id, due_at) \
             SELECT crowd.id, 'stripe', 'in_' || substr(md5(crowd.i::text), 1, 24), due_at FROM {crowd} \
             WHERE due_at IS NOT NULL"
        );
        self.store.conn().execute_unprepared(&sql).await?;
        if !whole {
            return Ok(());
        }
        for (table, prefix, at, nth) in CHILDREN {
            let id = format!(
                "'{prefix}_' || lpad(to_hex(crowd.opened), 12, '0') || lpad(to_hex(crowd.i * 16 + {nth}), 20, '0')"
            );
            let charge = format!("'ch_' || lpad(to_hex(crowd.i * 16 + {nth}), 24, '0')");
            let mut own = vec![("case_id", "crowd.id"), (at, "crowd.opened")];
            match table {
                "attempts" => own.extend([
                    ("id", id.as_str()),
                    ("charge_id", &charge),
                    ("ended_at", "crowd.opened"),
                ]),
                "ledger" => own.extend([("transfer_id", id.as_str()), ("reference", "'owed:' || crowd.id")]),
                "notifications" => {
                    own.extend([
                        ("id", id.as_str()),
                        ("next_at", "crowd.opened"),
                        ("ended_at", "crowd.opened"),
                    ]);
                }
                _ => own.push(("id", &id)),
            }
            let mould = format!(
                "{crowd} JOIN (SELECT id AS mould_id, row_number() OVER (ORDER BY id) AS nth FROM mould) AS moulds \
                 ON moulds.nth = crowd.mould JOIN {table} AS original ON original.case_id = moulds.mould_id"
            );
            self.copy_rows(table, &own, &mould).await?;
        }
        // The trigger that writes these is asleep while rows are copied.
        let charges = format!(
            "INSERT INTO attempt_charges SELECT 'stripe', 'ch_' || lpad(to_hex(crowd.i * 16 + nth), 24, '0'), \
             'att_' || lpad(to_hex(crowd.opened), 12, '0') || lpad(to_hex(crowd.i * 16 + nth), 20, '0') \
             FROM {crowd}, generate_series(1, {ATTEMPTS}) AS nth"
        );
        self.store.conn().execute_unprepared(&charges).await?;
        Ok(())
    }

    /// Copies rows of `from` into the table, all columns but its own ones as they are.
    async fn copy_rows(&self, table: &str, own: &[(&str, &str)], from: &str) -> anyhow::Result<()> {
        let columns = format!(
            "SELECT column_name::text FROM information_schema.columns WHERE table_schema = current_schema() \
             AND table_name = '{table}' ORDER BY ordinal_position"
        );
        let statement = Statement::from_string(DbBackend::Postgres, columns);
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for column in self.store.conn().query_all_raw(statement).await? {
            let name: String = column.try_get_by_index(0)?;
            let value = own.iter().find(|(own, _)| *own == name);
            values.push(value.map_or_else(|| format!("original.\"{name}\""), |(_, value)| (*value).to_owned()));
            names.push(format!("\"{name}\""));
        }
        let sql = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {from}",
            names.join(", "),
            values.join(", ")
        );
        self.store.conn().execute_unprepared(&sql).await?;
        Ok(())
    }
}
