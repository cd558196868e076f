//! Closing a case: exactly one outcome, final.

use jiff::Timestamp;
use serde_json::json;

use super::Draft;
use super::doubt::brought_by;
use super::look::recovered_by;
use super::reach::step_of;
use crate::domain::calendar::{days_from, written, zone};
use crate::domain::campaign::FinalAction;
use crate::domain::case::{Case, State, Timers, Warning};
use crate::domain::command::{Command, Decision, Entry, EntryKind, Reason};
use crate::domain::decline::Disposition;
use crate::domain::learning::model::Fact;
use crate::domain::learning::plan::reward;
use crate::domain::message::Message;
use crate::domain::mutant::alive;
use crate::domain::outcome::{ExhaustedReason, ExhaustedThen, Outcome, RecoveredBy, StoppedWhy};
use crate::domain::snapshot::{CancelReason, InvoiceStatus, Snapshot, SubscriptionSeen, SubscriptionStatus};

/// Closes the case: what was queued and asks for money is held back, the last message is queued.
pub fn close(draft: &mut Draft<'_>, outcome: Outcome) {
    let now = draft.now();
    draft.case.state = State::Closed { outcome };
    draft.case.closed_at = Some(now);
    draft.case.timers = Timers::default();
    draft.commands.push(Command::SupersedeNotices {
        reason: Reason::CaseClosed,
    });
    draft.entries.push(told(outcome));
    learn(draft, outcome);
    let last_word = match outcome {
        Outcome::Recovered { .. } => Some(Message::PaymentReceived),
        Outcome::Exhausted {
            then: ExhaustedThen::Cancelled,
            ..
        } => Some(Message::SubscriptionEnded),
        Outcome::Exhausted {
            then: ExhaustedThen::Paused,
            ..
        } => Some(Message::SubscriptionPaused),
        Outcome::Exhausted { .. } | Outcome::Stopped { .. } => None,
    };
    if let Some(message) = last_word {
        notify(draft, message, message.as_str());
    }
    if last_word == Some(Message::SubscriptionEnded) {
        invite(draft);
    }
}

/// What the timeline says of an end.
pub fn told(outcome: Outcome) -> Entry {
    let text = match outcome {
        Outcome::Recovered { by } => format!("Recovered: paid by {by}."),
        Outcome::Exhausted { reason, then } => format!("Exhausted: {reason}; {then}."),
        Outcome::Stopped { why } => format!("Stopped: {why}."),
    };
    Entry {
        kind: EntryKind::Closed,
        text,
        data: json!({ "outcome": outcome }),
    }
}

/// Plans the invitation to come back, where the campaign has one.
fn invite(draft: &mut Draft<'_>) {
    let campaign = draft.moment.campaign;
    let Some(win_back) = campaign.win_back else { return };
    let tz = zone(&draft.case.zone);
    let at = days_from(draft.now(), i32::from(win_back.after_days), campaign.usual_hour(), &tz);
    let at = campaign.quiet.map_or(at, |quiet| quiet.over(at, &tz));
    notify_at(draft, Message::WinBack, Message::WinBack.as_str(), at);
}

/// What the case was worth to its arm. Who was stopped by others than the customer tells nothing of it.
fn learn(draft: &mut Draft<'_>, outcome: Outcome) {
    let Some(choice) = draft.case.memory.choice else {
        return;
    };
    let paid = match outcome {
        Outcome::Recovered { .. } => true,
        Outcome::Exhausted { .. }
        | Outcome::Stopped {
            why: StoppedWhy::CustomerCancelled,
        } => false,
        Outcome::Stopped { .. } => return,
    };
    let made = u8::try_from(draft.case.memory.charges).unwrap_or(u8::MAX);
    let terms = &draft.moment.grounds.learned.policy.terms;
    let reward = reward(paid, made, draft.case.amount_due.amount_minor, terms);
    draft.case.memory.reward = Some(reward);
    draft.learn(
        choice.kind,
        Fact::Case {
            arm: choice.arm,
            reward,
        },
    );
}

/// The money of a case that an arm had planned is taken back.
pub fn unlearn(draft: &mut Draft<'_>) {
    let memory = &mut draft.case.memory;
    let (choice, reward) = (memory.choice, memory.reward.take().filter(|reward| *reward > 0.0));
    let (Some(choice), Some(reward), Some(ended_at)) = (choice, reward, draft.case.closed_at) else {
        return;
    };
    let arm = choice.arm;
    draft.learn(choice.kind, Fact::TakenBack { arm, reward, ended_at });
}

/// Queues a message, or says why not.
pub fn notify(draft: &mut Draft<'_>, message: Message, step: &str) {
    notify_at(draft, message, step, draft.now());
}

/// Queues a message that is due at an instant, or says why not.
pub fn notify_at(draft: &mut Draft<'_>, message: Message, step: &str, due_at: Timestamp) {
    let done = &mut draft.case.memory.steps_done;
    // The step itself is done too where the message comes under a name of its own.
    done.extend(Some(step_of(step)).filter(|key| *key != step).map(str::to_owned));
    done.push(step.to_owned());
    let reason = if draft.case.address().is_none() {
        if message.is_dunning() {
            draft.warn(
                Warning::NoAddress,
                "The customer has no e-mail address at the provider.",
            );
        }
        Some("no_address")
    } else if draft.case.warnings.contains(&Warning::MailBounced) {
        Some("mail_bounced")
    } else if draft.case.memory.reminders_stopped && message.is_reminder() {
        Some("reminders_stopped")
    } else {
        None
    };
    let mut data = json!({"message": message, "step": step, "reason": reason});
    if reason.is_some() {
        draft.say(
            EntryKind::NoticeSkipped,
            format!("The message {message} was not sent."),
            data,
        );
    } else {
        draft.case.notifications = draft.case.notifications.saturating_add(1);
        let text = if due_at > draft.now() {
            data["due_at"] = json!(due_at);
            format!("The message {message} was queued for {}.", written(due_at))
        } else {
            format!("The message {message} was queued.")
        };
        draft.say(EntryKind::NoticeQueued, text, data);
        draft.commands.push(Command::Notify {
            message,
            step: step.to_owned(),
            due_at,
        });
    }
}

/// The outcome that a snapshot forces on a case that is not in the middle of a charge, besides being paid.
pub fn forced(case: &Case, snapshot: &Snapshot) -> Option<Outcome> {
    let stopped = |why| Some(Outcome::Stopped { why });
    match snapshot.status {
        InvoiceStatus::Void | InvoiceStatus::Draft => return stopped(StoppedWhy::Voided),
        InvoiceStatus::Uncollectible => return stopped(StoppedWhy::WrittenOff),
        InvoiceStatus::Paid | InvoiceStatus::Open => {}
    }
    if snapshot.payment.as_ref().is_some_and(|payment| payment.disputed) {
        return stopped(StoppedWhy::Disputed);
    }
    if snapshot.amount_remaining.amount_minor <= 0 {
        return stopped(StoppedWhy::Voided);
    }
    snapshot
        .subscription
        .as_ref()
        .and_then(|subscription| subscription_end(case, subscription))
}

fn subscription_end(case: &Case, subscription: &SubscriptionSeen) -> Option<Outcome> {
    let ended = match subscription.status {
        _ if alive("cancel_not_seen") => false,
        SubscriptionStatus::Canceled | SubscriptionStatus::IncompleteExpired => true,
        // Who asks for the end during the chase has left; what was asked for before it began is no news.
        SubscriptionStatus::Trialing
        | SubscriptionStatus::Active
        | SubscriptionStatus::Incomplete
        | SubscriptionStatus::PastDue
        | SubscriptionStatus::Unpaid
        | SubscriptionStatus::Paused => {
            subscription.cancel_at_period_end && subscription.canceled_at.is_none_or(|at| at >= case.opened_at)
        }
    };
    ended.then(|| match subscription.cancel_reason {
        Some(CancelReason::PaymentFailed) => Outcome::Exhausted {
            reason: exhausted_reason(case),
            then: ExhaustedThen::Cancelled,
        },
        Some(CancelReason::PaymentDisputed) => Outcome::Stopped {
            why: StoppedWhy::Disputed,
        },
        Some(CancelReason::Requested) | None => Outcome::Stopped {
            why: StoppedWhy::CustomerCancelled,
        },
    })
}

/// Whose doing it was that an invoice is paid, where no attempt of ours is open.
pub fn paid_by(case: &Case, snapshot: &Snapshot) -> RecoveredBy {
    if snapshot.paid_out_of_band {
        return RecoveredBy::OutOfBand;
    }
    let memory = &case.memory;
    if let Some(attempt) = brought_by(memory.unclear.as_ref(), snapshot.paid_at) {
        return recovered_by(attempt);
    }
    let planned = memory.provider_next_attempt_at;
    let by_provider = match (planned, snapshot.paid_at) {
        (Some(planned), Some(paid)) => paid >= planned,
        (Some(_), None) => true,
        (None, _) => false,
    };
    if by_provider {
        RecoveredBy::ProviderRetry
    } else {
        RecoveredBy::Customer
    }
}

/// Why a campaign that ends now ended without money.
pub fn exhausted_reason(case: &Case) -> ExhaustedReason {
    match case.decline.disposition {
        Disposition::Never => ExhaustedReason::TerminalDecline,
        Disposition::Retry | Disposition::FixData | Disposition::CustomerAction | Disposition::Merchant => {
            ExhaustedReason::AttemptsSpent
        }
    }
}

/// Begins the end of the campaign: the final action at the provider, or the outcome at once where there is none.
pub fn end_campaign(draft: &mut Draft<'_>, snapshot: &Snapshot) {
    let wanted = draft.moment.campaign.ending.action;
    let has_subscription = snapshot.subscription_id.is_some();
    let unsent = draft.case.memory.not_sent > 0;
    let action = match (wanted, draft.case.decline.disposition) {
        // Nobody loses a subscription for a fault of ours, be it the request or that no charge got through to the end.
        (_, Disposition::Merchant) => FinalAction::LeaveOpen,
        _ if unsent => FinalAction::LeaveOpen,
        (FinalAction::Cancel | FinalAction::Pause, _) if !has_subscription => FinalAction::LeaveOpen,
        (action, _) => action,
    };
    let unpaid = snapshot
        .subscription
        .as_ref()
        .is_some_and(|seen| seen.status == SubscriptionStatus::Unpaid);
    let then = match action {
        FinalAction::Cancel => ExhaustedThen::Cancelled,
        FinalAction::Pause => ExhaustedThen::Paused,
        FinalAction::MarkUncollectible => ExhaustedThen::Uncollectible,
        FinalAction::LeaveOpen if unpaid => ExhaustedThen::Unpaid,
        FinalAction::LeaveOpen => ExhaustedThen::LeftOpen,
    };
    let outcome = Outcome::Exhausted {
        reason: exhausted_reason(&draft.case),
        then,
    };
    begin(draft, action, outcome);
}

/// Begins a final action whose success closes the case with `outcome`.
pub fn begin(draft: &mut Draft<'_>, action: FinalAction, outcome: Outcome) {
    match action {
        FinalAction::LeaveOpen => close(draft, outcome),
        FinalAction::Cancel | FinalAction::Pause | FinalAction::MarkUncollectible => {
            let text = format!("The final action is carried out: {action}.");
            draft.say(
                EntryKind::FinalAction,
                text,
                json!({"action": action, "outcome": outcome}),
            );
            draft.case.state = State::Ending {
                action,
                outcome,
                sent: 1,
            };
            draft.case.timers = Timers {
                look_at: Some(draft.now()),
                // A case that a person takes over before the action is done still needs its end.
                final_at: draft.case.timers.final_at,
                ..Timers::default()
            };
            draft.commands.push(Command::SupersedeNotices {
                reason: Reason::FinalActionRunning,
            });
            draft.commands.push(Command::Finish);
        }
    }
}

/// The final action was carried out, or refused for good.
pub fn finished(mut draft: Draft<'_>, refused: Option<&str>) -> Decision {
    let outcome = match &draft.case.state {
        State::Ending { outcome, .. } => *outcome,
        State::Closed { .. } => return Decision::Ignored(Reason::CaseClosed),
        State::Active
        | State::Charging { .. }
        | State::InDoubt { .. }
        | State::Processing { .. }
        | State::Paused { .. }
        | State::NeedsPerson => return Decision::Ignored(Reason::NothingNew),
    };
    let outcome = match (refused, outcome) {
        (None, outcome) => outcome,
        (Some(reason), outcome) => {
            draft.warn(
                Warning::FinalActionRefused,
                "The provider refused the final action; a person must carry it out.",
            );
            draft.say(
                EntryKind::FinalAction,
                "The provider refused the final action.",
                json!({ "reason": reason }),
            );
            match outcome {
                Outcome::Exhausted { reason, .. } => Outcome::Exhausted {
                    reason,
                    then: ExhaustedThen::LeftOpen,
                },
                Outcome::Recovered { .. } | Outcome::Stopped { .. } => outcome,
            }
        }
    };
    close(&mut draft, outcome);
    draft.done()
}
