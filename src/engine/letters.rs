//! Messages that belong to no case, whatever they are about: they stand in one line, leave by the same hand and pace as those of a
//! case, and what became of them is told as truly.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use metrics::counter;

use super::Inner;
use super::outbox::RETRY_SECS;
use super::pump::{CLAIMED_MAX, Work};
use super::{courtesies, digests};
use crate::clock::Stopwatch;
use crate::domain::calendar::secs_from;
use crate::domain::ids::NotificationId;
use crate::domain::message::Message;
use crate::mailer::SendOutcome;
use crate::store::StoreError;
use crate::store::courtesies::CourtesyRow;
use crate::store::digests::DigestRow;
use crate::store::letters::{Drawer, LetterEnd};
use crate::store::notifications::NotificationStatus;
use crate::telemetry::metric;

/// A message that was claimed.
pub(super) enum Paper {
    Courtesy(Box<CourtesyRow>),
    Digest(Box<DigestRow>),
}

/// What names such a message.
#[derive(Clone, Copy)]
pub(super) struct Slip<'a> {
    pub(super) drawer: Drawer,
    pub(super) id: &'a NotificationId,
    pub(super) message: Message,
    pub(super) tries: u32,
}

impl Paper {
    fn slip(&self) -> Slip<'_> {
        match self {
            Self::Courtesy(row) => courtesies::slip(row),
            Self::Digest(row) => digests::slip(row),
        }
    }
}

/// The queue of messages that belong to no case.
pub(super) struct Letters<'a>(pub(super) &'a Inner);

impl Work for Letters<'_> {
    type Row = Paper;

    async fn claim(&self, limit: u64) -> Result<Vec<Paper>, StoreError> {
        let Self(inner) = self;
        if !inner.gate.is_open(inner.now()) {
            return Ok(Vec::new());
        }
        claim(inner, limit).await
    }

    async fn one(&self, paper: Paper, claimed: Stopwatch) {
        let Self(inner) = self;
        let work = async {
            match &paper {
                Paper::Courtesy(row) => courtesies::deliver(inner, row, &claimed).await,
                Paper::Digest(row) => digests::deliver(inner, row, &claimed).await,
            }
        };
        let id = paper.slip().id;
        match AssertUnwindSafe(work).catch_unwind().await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                tracing::error!(notification_id = %id, %error, "a message waits for its lease to run out");
            }
            Err(_) => tracing::error!(notification_id = %id, "working on the message panicked"),
        }
    }
}

async fn claim(inner: &Inner, limit: u64) -> Result<Vec<Paper>, StoreError> {
    let (storage, now) = (&inner.storage, inner.now());
    let digests = storage.claim_digests(now, limit, inner.lease()).await?;
    let left = limit.saturating_sub(digests.len() as u64);
    let mut papers: Vec<Paper> = digests.into_iter().map(|row| Paper::Digest(Box::new(row))).collect();
    // Whoever claims none of them asks for none: a row that is claimed must be worked on.
    if left > 0 {
        let courtesies = storage.claim_courtesies(now, left, inner.lease()).await?;
        papers.extend(courtesies.into_iter().map(|row| Paper::Courtesy(Box::new(row))));
    }
    Ok(papers)
}

/// Writes down the messages whose sender died while it was sending.
pub(super) async fn bury_stranded(inner: &Inner) -> Result<(), StoreError> {
    for drawer in Drawer::ALL {
        for id in inner.storage.stranded_letters(drawer, CLAIMED_MAX).await? {
            tracing::warn!(notification_id = %id, "a message was being sent when its worker died; it is not sent again");
            let end = LetterEnd {
                id,
                status: NotificationStatus::Unknown,
                reason: Some("the sender went away".to_owned()),
                only_stranded: true,
                at: inner.now(),
            };
            inner.storage.end_letter(drawer, &end).await?;
        }
    }
    Ok(())
}

/// Ends every message that is due now without sending it.
pub(super) async fn end_all(inner: &Inner, why: &str) -> Result<(), StoreError> {
    loop {
        let papers = claim(inner, CLAIMED_MAX).await?;
        if papers.is_empty() {
            return Ok(());
        }
        for paper in papers {
            let reason = Some(why.to_owned());
            end(inner, paper.slip(), NotificationStatus::Superseded, reason).await?;
        }
    }
}

/// Writes what the mail server made of a message, or when it is asked again.
pub(super) async fn record(inner: &Inner, slip: Slip<'_>, outcome: SendOutcome) -> Result<(), StoreError> {
    let (status, reason) = match outcome {
        SendOutcome::Sent => (NotificationStatus::Sent, None),
        SendOutcome::Kept => (NotificationStatus::Kept, None),
        SendOutcome::Unknown(reason) => (NotificationStatus::Unknown, Some(reason)),
        SendOutcome::Permanent(reason) | SendOutcome::BadRecipient(reason) => {
            (NotificationStatus::Failed, Some(reason))
        }
        SendOutcome::Transient(reason) | SendOutcome::Throttled(reason) => match RETRY_SECS.get(slip.tries as usize) {
            Some(wait) => {
                let at = secs_from(inner.now(), *wait);
                let Slip { drawer, id, .. } = slip;
                return inner.storage.put_letter_back(drawer, id, at, &reason, true).await;
            }
            None => (NotificationStatus::Failed, Some(reason)),
        },
    };
    end(inner, slip, status, reason).await
}

/// Ends a message.
pub(super) async fn end(
    inner: &Inner,
    slip: Slip<'_>,
    status: NotificationStatus,
    reason: Option<String>,
) -> Result<(), StoreError> {
    let end = LetterEnd {
        id: slip.id.clone(),
        status,
        reason,
        only_stranded: false,
        at: inner.now(),
    };
    if inner.storage.end_letter(slip.drawer, &end).await? {
        counter!(metric::NOTIFICATIONS, "message" => slip.message.as_str(), "result" => status.as_str()).increment(1);
        tracing::info!(notification_id = %slip.id, status = status.as_str(), reason = end.reason, "message ended");
    }
    Ok(())
}
