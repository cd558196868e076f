//! What is written once and read often: attempts, timeline, audit, late money, and the rows of reports.

use recoup::domain::case::Origin;
use recoup::domain::command::{AttemptStatus, Entry, EntryKind, LateKind};
use recoup::domain::event::SeenAttempt;
use recoup::domain::ids::{AuditId, TimelineId};
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::store::audit::AuditRow;
use recoup::store::changes::{AttemptEnd, Line};
use recoup::store::{Dialect, attempts, audit, cases, late, reports, timeline};
use serde_json::json;

use super::samples::{append, attempt_id, case, case_id, decline, ended, eur, in_secs, now, open, open_attempt};
use crate::support::databases::each_database;

#[test]
fn an_attempt_is_closed_once_and_keeps_its_answer() {
    each_database(async |store| {
        let (first, second) = (case(1), case(2));
        open(&store, &first).await.unwrap();
        open(&store, &second).await.unwrap();
        let seen = SeenAttempt {
            charge_id: Some("ch_1".to_owned()),
            at: now(),
            amount: eur(1999),
            decline: decline(),
            payment_method: None,
            instrument: None,
        };
        let tx = store.begin().await.unwrap();
        assert!(
            attempts::record(&tx, &[(&attempt_id(1), &first, &seen, Origin::Provider, seen.at)])
                .await
                .unwrap()
                .contains(&attempt_id(1))
        );
        assert!(
            attempts::record(&tx, &[(&attempt_id(2), &second, &seen, Origin::Provider, seen.at)])
                .await
                .unwrap()
                .is_empty()
        );
        attempts::open(&tx, &[(&first, &open_attempt(3), Origin::Us)])
            .await
            .unwrap();
        let close = async |number, status, charge: Option<&str>| {
            let end = AttemptEnd {
                id: attempt_id(number),
                status,
                charge_id: charge.map(str::to_owned),
                decline: Some(decline()),
                instrument: None,
            };
            attempts::close(&tx, &[(&first.id, &end, in_secs(90))]).await.unwrap() == 1
        };
        // The charge is on record under another attempt: the answer stands, the name does not.
        assert!(close(3, AttemptStatus::Declined, Some("ch_1")).await);
        assert!(!close(3, AttemptStatus::Succeeded, Some("ch_2")).await);
        assert!(!close(9, AttemptStatus::Declined, None).await);
        tx.commit().await.unwrap();

        let rows = attempts::by_case(store.conn(), &first.id).await.unwrap();
        let told: Vec<_> = rows
            .iter()
            .map(|row| (row.origin, row.status, row.charge_id.as_deref()))
            .collect();
        let (theirs, ours) = (Origin::Provider, Origin::Us);
        let declined = AttemptStatus::Declined;
        assert_eq!(told, [(theirs, declined, Some("ch_1")), (ours, declined, None)]);
        assert_eq!(rows[1].decline, Some(decline()));
        assert_eq!((rows[1].started_at, rows[1].ended_at), (in_secs(60), Some(in_secs(90))));
        assert_eq!(rows[1].amount, eur(1999));
        assert_eq!(rows[1].trigger, Some(open_attempt(3).trigger));
    });
}

#[test]
fn a_timeline_keeps_the_order_in_which_it_was_written() {
    each_database(async |store| {
        open(&store, &case(1)).await.unwrap();
        // All at the same instant: the order of the ids says nothing.
        for texts in [["one", "two", "three"], ["four", "five", "six"]] {
            let tx = store.begin().await.unwrap();
            append(&tx, &case_id(1), &lines(&texts), now()).await.unwrap();
            tx.commit().await.unwrap();
        }
        let all = timeline::by_case(store.conn(), &case_id(1), 10, None).await.unwrap();
        let texts: Vec<_> = all.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["one", "two", "three", "four", "five", "six"]);
        assert_eq!(all[0].data, json!({"length": 3, "nested": [null, 1.5]}));
        assert_eq!(
            (all[0].kind, all[0].actor.as_str(), all[0].at),
            (EntryKind::Planned, "recoup", now())
        );

        let page = timeline::by_case(store.conn(), &case_id(1), 2, Some(&all[3].id))
            .await
            .unwrap();
        assert_eq!(page, all[4..]);

        let tx = store.begin().await.unwrap();
        let of_nothing = append(&tx, &case_id(9), &lines(&["of nothing"]), now()).await;
        // PostgreSQL does not look for the case of each line: whoever writes one holds its case.
        assert_eq!(of_nothing.is_err(), store.dialect() == Dialect::Sqlite);
    });
}

#[test]
fn the_audit_log_is_read_backwards_in_pages() {
    each_database(async |store| {
        let tx = store.begin().await.unwrap();
        for number in 1..=5 {
            audit::append(&tx, &audit_entry(number)).await.unwrap();
        }
        tx.commit().await.unwrap();
        let all = audit::AuditFilter::default();
        let newest = audit::list(store.conn(), &all, None, 2).await.unwrap();
        assert_eq!(newest, [audit_entry(5), audit_entry(4)]);
        let rest = audit::list(store.conn(), &all, Some(&newest[1].id), 9).await.unwrap();
        assert_eq!(rest, [audit_entry(3), audit_entry(2), audit_entry(1)]);
    });
}

#[test]
fn late_money_and_report_rows_belong_to_their_time() {
    each_database(async |store| {
        let outcome = Outcome::Recovered {
            by: RecoveredBy::Customer,
        };
        let recovered = ended(1, outcome);
        let mut later = case(2);
        later.opened_at = in_secs(100);
        open(&store, &recovered).await.unwrap();
        open(&store, &later).await.unwrap();
        let tx = store.begin().await.unwrap();
        cases::lock(&tx, &recovered.id).await.unwrap().unwrap();
        for (kind, secs) in [(LateKind::Refund, 500), (LateKind::Dispute, 600)] {
            late::book(&tx, &recovered, kind, eur(1999), in_secs(secs))
                .await
                .unwrap();
        }
        tx.commit().await.unwrap();

        let booked = late::list(store.conn(), in_secs(500), in_secs(600)).await.unwrap();
        assert_eq!(booked.len(), 1);
        assert_eq!((booked[0].kind, booked[0].amount), (LateKind::Refund, eur(1999)));
        assert_eq!(
            reports::late_rows(store.conn(), now(), in_secs(1)).await.unwrap().len(),
            2
        );
        assert_eq!(
            reports::late_rows(store.conn(), in_secs(1), in_secs(999))
                .await
                .unwrap(),
            []
        );
    });
}

/// Lines with random ids of the same instant.
pub fn lines(texts: &[&str]) -> Vec<Line> {
    let line = |text: &&str| {
        let entry = Entry {
            kind: EntryKind::Planned,
            text: (*text).to_owned(),
            data: json!({"length": text.len(), "nested": [null, 1.5]}),
        };
        Line {
            id: TimelineId::new(now().as_millisecond(), recoup::clock::entropy()),
            at: now(),
            actor: "recoup".to_owned(),
            entry,
        }
    };
    texts.iter().map(line).collect()
}

pub fn audit_entry(number: u32) -> AuditRow {
    AuditRow {
        id: AuditId::new(now().as_millisecond() + i64::from(number), 0),
        at: now(),
        actor: "ops".to_owned(),
        action: "pause".to_owned(),
        object: case_id(number).to_string(),
        comment: number.is_multiple_of(2).then(|| "customer called".to_owned()),
    }
}
