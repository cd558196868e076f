//! The running process, by the system's clock: what is slow in one queue holds up none of the others.

use std::time::Duration;

use recoup::clock::{Clock, entropy};
use recoup::domain::ids::InboxId;
use recoup::store::inbox::{self, InboxStatus, NewInbox};
use recoup::store::settings;

use super::crew::{Crew, Read, play};
use crate::support::story::Story;

const START: &str = "2026-03-02T08:30:00Z";
/// Far longer than an event takes, so that only one that is held up runs into it.
const PATIENCE: Duration = Duration::from_secs(30);

#[test]
fn an_event_is_handled_while_a_charge_hangs() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("insufficient_funds");
        story.settle().await;
        // By the system's clock the case is long overdue; that nobody worked since would have to be reconciled first.
        let now = Clock::System.now().to_string();
        settings::set(story.app.store.conn(), "heartbeat", &now).await.unwrap();
        let crew = Crew::at(story, Clock::System);
        crew.puppet.next_read(Read::Hold);
        let worker = {
            let engine = crew.engine.clone();
            tokio::spawn(async move { engine.work().await.unwrap() })
        };
        crew.puppet.held(1).await;

        let id = InboxId::new(story.now().as_millisecond(), entropy());
        let event = NewInbox {
            id: id.clone(),
            connection: "stripe".to_owned(),
            event_id: "evt_1".to_owned(),
            kind: "price.created".to_owned(),
            body: br#"{"id": "evt_1", "type": "price.created", "created": 1772440200, "livemode": false, "data": {"object": {}}}"#.to_vec(),
            received_at: story.now(),
            status: InboxStatus::Pending,
            reason: None,
        };
        inbox::insert(&story.app.store, &event).await.unwrap();
        crew.engine.nudge();
        let ended = async {
            while inbox::find(story.app.store.conn(), &id).await.unwrap().unwrap().status == InboxStatus::Pending {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, ended)
            .await
            .expect("the event is handled");

        crew.puppet.go(1);
        crew.engine.stop();
        worker.await.unwrap();
        story.settle().await;
        assert_eq!(
            story.sandbox.books().successes(&failed.invoice),
            1,
            "what was begun is finished"
        );
    });
}
