//! The mail server and its book of what it accepted.

use async_trait::async_trait;
use jiff::Timestamp;
use recoup::domain::ids::NotificationId;
use recoup::mailer::{Courier, Email, SendOutcome};

use super::faults::Class;
use super::judge;
use super::state::{Line, SECOND};

/// How long the engine's side lets one mail take.
const TIMEOUT: i64 = 20 * SECOND;

#[derive(Debug, Default)]
pub struct Post {
    /// What was accepted, and when.
    pub accepted: Vec<(NotificationId, i64)>,
}

/// The line of one worker.
#[derive(Debug)]
pub struct Port(pub Line);

#[async_trait]
impl Courier for Port {
    async fn send(&self, mail: &Email, _: Timestamp) -> SendOutcome {
        let (outcome, accepted, wait) = {
            let mut state = self.0.world.lock();
            let quick = state.dice.between(50, 1500);
            let stalls = state.strikes(Class::MailStall).is_some();
            let wait = if stalls { TIMEOUT } else { quick };
            if state.strikes(Class::MailPutOff).is_some() {
                (SendOutcome::Transient("451".to_owned()), false, quick)
            } else if let Some(mut dice) = state.strikes(Class::MailUnknown) {
                let accepted = dice.happens(600_000);
                (SendOutcome::Unknown("no answer".to_owned()), accepted, wait)
            } else if let Some(mut dice) = state.strikes(Class::MailRefused) {
                let refusal = if dice.happens(500_000) {
                    SendOutcome::BadRecipient("550".to_owned())
                } else {
                    SendOutcome::Permanent("554".to_owned())
                };
                (refusal, false, quick)
            } else {
                (SendOutcome::Sent, true, quick)
            }
        };
        if accepted {
            // The server has it before the client hears of it.
            let mut state = self.0.world.lock();
            judge::mail_accepted(&mut state, self.0.worker, &mail.id);
            let now = state.now;
            state.post.accepted.push((mail.id.clone(), now));
            state.note("mail", self.0.worker as u64, &mail.id);
        }
        self.0.pass(wait).await;
        outcome
    }
}
