//! Where changes of cases meet: those that are ready at the same time share one transaction.
//!
//! There is no timer and no task of its own. Whoever brings a request waits for the right to write; who has it writes for
//! all that wait. So a lone request is written at once, and a crowd is written together.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Semaphore, oneshot};

use super::Inner;
use super::handle::{self, Done, Request, asks};
use crate::domain::ids::CaseId;
use crate::domain::mutant::alive;
use crate::store::StoreError;
use crate::store::changes::Locked;

/// The most requests that share a transaction.
const SHARED_MAX: usize = 128;
/// How many transactions may be under way at the same time.
const WRITERS: usize = 3;
/// How often a change is tried where the database let go of it before the commit: a deadlock, a lock not had in time.
const TRIES_MAX: u32 = 3;

/// The requests that wait, and the right to write them.
pub struct Desk {
    waiting: Mutex<Vec<Ticket>>,
    writers: Semaphore,
}

struct Ticket {
    request: Request,
    answer: oneshot::Sender<Result<Done, StoreError>>,
}

impl Desk {
    /// A desk with nothing on it.
    pub fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            writers: Semaphore::new(WRITERS),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Ticket>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next requests to write together, oldest first.
    fn take(&self) -> Vec<Ticket> {
        let mut waiting = self.waiting();
        let count = waiting.len().min(SHARED_MAX);
        waiting.drain(..count).collect()
    }
}

/// Has a request written, and answers with what became of it.
pub async fn submit(inner: &Inner, request: Request) -> Result<Done, StoreError> {
    let (answer, mut answered) = oneshot::channel();
    inner.desk.waiting().push(Ticket { request, answer });
    // Whoever became ready in the same moment gets the chance to come along.
    tokio::task::yield_now().await;
    let ended = |_| Err(StoreError::Uncertain("whoever wrote it went away".to_owned()));
    loop {
        let _turn = tokio::select! {
            biased;
            // Who was answered meanwhile leaves the queue; else the right to write would go round among those who have
            // nothing to write, and each who brings something new would write it alone.
            done = &mut answered => return done.unwrap_or_else(ended),
            turn = inner.desk.writers.acquire() => turn,
        };
        let tickets = inner.desk.take();
        if tickets.is_empty() {
            break;
        }
        write(inner, tickets).await;
    }
    answered.await.unwrap_or_else(ended)
}

/// Writes requests together. Where that fails for a reason that lies in one of them, each is written alone.
async fn write(inner: &Inner, tickets: Vec<Ticket>) {
    let (requests, answers): (Vec<_>, Vec<_>) = tickets
        .into_iter()
        .map(|ticket| (ticket.request, ticket.answer))
        .unzip();
    match together(inner, &requests).await {
        Ok(done) => {
            for (done, answer) in done.into_iter().zip(answers) {
                // Whoever asked may have gone away; what was committed stays committed.
                let _ = answer.send(done);
            }
        }
        Err(error) if requests.len() == 1 || error.is_transient() => {
            for answer in answers {
                let _ = answer.send(Err(error.clone()));
            }
        }
        Err(_) => {
            for (request, answer) in requests.iter().zip(answers) {
                let done = together(inner, std::slice::from_ref(request)).await;
                let _ = answer.send(done.and_then(|mut done| done.remove(0)));
            }
        }
    }
}

/// One transaction for all requests; the answers are in their order.
async fn together(inner: &Inner, requests: &[Request]) -> Result<Vec<Result<Done, StoreError>>, StoreError> {
    let mut ids: Vec<CaseId> = requests.iter().filter_map(Request::case_id).cloned().collect();
    ids.sort_unstable();
    ids.dedup();
    let mut tries = 1;
    loop {
        let mut drafts = Vec::new();
        let mut decide = |found| {
            let mut draft = handle::Draft::new(inner, found);
            drafts = requests
                .iter()
                .map(|request| {
                    // One request that breaks the decider must not take the others with it.
                    catch_unwind(AssertUnwindSafe(|| draft.add(request)))
                        .unwrap_or_else(|_| Err(StoreError::Other("deciding panicked".to_owned())))
                })
                .collect();
            crate::failpoint!("change_decided");
            draft.into_pieces()
        };
        let ask = |cases: &Locked| asks::of(inner, requests, cases);
        match inner.storage.change(&ids, &ask, &mut decide).await {
            Ok(written) => {
                crate::failpoint!("change_committed");
                return Ok(drafts
                    .into_iter()
                    .map(|draft| draft.map(|draft| draft.done(inner, &written)))
                    .collect());
            }
            Err(StoreError::Uncertain(_)) if alive("uncertain_is_done") => {
                let written = vec![true; requests.len()];
                return Ok(drafts
                    .into_iter()
                    .map(|draft| draft.map(|draft| draft.done(inner, &written)))
                    .collect());
            }
            // What was not committed is gone, so the same may be done again.
            Err(StoreError::Unavailable(_)) if tries < TRIES_MAX => tries += 1,
            Err(error) => return Err(error),
        }
    }
}
