//! The lives of an event and of a notification.

use jiff::Timestamp;
use recoup::domain::ids::{InboxId, NotificationId};
use recoup::domain::message::Message;
use recoup::domain::outcome::{Outcome, RecoveredBy};
use recoup::store::changes::{EndsFrom, NoticeEnd};
use recoup::store::inbox::{self, EventEnd, InboxStatus, NewInbox, Received};
use recoup::store::notifications::{self, NotificationRow, NotificationStatus, Rendered};
use recoup::store::{Store, cases};

use super::ledger::lines;
use super::samples::{self, case, case_id, ended, event, in_secs, notification_id, now, open};
use crate::support::databases::each_database;

const WORDS: Rendered<'_> = Rendered {
    recipient: "ada@example.com",
    locale: "en",
    subject: "Your payment",
    text: "Hello",
    html: "<p>Hello</p>",
};

#[test]
fn an_event_sent_twenty_times_at_once_is_taken_in_once() {
    each_database(async |store| {
        let senders = (0..20).map(|number| {
            let store = store.clone();
            let event = NewInbox {
                event_id: "evt_same".to_owned(),
                ..event(number)
            };
            tokio::spawn(async move { inbox::insert(&store, &event).await.unwrap() })
        });
        let mut accepted = 0;
        for sender in senders.collect::<Vec<_>>() {
            accepted += i32::from(sender.await.unwrap() == Received::Accepted);
        }
        assert_eq!(accepted, 1);
        let elsewhere = NewInbox {
            connection: "other".to_owned(),
            event_id: "evt_same".to_owned(),
            ..event(21)
        };
        assert_eq!(inbox::insert(&store, &elsewhere).await.unwrap(), Received::Accepted);
        assert_eq!(inbox::counts(store.conn()).await.unwrap(), [(InboxStatus::Pending, 2)]);
    });
}

#[test]
fn an_event_is_deferred_dies_and_runs_again() {
    each_database(async |store| {
        let ignored = NewInbox {
            status: InboxStatus::Ignored,
            reason: Some("unknown kind".to_owned()),
            ..event(2)
        };
        inbox::insert(&store, &event(1)).await.unwrap();
        inbox::insert(&store, &ignored).await.unwrap();
        let claimed = inbox::claim(&store, now(), 9, 60, "a").await.unwrap();
        assert_eq!(claimed.len(), 1);
        let id = &claimed[0].id;
        assert_eq!((&claimed[0].body, claimed[0].tries), (&event(1).body, 0));

        assert!(defer(&store, id, in_secs(10), "provider away").await);
        assert_eq!(cases::next_due(&store, now()).await.unwrap(), Some(in_secs(10)));
        assert_eq!(inbox::claim(&store, in_secs(9), 9, 60, "a").await.unwrap(), []);
        let again = inbox::claim(&store, in_secs(10), 9, 60, "a").await.unwrap();
        assert_eq!((again[0].tries, again[0].reason.as_deref()), (1, Some("provider away")));

        assert!(end(&store, id, InboxStatus::Dead, Some("poison"), in_secs(11)).await);
        assert!(!end(&store, id, InboxStatus::Processed, None, in_secs(12)).await);
        assert!(!defer(&store, id, in_secs(99), "late").await);
        assert_eq!(cases::next_due(&store, now()).await.unwrap(), None);
        let dead = inbox::list(store.conn(), Some(InboxStatus::Dead), None, 9)
            .await
            .unwrap();
        assert_eq!((&dead[0].id, dead[0].ended_at), (id, Some(in_secs(11))));

        let tx = store.begin().await.unwrap();
        assert!(inbox::rerun(&tx, id, in_secs(20)).await.unwrap());
        assert!(!inbox::rerun(&tx, id, in_secs(20)).await.unwrap());
        tx.commit().await.unwrap();
        let alive = inbox::claim(&store, in_secs(20), 9, 60, "a").await.unwrap().remove(0);
        assert_eq!((alive.tries, alive.reason, alive.ended_at), (0, None, None));
        assert!(end(&store, id, InboxStatus::Processed, None, in_secs(21)).await);
        let processed = inbox::find(store.conn(), id).await.unwrap().unwrap();
        assert_eq!(processed.status, InboxStatus::Processed);

        let newest = inbox::list(store.conn(), None, None, 1).await.unwrap();
        assert_eq!(newest[0].reason.as_deref(), Some("unknown kind"));
        let rest = inbox::list(store.conn(), None, Some(&newest[0].id), 9).await.unwrap();
        assert_eq!(rest.len(), 1);
    });
}

#[test]
fn a_notification_leaves_once_and_only_under_its_lease() {
    each_database(async |store| {
        queue(&store, 1, Message::PaymentFailed, "first").await;
        let id = notification_id(1);
        assert!(
            !notifications::start(store.conn(), &id, WORDS).await.unwrap(),
            "nobody holds it"
        );
        let claimed = notifications::claim_due(&store, now(), 9, 60, "a").await.unwrap();
        assert_eq!((claimed.len(), claimed[0].status), (1, NotificationStatus::Pending));
        assert!(
            notifications::put_back(store.conn(), &id, in_secs(5), "not due yet")
                .await
                .unwrap()
        );
        assert_eq!(notifications::claim_due(&store, now(), 9, 60, "a").await.unwrap(), []);
        notifications::claim_due(&store, in_secs(5), 9, 60, "a").await.unwrap();

        assert!(notifications::start(store.conn(), &id, WORDS).await.unwrap());
        assert!(!notifications::start(store.conn(), &id, WORDS).await.unwrap());
        assert!(
            !notifications::put_back(store.conn(), &id, now(), "too late")
                .await
                .unwrap()
        );
        assert!(
            notifications::retry(store.conn(), &id, in_secs(60), "refused for now")
                .await
                .unwrap()
        );
        let waiting = one(&store, 1).await;
        assert_eq!(
            (waiting.status, waiting.tries, waiting.next_at),
            (NotificationStatus::Pending, 1, in_secs(60))
        );

        notifications::claim_due(&store, in_secs(60), 9, 60, "b").await.unwrap();
        assert!(notifications::start(store.conn(), &id, WORDS).await.unwrap());
        let sent = NotificationStatus::Sent;
        assert!(end_notice(&store, &id, sent, false, in_secs(61)).await);
        assert!(!end_notice(&store, &id, NotificationStatus::Failed, false, in_secs(62)).await);
        let gone = one(&store, 1).await;
        assert_eq!((gone.status, gone.ended_at), (sent, Some(in_secs(61))));
        assert_eq!(gone.recipient.as_deref(), Some("ada@example.com"));
        assert_eq!(gone.body_html.as_deref(), Some("<p>Hello</p>"));
        assert!(!format!("{gone:?}").contains("ada@"));
    });
}

#[test]
fn what_a_dead_sender_left_is_unknown_until_a_true_answer_comes() {
    each_database(async |store| {
        queue(&store, 1, Message::Reminder, "first").await;
        let id = notification_id(1);
        notifications::claim_due(&store, now(), 9, 60, "a").await.unwrap();
        assert!(notifications::start(store.conn(), &id, WORDS).await.unwrap());
        let lose = async |id| end_notice(&store, id, NotificationStatus::Unknown, true, in_secs(10)).await;
        assert_eq!(notifications::stranded(&store, 9).await.unwrap(), []);
        assert!(!lose(&id).await, "its lease has not ended");
        store.end_leases().await.unwrap();
        let stranded = notifications::stranded(&store, 9).await.unwrap();
        assert_eq!(stranded.iter().map(|row| &row.id).collect::<Vec<_>>(), [&id]);
        assert!(lose(&id).await);
        assert!(!lose(&id).await);
        let left = one(&store, 1).await;
        assert_eq!(
            (left.status, left.ended_at),
            (NotificationStatus::Unknown, Some(in_secs(10)))
        );
        assert_eq!(
            notifications::claim_due(&store, in_secs(99), 9, 60, "b").await.unwrap(),
            []
        );
        assert!(end_notice(&store, &id, NotificationStatus::Sent, false, in_secs(11)).await);
        assert_eq!(one(&store, 1).await.status, NotificationStatus::Sent);
    });
}

#[test]
fn each_step_once_and_no_dunning_after_the_money() {
    each_database(async |store| {
        queue(&store, 1, Message::PaymentFailed, "first").await;
        queue(&store, 2, Message::FinalNotice, "last").await;
        queue(&store, 3, Message::PaymentReceived, "receipt").await;
        let claimed = notifications::claim_due(&store, now(), 1, 60, "a")
            .await
            .unwrap()
            .remove(0);

        let tx = store.begin().await.unwrap();
        assert!(!samples::queue(&tx, 4, &case(1), Message::Reminder, "last").await);
        let paid = ended(
            1,
            Outcome::Recovered {
                by: RecoveredBy::Customer,
            },
        );
        samples::save(&tx, &paid, now()).await.unwrap();
        assert_eq!(
            notifications::hold_back(&tx, &[(&case_id(1), "paid", in_secs(1))])
                .await
                .unwrap(),
            2
        );
        tx.commit().await.unwrap();

        // The worker that held one of them asks before it sends, and is told no.
        assert!(!notifications::start(store.conn(), &claimed.id, WORDS).await.unwrap());
        let all = notifications::by_case(store.conn(), &case_id(1)).await.unwrap();
        let told: Vec<_> = all
            .iter()
            .map(|row| (row.message, row.status, row.reason.as_deref()))
            .collect();
        let superseded = NotificationStatus::Superseded;
        let expected = [
            (Message::PaymentFailed, superseded, Some("paid")),
            (Message::FinalNotice, superseded, Some("paid")),
            (Message::PaymentReceived, NotificationStatus::Pending, None),
        ];
        assert_eq!(told, expected);
        let page = notifications::list(store.conn(), Some(&case_id(1)), Some(&notification_id(3)), 1)
            .await
            .unwrap();
        assert_eq!(page, [all[1].clone()]);
        assert_eq!(notifications::list(store.conn(), None, None, 9).await.unwrap().len(), 3);
    });
}

async fn queue(store: &Store, number: u32, message: Message, step: &str) {
    open(store, &case(1)).await.unwrap();
    let tx = store.begin().await.unwrap();
    assert!(samples::queue(&tx, number, &case(1), message, step).await);
    tx.commit().await.unwrap();
}

async fn one(store: &Store, number: u32) -> NotificationRow {
    notifications::find(store.conn(), &notification_id(number))
        .await
        .unwrap()
        .unwrap()
}

async fn end(store: &Store, id: &InboxId, status: InboxStatus, reason: Option<&str>, at: Timestamp) -> bool {
    let id = id.clone();
    let reason = reason.map(str::to_owned);
    settle(store, EventEnd::Ended { id, status, reason, at }).await
}

async fn defer(store: &Store, id: &InboxId, next_at: Timestamp, reason: &str) -> bool {
    let (id, reason) = (id.clone(), reason.to_owned());
    settle(store, EventEnd::Deferred { id, next_at, reason }).await
}

async fn settle(store: &Store, end: EventEnd) -> bool {
    let tx = store.begin().await.unwrap();
    let settled = inbox::settle(&tx, &[&end]).await.unwrap();
    tx.commit().await.unwrap();
    settled.contains(end.id())
}

async fn end_notice(
    store: &Store,
    id: &NotificationId,
    status: NotificationStatus,
    only_stranded: bool,
    at: Timestamp,
) -> bool {
    let end = NoticeEnd {
        id: id.clone(),
        connection: "stripe".to_owned(),
        case_id: case_id(1),
        status,
        reason: None,
        from: if only_stranded {
            EndsFrom::Stranded
        } else {
            EndsFrom::Queue
        },
        line: lines(&["It ended."]).remove(0),
        at,
    };
    let tx = store.begin().await.unwrap();
    let ended = notifications::end(&tx, &[&end]).await.unwrap();
    tx.commit().await.unwrap();
    ended.contains(id)
}
