//! History that lies by month on PostgreSQL and in plain tables on SQLite: the same laws, and what goes is what may go.

use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};
use migrations::{Migrator, MigratorTrait};
use recoup::domain::case::{Case, OpenAttempt, Origin, Timers};
use recoup::domain::command::AttemptStatus;
use recoup::domain::event::SeenAttempt;
use recoup::domain::ids::{AttemptId, CaseId, InboxId, NotificationId, TimelineId, TransferId};
use recoup::domain::ledger::transfers;
use recoup::domain::message::Message;
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::domain::report::{By, Cohort};
use recoup::domain::retention::Retention;
use recoup::store::changes::{AttemptEnd, CaseChange, EndsFrom, Line, NewNotice, NoticeEnd, RowWrite, Written};
use recoup::store::inbox::{self, InboxStatus, NewInbox, Received};
use recoup::store::notifications::{self, NotificationStatus};
use recoup::store::{Dialect, Oversight, Store, StoreError, attempts, ledger, rollups, timeline};
use sea_orm::{ConnectionTrait, Statement};

use super::ledger::lines;
use super::samples::{append, bare, case, decline, ended, eur, event, now, open_attempt, write};
use crate::support::databases::{each_database, each_url};

const MONTH: SignedDuration = SignedDuration::from_hours(31 * 24);

fn months_on(months: i32) -> Timestamp {
    now() + MONTH * months
}

/// A case that was opened so many months later, with a line, an attempt, a message and its place in the books.
fn whole(number: u32, months: i32) -> CaseChange {
    let at = months_on(months);
    let born = at.as_millisecond();
    let case = Case {
        id: CaseId::new(born, number.into()),
        opened_at: at,
        ..case(number)
    };
    let mut change = bare(&case, at);
    change.lines = lines(&["opened"]);
    change.lines[0].id = TimelineId::new(born, number.into());
    let seen = SeenAttempt {
        charge_id: Some(format!("ch_{number}")),
        at,
        amount: eur(1999),
        decline: decline(),
        payment_method: None,
        instrument: None,
    };
    change.rows = vec![
        RowWrite::RecordAttempt(AttemptId::new(born, number.into()), seen, Origin::Provider),
        RowWrite::Queue(NewNotice {
            id: NotificationId::new(born, number.into()),
            message: Message::Reminder,
            step: "first".to_owned(),
            due_at: change.at,
            recipient: None,
        }),
    ];
    for (nth, transfer) in (0..).zip(transfers(None, &case, &[])) {
        let id = TransferId::new(born, (u128::from(number) << 8) | nth);
        change.rows.push(RowWrite::Book(id, transfer));
    }
    change
}

async fn open_whole(store: &Store, number: u32, months: i32) -> Case {
    let change = whole(number, months);
    let case = change.case.clone();
    write(store, Written::Opened(Box::new(change))).await.unwrap();
    case
}

/// Closes a case at that instant.
async fn close(store: &Store, case: &Case, at: Timestamp) {
    let sample = ended(1, Outcome::Recovered { by: RecoveredBy::Retry });
    let closed = Case {
        state: sample.state,
        closed_at: Some(at),
        timers: sample.timers,
        ..case.clone()
    };
    write(store, Written::Changed(Box::new(bare(&closed, at))))
        .await
        .unwrap();
}

async fn texts<C: ConnectionTrait>(conn: &C, sql: &str) -> Vec<String> {
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let rows = conn.query_all_raw(statement).await.unwrap();
    rows.iter().map(|row| row.try_get_by_index(0).unwrap()).collect()
}

async fn counts(store: &Store) -> [usize; 4] {
    let mut counts = [0; 4];
    for (count, table) in counts
        .iter_mut()
        .zip(["timeline", "attempts", "notifications", "ledger"])
    {
        let sql = format!("SELECT case_id FROM {table}");
        *count = texts(store.conn(), &sql).await.len();
    }
    counts
}

fn event_of(number: u32, months: i32) -> NewInbox {
    NewInbox {
        id: InboxId::new(months_on(months).as_millisecond(), number.into()),
        received_at: months_on(months),
        ..event(number)
    }
}

#[test]
fn each_row_lies_in_the_month_of_its_case() {
    each_database(async |store| {
        if store.dialect() == Dialect::Sqlite {
            return;
        }
        // Replicas make them at once, and again.
        let (one, other) = tokio::join!(store.make_months(now()), store.make_months(now()));
        one.unwrap();
        other.unwrap();
        store.make_months(now()).await.unwrap();
        for (number, months) in [(1, 0), (2, 1), (3, 12)] {
            open_whole(&store, number, months).await;
            inbox::insert(&store, &event_of(number, months)).await.unwrap();
        }
        for table in ["timeline", "attempts", "notifications", "inbox_bodies"] {
            let sql = format!("SELECT CAST(CAST(tableoid AS regclass) AS TEXT) FROM {table} ORDER BY 1");
            let places = texts(store.conn(), &sql).await;
            // What no month was made for lies with the rest, where it is as good.
            let expected = ["2026_03", "2026_04", "other"].map(|month| format!("{table}_{month}"));
            assert_eq!(places, expected);
        }
        // The month stays with the rest then, and nothing is lost.
        store.make_months(months_on(12)).await.unwrap();
        assert_eq!(counts(&store).await, [3, 3, 3, 6]);
        let refused = store.conn().execute_unprepared("DELETE FROM timeline_2026_03").await;
        assert!(refused.unwrap_err().to_string().contains("append-only"));
    });
}

#[test]
fn the_laws_hold_across_months() {
    each_database(async |store| {
        store.make_months(now()).await.unwrap();
        let (march, april) = (open_whole(&store, 1, 0).await, open_whole(&store, 2, 1).await);
        for (number, case) in [(11, &march), (12, &april)] {
            let attempt = |number| OpenAttempt {
                id: AttemptId::new(months_on(2).as_millisecond(), number),
                ..open_attempt(1)
            };
            let tx = store.begin().await.unwrap();
            attempts::open(&tx, &[(case, &attempt(number), Origin::Us)])
                .await
                .unwrap();
            tx.commit().await.unwrap();
            let tx = store.begin().await.unwrap();
            let second = attempts::open(&tx, &[(case, &attempt(number + 10), Origin::Us)]).await;
            assert!(matches!(second, Err(StoreError::Conflict(_))), "{second:?}");
        }
        // A charge is on record once, whichever month its attempt lies in.
        let seen = SeenAttempt {
            charge_id: Some("ch_1".to_owned()),
            at: now(),
            amount: eur(1999),
            decline: decline(),
            payment_method: None,
            instrument: None,
        };
        let id = AttemptId::new(months_on(1).as_millisecond(), 99);
        let tx = store.begin().await.unwrap();
        let recorded = attempts::record(&tx, &[(&id, &april, &seen, Origin::Provider, seen.at)]).await;
        assert!(recorded.unwrap().is_empty());
        let end = AttemptEnd {
            id: AttemptId::new(months_on(2).as_millisecond(), 12),
            status: AttemptStatus::Declined,
            charge_id: Some("ch_1".to_owned()),
            decline: Some(decline()),
            instrument: None,
        };
        assert_eq!(attempts::close(&tx, &[(&april.id, &end, now())]).await.unwrap(), 1);
        tx.commit().await.unwrap();
        let ours = attempts::by_case(store.conn(), &april.id).await.unwrap();
        assert!(
            ours.iter().all(|row| row.charge_id.as_deref() != Some("ch_1")),
            "{ours:?}"
        );
        let by_hand = "UPDATE attempts SET charge_id = 'ch_1' WHERE charge_id = 'ch_2'";
        let refused = store.conn().execute_unprepared(by_hand).await.map_err(StoreError::from);
        assert!(matches!(refused, Err(StoreError::Conflict(_))), "{refused:?}");

        // An event is taken in once, however many months lie between its deliveries.
        assert_eq!(
            inbox::insert(&store, &event_of(1, 0)).await.unwrap(),
            Received::Accepted
        );
        let again = NewInbox {
            event_id: "evt_1".to_owned(),
            ..event_of(2, 2)
        };
        assert_eq!(inbox::insert(&store, &again).await.unwrap(), Received::Duplicate);
        let claimed = inbox::claim(&store, months_on(2), 9, 60, "me").await.unwrap();
        assert_eq!(claimed.len(), 1);
        assert_eq!(claimed[0].body, event(1).body);
    });
}

#[test]
fn only_what_may_go_goes() {
    each_database(async |store| {
        for month in 0..4 {
            store.make_months(months_on(month)).await.unwrap();
        }
        let march = [open_whole(&store, 1, 0).await, open_whole(&store, 2, 0).await];
        let april = open_whole(&store, 3, 1).await;
        close(&store, &march[0], months_on(1)).await;
        close(&store, &april, months_on(2)).await;
        for (number, months) in [(1, 0), (2, 0), (3, 2)] {
            inbox::insert(&store, &event_of(number, months)).await.unwrap();
        }
        let worked_on = "UPDATE inbox SET status = 'processed', ended_at = 1 WHERE event_id <> 'evt_2'";
        store.conn().execute_unprepared(worked_on).await.unwrap();
        let kept = Retention {
            inbox_days: Some(35),
            closed_cases_months: Some(6),
        };
        let keeper = store.clone().keeping(kept);
        let books = async || {
            let from = now() - SignedDuration::from_hours(1);
            let paid = ledger::recovered(store.conn(), from, months_on(20)).await.unwrap();
            let days = [date(2026, 1, 1), date(2028, 1, 1)];
            let rows = rollups::recovery(store.conn(), days, By::Outcome, Cohort::Day)
                .await
                .unwrap();
            let checked = store.check_books(None, 100).await.unwrap();
            format!("{paid:?} {rows:?} {checked:?}")
        };
        let before = books().await;

        store.tidy(months_on(20)).await.unwrap();
        assert_eq!(counts(&store).await, [3, 3, 3, 6], "without a retention nothing goes");
        keeper.tidy(months_on(3)).await.unwrap();
        assert_eq!(
            counts(&store).await,
            [3, 3, 3, 6],
            "nothing has been closed for long enough"
        );
        keeper.tidy(months_on(9)).await.unwrap();
        let left = timeline::by_case(store.conn(), &march[1].id, 9, None).await.unwrap();
        assert_eq!(left.len(), 1, "of an open case nothing goes");
        assert_eq!(timeline::by_case(store.conn(), &april.id, 9, None).await.unwrap(), []);
        // On PostgreSQL a month goes as a whole, so what shares it with an open case stays.
        let shared = usize::from(store.dialect() == Dialect::Postgres);
        assert_eq!(counts(&store).await, [1 + shared, 1 + shared, 1 + shared, 6]);
        assert_eq!(books().await, before);

        let events = inbox::list(store.conn(), None, None, 9).await.unwrap();
        let events: Vec<_> = events.iter().map(|row| (row.event_id.as_str(), row.status)).collect();
        assert_eq!(events, [("evt_2", InboxStatus::Pending)]);
        let claimed = inbox::claim(&store, months_on(9), 9, 60, "me").await.unwrap();
        assert_eq!(claimed[0].body, event(2).body, "what is not worked on keeps its body");

        close(&store, &march[1], months_on(9)).await;
        keeper.tidy(months_on(20)).await.unwrap();
        assert_eq!(counts(&store).await, [0, 0, 0, 6]);
        // Money that comes later still tells its line.
        let mut late = bare(&whole(1, 0).case, months_on(21));
        late.case = Case {
            closed_at: Some(months_on(1)),
            state: ended(1, Outcome::Recovered { by: RecoveredBy::Retry }).state,
            timers: Timers::default(),
            ..late.case
        };
        late.lines = lines(&["late"]);
        write(&store, Written::Changed(Box::new(late))).await.unwrap();
        assert_eq!(counts(&store).await[0], 1);
    });
}

/// How often this connection has scanned each of the tables that are kept by month, since it told the server last.
async fn scanned<C: ConnectionTrait>(conn: &C) -> Vec<String> {
    texts(
        conn,
        "SELECT relname || ' ' || COALESCE(seq_scan, 0) + COALESCE(idx_scan, 0) FROM pg_stat_xact_user_tables \
         WHERE schemaname = current_schema() AND relname ~ '_(20.._..|other)$' ORDER BY relname",
    )
    .await
}

#[test]
fn work_on_a_case_leaves_other_months_alone() {
    each_database(async |store| {
        if store.dialect() == Dialect::Sqlite {
            return;
        }
        for month in 0..6 {
            store.make_months(months_on(month)).await.unwrap();
            open_whole(&store, u32::try_from(month).unwrap(), month).await;
        }
        let case = whole(2, 2).case;
        // What a connection runs often is planned once for every case: also then.
        for _ in 0..8 {
            let tx = store.begin().await.unwrap();
            let before = scanned(tx.conn()).await;
            append(&tx, &case.id, &[line()], now()).await.unwrap();
            timeline::by_case(tx.conn(), &case.id, 9, None).await.unwrap();
            attempts::by_case(tx.conn(), &case.id).await.unwrap();
            notifications::by_case(tx.conn(), &case.id).await.unwrap();
            let end = AttemptEnd {
                id: AttemptId::new(months_on(2).as_millisecond(), 77),
                status: AttemptStatus::Declined,
                charge_id: Some("ch_new".to_owned()),
                decline: None,
                instrument: None,
            };
            attempts::close(&tx, &[(&case.id, &end, now())]).await.unwrap();
            notifications::hold_back(&tx, &[(&case.id, "paid", now())])
                .await
                .unwrap();
            let notice = NoticeEnd {
                id: NotificationId::new(months_on(2).as_millisecond(), 2),
                connection: case.connection.clone(),
                case_id: case.id.clone(),
                status: NotificationStatus::Sent,
                reason: None,
                from: EndsFrom::Queue,
                line: line(),
                at: now(),
            };
            notifications::end(&tx, &[&notice]).await.unwrap();
            let mut after = scanned(tx.conn()).await;
            after.retain(|table| !before.contains(table));
            let tables: Vec<_> = after.iter().filter_map(|table| table.split(' ').next()).collect();
            assert_eq!(
                tables,
                ["attempts_2026_05", "notifications_2026_05", "timeline_2026_05"]
            );
        }
    });
}

fn line() -> Line {
    lines(&["one"]).remove(0)
}

#[test]
fn what_was_there_moves_and_the_binary_before_goes_on() {
    each_url(&async |url: &str| {
        let store = Store::connect(url, 2).await.unwrap();
        Migrator::up(store.conn(), Some(5)).await.unwrap();
        let id = case(1).id;
        let old = [
            format!(
                "INSERT INTO cases (id, connection, invoice_id, customer_id, amount_minor, currency, status, state, \
                 decline_kind, decline_disposition, campaign_name, campaign_version, collector, opened_at, attempts, \
                 notifications, zone, warnings, memory, updated_at) VALUES ('{id}', 'stripe', 'in_1', 'cus_1', 1999, 'EUR', \
                 'open', 'waiting', 'limit', 'retry', 'default', 1, 'us', 1000, 1, 0, 'UTC', '[]', '{{}}', 2000)"
            ),
            format!(
                "INSERT INTO timeline (id, connection, case_id, seq, at, actor, kind, text, data) \
                 VALUES ('tl_1', 'stripe', '{id}', 1, 1, 'engine', 'opened', 'x', '{{}}')"
            ),
            attempt_before(&id, 1, "ch_1"),
            format!(
                "INSERT INTO notifications (id, connection, case_id, message, step, status, queued_at, next_at) \
                 VALUES ('ntf_1', 'stripe', '{id}', 'reminder', 'first', 'pending', 1, 1)"
            ),
            event_before(&store, 1),
            "UPDATE inbox SET status = 'dead', ended_at = 1".to_owned(),
            event_before(&store, 2),
        ];
        for sql in &old {
            store.conn().execute_unprepared(sql).await.unwrap();
        }
        store.migrate().await.unwrap();
        if store.dialect() == Dialect::Postgres {
            for table in ["timeline", "attempts", "notifications"] {
                let sql = format!("SELECT CAST(CAST(tableoid AS regclass) AS TEXT) FROM {table}");
                assert_eq!(texts(store.conn(), &sql).await, [format!("{table}_2026_03")]);
            }
            assert_eq!(texts(store.conn(), "SELECT id FROM inbox_bodies").await.len(), 1);
        }
        // The binary before takes events in, records what it sees and finds what it wrote.
        let count = async |sql: String| store.conn().execute_unprepared(&sql).await.unwrap().rows_affected();
        assert_eq!(count(event_before(&store, 2)).await, 0);
        assert_eq!(count(event_before(&store, 3)).await, 1);
        assert_eq!(count(attempt_before(&id, 2, "ch_1")).await, 0);
        assert_eq!(count(attempt_before(&id, 3, "ch_3")).await, 1);
        let sent = "UPDATE notifications SET status = 'sent', ended_at = 2 WHERE id = 'ntf_1' AND status = 'pending'";
        assert_eq!(count(sent.to_owned()).await, 1);
        let rows = inbox::list(store.conn(), None, None, 9).await.unwrap();
        assert!(rows.iter().all(|row| row.body == b"\x01"), "{rows:?}");

        let steps = u32::try_from(Migrator::migrations().len()).unwrap() - 5;
        Migrator::down(store.conn(), Some(steps)).await.unwrap();
        assert_eq!(
            texts(store.conn(), "SELECT id FROM attempts ORDER BY id").await,
            ["att_1", "att_3"]
        );
        let bodies = "SELECT event_id FROM inbox WHERE length(body) = 1 ORDER BY event_id";
        assert_eq!(texts(store.conn(), bodies).await.len(), 3);
        store.close().await.unwrap();
    });
}

/// An attempt that was seen, as the binary before records it.
fn attempt_before(case: &CaseId, number: u32, charge: &str) -> String {
    format!(
        "INSERT INTO attempts (id, connection, case_id, origin, status, amount_minor, currency, charge_id, started_at, \
         ended_at) VALUES ('att_{number}', 'stripe', '{case}', 'provider', 'declined', 1999, 'EUR', '{charge}', 1, 2) \
         ON CONFLICT DO NOTHING"
    )
}

/// An event as the binary before takes it in.
fn event_before(store: &Store, number: u32) -> String {
    let id = event(number).id;
    let body = match store.dialect() {
        Dialect::Sqlite => "x'01'",
        Dialect::Postgres => "'\\x01'",
    };
    format!(
        "INSERT INTO inbox (id, connection, event_id, kind, body, received_at, status, next_at) \
         VALUES ('{id}', 'stripe', 'evt_{number}', 'x', {body}, 1, 'pending', 1) \
         ON CONFLICT (connection, event_id) DO NOTHING"
    )
}
