//! A campaign: the versioned plan of a case, as a person writes it in TOML.

use serde::{Deserialize, Serialize};

use super::ceiling::CHARGES_MAX;
use super::decline::{DeclineKind, Disposition};
use super::learning::arms::{Arm, USUAL};
use super::message::Message;
use super::words::words;

words! {
    /// What is done at the provider when a campaign ends without money.
    FinalAction {
        /// The subscription is cancelled.
        Cancel = "cancel",
        /// Collection is paused.
        Pause = "pause",
        /// The invoice is marked uncollectible.
        MarkUncollectible = "mark_uncollectible",
        /// Nothing is done; the invoice stays open.
        LeaveOpen = "leave_open",
    }
}

/// The campaign that is built in.
const DEFAULT: &str = include_str!("campaign/default.toml");

/// The most charges one ladder may name, and the most message steps of a campaign.
const STEPS_MAX: usize = 30;
/// The messages that end a case; their steps have their names as keys.
const LAST_MESSAGES: [Message; 3] = [
    Message::PaymentReceived,
    Message::SubscriptionEnded,
    Message::SubscriptionPaused,
];
/// The longest campaign, in days.
const DAYS_MAX: u16 = 365;
/// The longest name, and the longest key of a message step, in characters: what the API looks up.
const NAME_CHARS_MAX: usize = 255;
/// The highest version that the API can name.
const VERSION_MAX: u32 = i32::MAX.unsigned_abs();

/// A campaign in one version. A case keeps the version it was opened with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// Within how many days a customer may promise to pay, on the page behind the links in messages; 0 takes no promise.
    #[serde(default = "promise_days", skip_serializing_if = "is_usual_promise")]
    pub promise_days: u16,
    /// When to charge, by decline kind. A kind without a ladder is never charged by schedule.
    #[serde(default, rename = "ladder")]
    pub ladders: Vec<Ladder>,
    /// What to write, in order of time.
    #[serde(default, rename = "message")]
    pub messages: Vec<MessageStep>,
    /// How it ends.
    #[serde(rename = "final")]
    pub ending: Ending,
}

/// A week: as long as a salary is usually waited for.
const PROMISE_DAYS: u16 = 7;
/// The furthest day that a campaign may let customers promise.
const PROMISE_DAYS_MAX: u16 = 30;

fn promise_days() -> u16 {
    PROMISE_DAYS
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_usual_promise(days: &u16) -> bool {
    *days == PROMISE_DAYS
}

/// The charges planned for some decline kinds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ladder {
    /// The kinds it is for.
    pub kinds: Vec<DeclineKind>,
    /// Days after the case was opened, at `at` local time.
    #[serde(default)]
    pub days: Vec<u16>,
    /// Hours after this kind was first seen.
    #[serde(default)]
    pub hours: Vec<u16>,
    /// Instead of days or hours: how many charges at most, planned by an arm that is chosen for each case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<Planned>,
    /// The local time of the day steps, `HH:MM`.
    #[serde(default = "nine")]
    pub at: jiff::civil::Time,
}

/// Charges that are planned by what was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planned {
    /// How many charges at most; of some kinds fewer are ever made.
    pub charges: u8,
    /// Within how many days after the case was opened.
    pub within_days: u16,
    /// The arms to choose among; a single one is pinned.
    #[serde(default = "usual_arms")]
    pub arms: Vec<Arm>,
}

fn usual_arms() -> Vec<Arm> {
    USUAL.to_vec()
}

/// One message of a campaign.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MessageStep {
    /// Its key, unique in the campaign: a case receives each step at most once.
    pub key: String,
    /// The message to send.
    pub message: Message,
    /// The dispositions it is for.
    pub dispositions: Vec<Disposition>,
    /// When it is due.
    pub when: When,
}

/// When a message is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Hours after the present disposition was first seen.
    AfterHours(u16),
    /// Days after the present disposition was first seen, at local time.
    AfterDays {
        /// How many days.
        days: u16,
        /// The local time.
        at: jiff::civil::Time,
    },
    /// Days before the final action, at local time.
    BeforeFinal {
        /// How many days.
        days: u16,
        /// The local time.
        at: jiff::civil::Time,
    },
}

/// How a campaign ends without money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Days after the case was opened.
    pub after_days: u16,
    /// The local time.
    pub at: jiff::civil::Time,
    /// What is done at the provider.
    pub action: FinalAction,
}

/// A campaign that cannot be used, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct BadCampaign(pub Vec<String>);

/// Whether both databases can keep a text as a name: PostgreSQL refuses a NUL, and a step without a key could not be queued.
fn is_printable(text: &str) -> bool {
    (1..=NAME_CHARS_MAX).contains(&text.chars().count()) && !text.contains(char::is_control)
}

fn nine() -> jiff::civil::Time {
    jiff::civil::time(9, 0, 0, 0)
}

impl Campaign {
    /// The campaign that is built in.
    pub fn embedded() -> Self {
        Self::parse(DEFAULT).expect("the embedded campaign is checked by a test")
    }

    /// Reads a campaign from TOML and checks it.
    pub fn parse(text: &str) -> Result<Self, BadCampaign> {
        let campaign: Self = toml::from_str(text).map_err(|error| BadCampaign(vec![error.to_string()]))?;
        let faults = campaign.faults();
        if faults.is_empty() {
            Ok(campaign)
        } else {
            Err(BadCampaign(faults))
        }
    }

    /// Everything that is wrong with it, each with how to mend it.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !is_printable(&self.name) {
            faults.push(format!("name must be 1 to {NAME_CHARS_MAX} printable characters"));
        }
        if !(1..=VERSION_MAX).contains(&self.version) {
            faults.push(format!("version must be 1 to {VERSION_MAX}"));
        }
        if self.promise_days > PROMISE_DAYS_MAX {
            faults.push(format!("promise_days must be 0 to {PROMISE_DAYS_MAX}"));
        }
        if !(1..=DAYS_MAX).contains(&self.ending.after_days) {
            faults.push(format!("final.after_days must be 1 to {DAYS_MAX}"));
        }
        for kind in DeclineKind::ALL {
            if self.ladders.iter().filter(|ladder| ladder.kinds.contains(kind)).count() > 1 {
                faults.push(format!("{kind} has more than one ladder: keep one"));
            }
        }
        for (number, ladder) in self.ladders.iter().enumerate() {
            faults.extend(ladder.faults().map(|fault| format!("ladder {}: {fault}", number + 1)));
            let last_day = ladder.planned.as_ref().map(|planned| planned.within_days);
            if last_day
                .or(ladder.days.last().copied())
                .is_some_and(|day| day >= self.ending.after_days)
            {
                faults.push(format!(
                    "ladder {}: a charge on or after the final day would never be made",
                    number + 1
                ));
            }
        }
        if self.messages.len() > STEPS_MAX {
            faults.push(format!("at most {STEPS_MAX} messages are allowed"));
        }
        for (index, step) in self.messages.iter().enumerate() {
            if !is_printable(&step.key) {
                faults.push(format!(
                    "message {:?}: the key must be 1 to {NAME_CHARS_MAX} printable characters",
                    step.key
                ));
            }
            if LAST_MESSAGES.iter().any(|message| message.as_str() == step.key) {
                faults.push(format!(
                    "message {:?} has the key of the message that ends a case: give it another key",
                    step.key
                ));
            }
            if self.messages[..index].iter().any(|earlier| earlier.key == step.key) {
                faults.push(format!(
                    "message {:?} is there twice: give each step its own key",
                    step.key
                ));
            }
        }
        faults
    }

    /// The ladder for a kind of decline.
    pub fn ladder(&self, kind: DeclineKind) -> Option<&Ladder> {
        self.ladders.iter().find(|ladder| ladder.kinds.contains(&kind))
    }
}

impl Ladder {
    fn faults(&self) -> impl Iterator<Item = String> {
        let mut faults = Vec::new();
        let plans = [!self.days.is_empty(), !self.hours.is_empty(), self.planned.is_some()];
        if plans.into_iter().filter(|given| *given).count() != 1 {
            faults.push("give one of days, hours and planned".to_owned());
        }
        faults.extend(self.planned.iter().flat_map(Planned::faults));
        if self.kinds.is_empty() {
            faults.push("kinds must not be empty".to_owned());
        }
        for steps in [&self.days, &self.hours] {
            if !steps.is_sorted_by(|a, b| a < b) || steps.first() == Some(&0) || steps.len() > STEPS_MAX {
                faults.push(format!("steps must rise from 1 upwards, at most {STEPS_MAX} of them"));
            }
        }
        faults.into_iter()
    }
}

impl Planned {
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        if !(1..=CHARGES_MAX).contains(&u32::from(self.charges)) {
            faults.push(format!("planned.charges must be 1 to {CHARGES_MAX}"));
        }
        if self.within_days == 0 {
            faults.push("planned.within_days must be at least 1".to_owned());
        }
        let twice = |(number, arm)| self.arms[..number].contains(arm);
        if self.arms.is_empty() || self.arms.iter().enumerate().any(twice) {
            faults.push("planned.arms must name at least one arm, and each once".to_owned());
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_campaign_is_whole() {
        let campaign = Campaign::embedded();
        assert_eq!((campaign.name.as_str(), campaign.version), ("default", 2));
        let planned = campaign
            .ladder(DeclineKind::InsufficientFunds)
            .unwrap()
            .planned
            .as_ref()
            .unwrap();
        assert_eq!((planned.charges, planned.within_days), (6, 14));
        assert_eq!(
            campaign.ladder(DeclineKind::IssuerDown).unwrap().hours,
            [1, 6, 24, 72, 168]
        );
        assert_eq!(campaign.ladder(DeclineKind::LostStolen), None);
        assert_eq!(
            (campaign.ending.after_days, campaign.ending.action),
            (21, FinalAction::Cancel)
        );
    }

    #[test]
    fn every_fault_is_listed_at_once() {
        let text = DEFAULT
            .replace("planned = { charges = 6, within_days = 14 }", "days = [3, 1]")
            .replace("after_days = 21", "after_days = 0");
        let BadCampaign(faults) = Campaign::parse(&text).unwrap_err();
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(Campaign::parse("name = 1").is_err());
    }

    #[test]
    fn the_keys_of_the_last_messages_are_taken() {
        for key in ["payment_received", "subscription_ended"] {
            let mut campaign = Campaign::embedded();
            campaign.messages[0].key = key.to_owned();
            let [fault] = &campaign.faults()[..] else {
                panic!("{:?}", campaign.faults())
            };
            assert!(fault.contains(key), "{fault}");
        }
    }
    #[test]
    fn names_keys_and_versions_can_be_kept_and_looked_up() {
        let alterations: [fn(&mut Campaign); 6] = [
            |campaign| campaign.name.clear(),
            |campaign| campaign.name.push('\0'),
            |campaign| campaign.name = "é".repeat(256),
            |campaign| campaign.version = 0,
            |campaign| campaign.version = 1 << 31,
            |campaign| campaign.messages[0].key.clear(),
        ];
        for alter in alterations {
            let mut campaign = Campaign::embedded();
            alter(&mut campaign);
            assert_eq!(campaign.faults().len(), 1, "{campaign:?}");
        }
    }
}
