//! Group commit: events that arrive while others are being written are written together next, in one transaction.
//!
//! Nothing waits for company. The first event of an idle writer is written at once; how many share the next transaction is
//! decided by how long this one takes.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

use super::batch::Link;
use super::{NewInbox, Received};
use crate::store::{Store, StoreError};

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
/// waits is written, and the writer ends.
#[derive(Debug)]
pub struct Intake {
    queue: mpsc::Sender<Waiting>,
}

impl Intake {
    /// Starts a writer on the present runtime, with a connection of its own.
    pub fn start(store: &Store) -> Self {
        let (queue, waiting) = mpsc::channel(WAITING_EVENTS_MAX);
        tokio::spawn(write_all(store.clone(), waiting));
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

/// Writes what waits until the queue is closed and empty.
async fn write_all(store: Store, mut queue: mpsc::Receiver<Waiting>) {
    let mut writer = Writer { store, link: None };
    let mut batch = Vec::with_capacity(BATCH_EVENTS_MAX);
    while queue.recv_many(&mut batch, BATCH_EVENTS_MAX).await > 0 {
        // Who has gone was told to send again, or will.
        batch.retain(|waiting| !waiting.answer.is_closed());
        if batch.is_empty() {
            continue;
        }
        let (events, answers): (Vec<_>, Vec<_>) = batch.drain(..).map(|one| (one.event, one.answer)).unzip();
        // After a panic the answers are dropped, which tells those who wait; the writer goes on.
        if let Ok(written) = AssertUnwindSafe(writer.write(&events)).catch_unwind().await {
            for (answer, received) in answers.into_iter().zip(written) {
                // Whoever left meanwhile is told that it is a duplicate when it comes again.
                let _ = answer.send(received);
            }
        } else {
            tracing::error!("a write of the inbox panicked");
        }
    }
}

/// Who writes batches, one at a time.
struct Writer {
    store: Store,
    /// The connection of this writer, while it is known to be good.
    link: Option<Link>,
}

impl Writer {
    /// Writes a batch. One event that can never be written does not take the others with it: then each is tried alone.
    async fn write(&mut self, events: &[NewInbox]) -> Vec<Result<Received, StoreError>> {
        match self.in_time(events).await {
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
                        None => self.in_time(std::slice::from_ref(event)).await,
                    };
                    written.push(alone.map(|received| received[0]));
                }
                written
            }
        }
    }

    async fn in_time(&mut self, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
        timeout(WRITE_TIMEOUT, self.insert(events))
            .await
            .unwrap_or_else(|_| Err(unavailable("the database did not answer in time")))
    }

    /// A connection that failed, or whose answer nobody waited for, is not used again. What was known to be good may have been
    /// cut since; then a new one is tried: an event that was written by the old one is a duplicate now, and durable.
    async fn insert(&mut self, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
        if let Some(link) = self.link.take() {
            match self.over(link, events).await {
                Err(error) if error.is_transient() => {}
                done => return done,
            }
        }
        let link = Link::open(&self.store).await?;
        self.over(link, events).await
    }

    async fn over(&mut self, mut link: Link, events: &[NewInbox]) -> Result<Vec<Received>, StoreError> {
        let done = link.insert_all(&self.store, events).await;
        if !done.as_ref().is_err_and(StoreError::is_transient) {
            self.link = Some(link);
        }
        done
    }
}

fn unavailable(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}
