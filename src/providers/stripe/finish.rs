//! Final actions, and the link to Stripe's own page for payment methods.

use reqwest::Method;
use serde::Deserialize;

use super::client::{Answer, Client, Command};
use super::wire::PortalSession;
use crate::domain::campaign::FinalAction;
use crate::domain::snapshot::Snapshot;
use crate::providers::{ActionOutcome, ReadError};

/// What both subscriptions and invoices say about themselves.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Standing {
    status: Option<String>,
}

/// Carries out a final action. Each is idempotent: what is already so counts as done.
pub(super) async fn finish(client: &Client, action: FinalAction, snapshot: &Snapshot, key: &str) -> ActionOutcome {
    let subscription = snapshot.subscription_id.as_deref();
    match (action, subscription) {
        (FinalAction::LeaveOpen, _) => ActionOutcome::Done,
        (FinalAction::MarkUncollectible, _) => {
            let path = ["invoices", &snapshot.invoice_id, "mark_uncollectible"];
            let command = Command {
                method: Method::POST,
                path: &path,
                form: &[],
                key,
            };
            carry_out(client, command, &["uncollectible"]).await
        }
        (FinalAction::Cancel, Some(id)) => {
            let command = Command {
                method: Method::DELETE,
                path: &["subscriptions", id],
                form: &[],
                key,
            };
            carry_out(client, command, &["canceled", "incomplete_expired"]).await
        }
        (FinalAction::Pause, Some(id)) => {
            let form = [("pause_collection[behavior]", "void")];
            let command = Command {
                method: Method::POST,
                path: &["subscriptions", id],
                form: &form,
                key,
            };
            carry_out(client, command, &[]).await
        }
        (FinalAction::Cancel | FinalAction::Pause, None) => ActionOutcome::Refused {
            reason: "the invoice belongs to no subscription".to_owned(),
        },
    }
}

/// Sends the command; where Stripe refuses it, the object's own status may show that it was carried out before.
async fn carry_out(client: &Client, command: Command<'_>, done: &[&str]) -> ActionOutcome {
    let (kind, id) = (command.path[0], command.path[1]);
    let answer = match client.send(command).await {
        Ok(answer) => answer,
        Err(lost) => {
            return ActionOutcome::Unavailable {
                reason: lost.reason().to_owned(),
                retry_after: None,
            };
        }
    };
    let is_done = |standing: &Standing| standing.status.as_deref().is_some_and(|status| done.contains(&status));
    if answer.is_success() {
        return match answer.json::<Standing>() {
            Some(standing) if done.is_empty() || standing.status.is_none() || is_done(&standing) => ActionOutcome::Done,
            Some(_) => unavailable(&answer, "the answer does not show the action"),
            None => unavailable(&answer, "the answer cannot be read"),
        };
    }
    match answer.status {
        401 | 403 => ActionOutcome::Refused {
            reason: answer.reason(),
        },
        409 | 429 => unavailable(&answer, &answer.reason()),
        400..500 if done.is_empty() => ActionOutcome::Refused {
            reason: answer.reason(),
        },
        400..500 => match client.read_optional::<Standing>(&[kind, id], &[]).await {
            Ok(Some(standing)) if is_done(&standing) => ActionOutcome::Done,
            Ok(_) | Err(ReadError::NotFound | ReadError::Refused(_)) => ActionOutcome::Refused {
                reason: answer.reason(),
            },
            Err(ReadError::Unavailable { reason, retry_after }) => ActionOutcome::Unavailable { reason, retry_after },
        },
        _ => unavailable(&answer, &answer.reason()),
    }
}

fn unavailable(answer: &Answer, reason: &str) -> ActionOutcome {
    ActionOutcome::Unavailable {
        reason: reason.to_owned(),
        retry_after: answer.wait(),
    }
}

/// Opens a session of Stripe's billing portal; nothing where the account has none set up.
pub(super) async fn update_link(client: &Client, customer_id: &str, key: &str) -> Result<Option<String>, ReadError> {
    let form = [("customer", customer_id)];
    let command = Command {
        method: Method::POST,
        path: &["billing_portal", "sessions"],
        form: &form,
        key,
    };
    let answer = client.send(command).await.map_err(|lost| ReadError::Unavailable {
        reason: lost.reason().to_owned(),
        retry_after: None,
    })?;
    let is_web = |url: &String| url.starts_with("https://") || url.starts_with("http://");
    match answer.status {
        200..300 => match answer.json::<PortalSession>() {
            Some(session) => Ok(session.url.filter(is_web)),
            None => Err(ReadError::Unavailable {
                reason: answer.reason(),
                retry_after: answer.wait(),
            }),
        },
        401 | 403 => Err(ReadError::Refused(answer.status)),
        409 | 429 => Err(ReadError::Unavailable {
            reason: answer.reason(),
            retry_after: answer.wait(),
        }),
        400..500 => Ok(None),
        _ => Err(ReadError::Unavailable {
            reason: answer.reason(),
            retry_after: answer.wait(),
        }),
    }
}
