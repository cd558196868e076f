//! Changes that wait for the right to write share one transaction, and whoever was answered gives its place in the queue up.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::clock::Clock;
use recoup::domain::campaign::{Campaign, Touches};
use recoup::domain::case::{CampaignRef, Case};
use recoup::domain::ceiling::Rules;
use recoup::domain::event::{StaffAction, Subscribed};
use recoup::domain::ids::{CaseId, EvidenceId, NotificationId};
use recoup::domain::instrument::History;
use recoup::domain::learning::Policy;
use recoup::domain::report::digest::{Dated, Span};
use recoup::domain::suppression::{SuppressionScope, SuppressionWhy};
use recoup::engine::{Brand, Engine, Parts, StaffError};
use recoup::mailer::{Mailer, Templates};
use recoup::store::cases::Claim;
use recoup::store::changes::{Asker, Decider};
use recoup::store::courtesies::{CourtesyRow, NewCourtesy};
use recoup::store::digests::{DigestRow, NewDigest};
use recoup::store::drift::{BooksPage, ChainCheck, OpenCase, OpenSince, Overdue};
use recoup::store::inbox::{InboxRow, InboxStatus, NewInbox, Received};
use recoup::store::learning::{Posterior, Waiting};
use recoup::store::letters::{Drawer, LetterEnd};
use recoup::store::notifications::{NotificationRow, Rendered};
use recoup::store::suppressions::NewSuppression;
use recoup::store::touches::Touch;
use recoup::store::{
    Courtesies, Digests, Lease, Letters, Oversight, Reach, Storage, Store, StoreError, audit, campaigns,
};
use tokio::sync::Semaphore;

use crate::store::samples;
use crate::support::campaigns::days;
use crate::support::clocks::Wrong;
use crate::support::databases::each_database;

/// How many transactions may be under way at the same time.
const WRITERS: usize = 3;
/// How many wait meanwhile.
const CROWD: usize = 40;

/// The real database, each transaction of which waits until the test lets it go on.
struct Held {
    store: Store,
    transactions: Mutex<Vec<Transaction>>,
}

struct Transaction {
    /// How many cases it changes.
    cases: usize,
    go: Arc<Semaphore>,
}

impl Held {
    /// How many cases each transaction so far has changed.
    fn sizes(&self) -> Vec<usize> {
        self.transactions.lock().unwrap().iter().map(|one| one.cases).collect()
    }

    /// Lets the transaction of that number go on.
    fn let_go(&self, number: usize) {
        self.transactions.lock().unwrap()[number].go.add_permits(1);
    }
}

/// A note of the staff on its way to the database.
type Note<'a> = Pin<Box<dyn Future<Output = Result<Case, StaffError>> + 'a>>;

/// Goes as far as it gets without queue; says whether it was answered.
async fn goes_on(note: &mut Note<'_>) -> bool {
    let ended = poll_fn(|context| Poll::Ready(note.as_mut().poll(context))).await;
    // One future does all of this, and the runtime would make it pause.
    tokio::task::yield_now().await;
    match ended {
        Poll::Ready(done) => {
            done.unwrap();
            true
        }
        Poll::Pending => false,
    }
}

/// Brings a note for each of the cases to where it waits: for the right to write, or for the test.
async fn bring<'a>(engine: &'a Engine, cases: &'a [CaseId]) -> Vec<Note<'a>> {
    let mut notes = Vec::new();
    for id in cases {
        let comment = Some("seen".to_owned());
        let mut note: Note<'_> = Box::pin(engine.staff(id, StaffAction::Note, "eve", comment));
        // It lays its request down, and then it queues.
        assert!(!goes_on(&mut note).await && !goes_on(&mut note).await);
        notes.push(note);
    }
    notes
}

#[test]
fn a_crowd_shares_a_transaction_and_whoever_was_answered_leaves_the_queue() {
    each_database(async |store| {
        campaigns::put(store.conn(), &days(), samples::now()).await.unwrap();
        let mut cases = Vec::new();
        for number in 0..u32::try_from(WRITERS + CROWD + 1).unwrap() {
            let case = samples::case(number);
            assert!(samples::open(&store, &case).await.unwrap());
            cases.push(case.id);
        }
        let held = Arc::new(Held {
            store: store.clone(),
            transactions: Mutex::default(),
        });
        let engine = Engine::new(parts(held.clone()));
        engine.campaign(&samples::case(0).campaign).await.unwrap();
        let (first, rest) = cases.split_at(WRITERS);
        let (late, crowd) = rest.split_first().unwrap();

        // As many as may write are at it, and a crowd comes meanwhile.
        let mut writing = bring(&engine, first).await;
        let mut queue = bring(&engine, crowd).await;
        assert_eq!(held.sizes(), [1, 1, 1]);
        held.let_go(0);
        writing.remove(0).await.unwrap();
        // Who is first in the queue writes for all of it.
        assert!(!goes_on(&mut queue[0]).await);
        assert_eq!(held.sizes(), [1, 1, 1, CROWD]);

        // One more comes, and the crowd is answered: each of it can go, nobody waits for a right that it does not need.
        let mut last = bring(&engine, std::slice::from_ref(late)).await;
        held.let_go(3);
        queue.remove(0).await.unwrap();
        for note in &mut queue {
            assert!(goes_on(note).await, "it was answered, and still stands in the queue");
        }
        assert!(!goes_on(&mut last[0]).await);
        assert_eq!(held.sizes(), [1, 1, 1, CROWD, 1]);

        // So all of it is there again for the next transaction.
        let mut again = bring(&engine, crowd).await;
        held.let_go(4);
        last.remove(0).await.unwrap();
        assert!(!goes_on(&mut again[0]).await);
        assert_eq!(held.sizes(), [1, 1, 1, CROWD, 1, CROWD]);
        held.let_go(5);
        again.remove(0).await.unwrap();
        for note in &mut again {
            assert!(goes_on(note).await);
        }
        for (number, note) in (1..).zip(writing) {
            held.let_go(number);
            note.await.unwrap();
        }
        assert_eq!(held.sizes().len(), 6);
        assert_eq!(
            audit::list(store.conn(), &audit::AuditFilter::default(), None, 200)
                .await
                .unwrap()
                .len(),
            WRITERS + 2 * CROWD + 1
        );
    });
}

fn parts(storage: Arc<Held>) -> Parts {
    Parts {
        storage,
        // By a simulated clock the engine does all of it in the caller's hands, so that the test says when.
        clock: Clock::Simulated(Wrong::by_secs(0)),
        connections: Vec::new(),
        mailer: Arc::new(Mailer::new(None, None).unwrap()),
        templates: Templates::new().unwrap(),
        brand: Brand {
            company: "Acme".to_owned(),
            support: None,
            look: recoup::domain::brand::Look::default(),
            links: None,
        },
        staff: Vec::new(),
        mails_per_domain_per_minute: 0,
        learning: Policy::default(),
        rules: Rules::embedded(),
    }
}

#[async_trait]
impl Courtesies for Held {
    async fn queue_courtesy(&self, _: &NewCourtesy) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn claim_courtesies(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<CourtesyRow>, StoreError> {
        unreachable!("only cases are changed")
    }
}

#[async_trait]
impl Letters for Held {
    async fn stranded_letters(&self, _: Drawer, _: u64) -> Result<Vec<NotificationId>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn start_letter(&self, _: Drawer, _: &NotificationId, _: Rendered<'_>) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn put_letter_back(
        &self,
        _: Drawer,
        _: &NotificationId,
        _: Timestamp,
        _: &str,
        _: bool,
    ) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn end_letter(&self, _: Drawer, _: &LetterEnd) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }
}

#[async_trait]
impl Digests for Held {
    async fn has_digest(&self, _: &str) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn digest_cases(&self, _: Span) -> Result<Vec<Dated>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn undelivered(&self, _: Timestamp, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn queue_digest(&self, _: &NewDigest<'_>) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn claim_digests(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<DigestRow>, StoreError> {
        unreachable!("only cases are changed")
    }
}

#[async_trait]
impl Storage for Held {
    async fn newest_posterior_version(&self) -> Result<u64, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn newest_posterior(&self) -> Result<Option<Posterior>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn waiting_evidence(&self, _: u64) -> Result<Vec<Waiting>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn keep_posterior(&self, _: &Posterior, _: &[EvidenceId]) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn take_in(&self, _: &NewInbox) -> Result<Received, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn claim_events(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<InboxRow>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn claim_cases(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<Claim>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn release(&self, _: &Claim) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn history(&self, _: &str, _: &[String]) -> Result<History, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn change(&self, ids: &[CaseId], ask: Asker<'_>, decide: Decider<'_>) -> Result<Vec<bool>, StoreError> {
        let go = Arc::new(Semaphore::new(0));
        self.transactions.lock().unwrap().push(Transaction {
            cases: ids.len(),
            go: Arc::clone(&go),
        });
        go.acquire().await.unwrap().forget();
        self.store.change(ids, ask, decide).await
    }

    async fn case(&self, _: &CaseId) -> Result<Option<Case>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn case_of_invoice(&self, _: &str, _: &str) -> Result<Option<CaseId>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn cases_of_customer(&self, _: &str, _: &str) -> Result<Vec<CaseId>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn cases_of_subscription(&self, _: &str, _: &str) -> Result<Vec<CaseId>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn cases_to_win_back(&self, _: &str, _: &Subscribed, _: Timestamp) -> Result<Vec<CaseId>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn next_due(&self, _: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn claim_mails(&self, _: Timestamp, _: u64, _: Lease<'_>) -> Result<Vec<NotificationRow>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn stranded_mails(&self, _: u64) -> Result<Vec<NotificationRow>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn touch(&self, _: Touch<'_>, _: Touches) -> Result<Option<Timestamp>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn start_mail(&self, _: &NotificationId, _: Rendered<'_>) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn put_mail_back(&self, _: &NotificationId, _: Timestamp, _: &str, _: bool) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn campaign(&self, name: &str, version: u32) -> Result<Option<Campaign>, StoreError> {
        self.store.campaign(name, version).await
    }

    async fn campaign_versions(&self) -> Result<Vec<CampaignRef>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn setting(&self, _: &str) -> Result<Option<String>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn set_setting(&self, _: &str, _: &str) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn swap_setting(&self, _: &str, _: Option<&str>, _: &str) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn end_leases(&self) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn count_events(&self) -> Result<Vec<(InboxStatus, u64)>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn count_open(&self) -> Result<Vec<(String, u64)>, StoreError> {
        unreachable!("only cases are changed")
    }
}

#[async_trait]
impl Reach for Held {
    async fn suppressed(&self, _: &str, _: SuppressionScope) -> Result<Option<SuppressionWhy>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn is_excluded(&self, _: &str, _: &str) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn excludes(&self, _: &CaseId) -> Result<bool, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn suppress(&self, _: NewSuppression<'_>) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn untouch(&self, _: &NotificationId) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }

    async fn notification(&self, _: &NotificationId) -> Result<Option<NotificationRow>, StoreError> {
        unreachable!("only cases are changed")
    }
}

#[async_trait]
impl Oversight for Held {
    async fn open_attempts(&self, _: Timestamp, _: u64) -> Result<Vec<OpenSince>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn open_cases(&self, _: Option<&CaseId>, _: Timestamp, _: u64) -> Result<Vec<OpenCase>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn unknown_charges(&self, _: &str, _: &[(String, String)], _: Timestamp) -> Result<Vec<String>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn overdue(&self, _: Timestamp) -> Result<Overdue, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn free_leases(&self, _: Timestamp, _: u32) -> Result<u64, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn check_books(&self, _: Option<&CaseId>, _: u64) -> Result<BooksPage, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn events_received(&self, _: Timestamp, _: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn check_chain(&self) -> Result<ChainCheck, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn database_now(&self) -> Result<Timestamp, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn birthmark(&self) -> Result<String, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn purge(&self, _: Timestamp) -> Result<u64, StoreError> {
        unreachable!("only cases are changed")
    }

    async fn tidy(&self, _: Timestamp) -> Result<(), StoreError> {
        unreachable!("only cases are changed")
    }
}
