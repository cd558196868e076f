//! Group commit: events that arrive while others are being written are written together next, in one transaction.
//!
//! Nothing waits for company. The first event of an idle writer is written at once; how many share the next transaction is
//! decided by how long this one takes.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio::time::timeout;

use super::batch::insert_all;
use super::{NewInbox, Received};
use crate::store::{Dialect, Store, StoreError};

/// How many events may wait to be written. With more the database cannot keep up, and the sender had better come again.
pub const WAITING_EVENTS_MAX: usize = 1_024;
/// The most events of one transaction.
pub const BATCH_EVENTS_MAX: usize = 256;
/// How long an event may take from its arrival to being durable, and so how long a write may take.
const WRITE_TIMEOUT: Duration = Duration::from_millis(2_500);

/// An event on its way in, and whoever waits for its answer.
struct Waiting {
    event: NewInbox,
    answer: oneshot::Sender<Result<Received, StoreError>>,
}

/// Why an event was not taken in, as far as can be told. The same event may be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many events wait already.
    #[error("too many events wait to be written")]
    Full,
    /// The database failed, or did not answer in time; the event may be durable all the same.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The way into the inbox for events that arrive one by one and many at a time. When the last handle is gone, what still
/// waits is written, and the writers end.
#[derive(Debug)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
}

impl Intake {
    /// Starts the writers on the present runtime.
    pub fn start(store: &Store) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_EVENTS_MAX);
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..writers(store.dialect()) {
            tokio::spawn(write_all(store.clone(), Arc::clone(&waiting)));
        }
        Self { queue }
    }

    /// Takes an event in, once. It is durable when this returns `Ok`.
    pub async fn take(&self, event: NewInbox) -> Result<Received, NotTaken> {
        let (answer, answered) = oneshot::channel();
        match self.queue.try_send(Waiting { event, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(NotTaken::Full),
            Err(TrySendError::Closed(_)) => return Err(unavailable("the writers have ended").into()),
        }
        match timeout(WRITE_TIMEOUT, answered).await {
            Ok(Ok(received)) => Ok(received?),
            Ok(Err(_)) => Err(unavailable("the writer gave up").into()),
            Err(_) => Err(unavailable("the event was not written in time").into()),
        }
    }
}

/// How many transactions are under way at once. SQLite has one writer.
const fn writers(dialect: Dialect) -> usize {
    match dialect {
        Dialect::Sqlite => 1,
        Dialect::Postgres => 2,
    }
}

/// Writes what waits until the queue is closed and empty.
async fn write_all(store: Store, queue: Arc<Mutex<mpsc::Receiver<Waiting>>>) {
    let mut batch = Vec::with_capacity(BATCH_EVENTS_MAX);
    while queue.lock().await.recv_many(&mut batch, BATCH_EVENTS_MAX).await > 0 {
        // Who has gone was told to send again, or will.
        batch.retain(|waiting| !waiting.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        let (events, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.event, one.answer)).unzip();
        // After a panic the answers are dropped, which tells those who wait; the writer goes on.
        if let Ok(written) = AssertUnwindSafe(write(&store, &events)).catch_unwind().await {
            for (answer, received) in answers.into_iter().zip(written) {
                // Whoever left meanwhile is told that it is a duplicate when it comes again.
                let _ = answer.send(received);
            }
        } else {
            tracing::error!("a write of the inbox panicked");
        }
    }
}

/// Writes a batch. One event that can never be written does not take the others with it: then each is tried alone.
async fn write(store: &Store, events: &[NewInbox]) -> Vec<Result<Received, StoreError>> {
    match in_time(store, events).await {
        Ok(received) => received.into_iter().map(Ok).collect(),
        Err(error) if error.is_transient() || events.len() == 1 => vec![Err(error); events.len()],
        Err(error) => {
            tracing::warn!(%error, events = events.len(), "a batch was refused; its events are written one by one");
            let mut written: Vec<Result<Received, StoreError>> = Vec::with_capacity(events.len());
            for event in events {
                // A database that went away meanwhile is not asked for each of the others.
                let away = written
                    .last()
                    .and_then(|last| last.clone().err())
                    .filter(StoreError::is_transient);
                let alone = match away {
                    Some(error) => Err(error),
                    None => in_time(store, std::slice::from_ref(event)).await,
                };
                written.push(alone.map(|received| received[0]));
            }
            written
        }
    }
}

async fn in_time(store: &Store, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
    timeout(WRITE_TIMEOUT, insert_all(store, events))
        .await
        .unwrap_or_else(|_| Err(unavailable("the database did not answer in time")))
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}
