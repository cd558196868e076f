//! Messages to one customer that are due together: whoever asks first, each is told the same instant.

use jiff::Timestamp;
use recoup::domain::campaign::Touches;
use recoup::domain::message::Message;
use recoup::store::touches::{Touch, touch};
use recoup::store::{Store, StoreError, notifications};

use super::samples::{self, case, in_secs, notification_id, now};
use crate::support::databases::each_database;

const TWO_IN_A_WEEK: Touches = Touches {
    most: 2,
    within_days: 7,
    apart_hours: 48,
};
const HOUR_SECS: i64 = 3600;

/// Three invoices of one customer, each with a reminder that is due now.
async fn three(store: &Store) {
    for number in [1, 3, 5] {
        samples::open(store, &case(number)).await.unwrap();
        let tx = store.begin().await.unwrap();
        assert!(samples::queue(&tx, number, &case(number), Message::Reminder, "reminder").await);
        tx.commit().await.unwrap();
    }
}

/// When the message may leave, in hours from the begin, for which it is put back into the queue; nothing if it leaves now.
async fn ask(store: &Store, number: u32, now: Timestamp, limits: Touches) -> Result<Option<i64>, StoreError> {
    let id = notification_id(number);
    let asks = Touch {
        id: &id,
        connection: "stripe",
        customer_id: "cus_1",
        last_word: false,
        queued_at: samples::now(),
        now,
    };
    let later = touch(store, asks, limits).await?;
    if let Some(later) = later {
        assert!(notifications::put_back(store.conn(), &id, later, "touches").await?);
    }
    Ok(later.map(|at| (at.as_second() - samples::now().as_second()) / HOUR_SECS))
}

#[test]
fn whoever_asks_first_all_are_told_the_same() {
    for order in [[1, 3, 5], [1, 5, 3], [3, 1, 5], [3, 5, 1], [5, 1, 3], [5, 3, 1]] {
        each_database(async |store| {
            three(&store).await;
            for number in order {
                let expected = (number != 1).then_some(48);
                let told = ask(&store, number, now(), TWO_IN_A_WEEK).await.unwrap();
                assert_eq!(told, expected, "{number} of {order:?}");
            }
            // The first is still on its way: it is counted once.
            let two_days = in_secs(48 * HOUR_SECS);
            for number in order.into_iter().filter(|number| *number != 1) {
                let expected = (number != 3).then_some(7 * 24);
                let told = ask(&store, number, two_days, TWO_IN_A_WEEK).await.unwrap();
                assert_eq!(told, expected, "{number} of {order:?}, two days later");
            }
        });
    }
}

#[test]
fn one_that_is_on_its_way_keeps_none_waiting_where_nothing_lies_between() {
    let limits = Touches {
        apart_hours: 0,
        ..TWO_IN_A_WEEK
    };
    each_database(async |store| {
        three(&store).await;
        for (number, expected) in [(1, None), (3, None), (5, Some(7 * 24))] {
            assert_eq!(ask(&store, number, now(), limits).await.unwrap(), expected, "{number}");
        }
    });
}
