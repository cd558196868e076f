//! A campaign: the versioned plan of a case, as a person writes it in TOML.

use serde::{Deserialize, Serialize};

use super::ceiling::CHARGES_MAX;
use super::decline::{Decline, DeclineKind, Disposition};
use super::learning::arms::{Arm, USUAL};
use super::message::Message;
use super::words::words;

pub use place::Place;
pub use quiet::Quiet;
pub use touches::Touches;

mod lint;
mod place;
mod quiet;
pub mod schema;
mod touches;

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

/// The campaign that is built in, as a person wrote it.
pub const EMBEDDED: &str = include_str!("campaign/default.toml");

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// Within how many days a customer may promise to pay, on the page behind the links in messages; 0 takes no promise.
    #[serde(default = "promise_days", skip_serializing_if = "is_usual_promise")]
    pub promise_days: u16,
    /// The hours in which nothing is sent, in the recipient's zone; without them, messages leave at any hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// The most messages that ask one customer for money, about all invoices together; without it, each case writes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touches: Option<Touches>,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
    #[schema(value_type = schema::LocalTime)]
    pub at: jiff::civil::Time,
}

/// Charges that are planned by what was learned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageStep {
    /// Its key, unique in the campaign: a case receives each step at most once.
    pub key: String,
    /// The message to send.
    pub message: Message,
    /// The dispositions it is for.
    pub dispositions: Vec<Disposition>,
    /// The kinds of decline it is for; without them, all kinds of these dispositions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<DeclineKind>,
    /// When it is due.
    pub when: When,
}

/// When a message is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum When {
    /// Hours after the present disposition was first seen.
    AfterHours(u16),
    /// Days after the present disposition was first seen, at local time.
    AfterDays {
        /// How many days.
        days: u16,
        /// The local time.
        #[schema(value_type = schema::LocalTime)]
        at: jiff::civil::Time,
    },
    /// Days before the final action, at local time.
    BeforeFinal {
        /// How many days.
        days: u16,
        /// The local time.
        #[schema(value_type = schema::LocalTime)]
        at: jiff::civil::Time,
    },
}

/// How a campaign ends without money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    /// Days after the case was opened.
    pub after_days: u16,
    /// The local time.
    #[schema(value_type = schema::LocalTime)]
    pub at: jiff::civil::Time,
    /// What is done at the provider.
    pub action: FinalAction,
}

/// Something wrong in a campaign's file, with where and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where in the file, as far as it can be told.
    pub at: Option<Place>,
    /// What is wrong, and how to mend it.
    pub what: String,
}

impl Fault {
    /// `file:line:column: what`.
    pub fn in_file(&self, path: &std::path::Path) -> String {
        match self.at {
            Some(at) => format!("{}:{at}: {}", path.display(), self.what),
            None => format!("{}: {}", path.display(), self.what),
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "{at}: {}", self.what),
            None => f.write_str(&self.what),
        }
    }
}

/// A campaign that cannot be used, with all its faults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadCampaign(pub Vec<Fault>);

impl std::error::Error for BadCampaign {}

impl std::fmt::Display for BadCampaign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let faults: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&faults.join("\n"))
    }
}

/// Something wrong in a campaign, by the path of the value.
struct Flaw {
    path: String,
    what: String,
}

impl Flaw {
    fn new(path: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            what: what.into(),
        }
    }

    fn placed(self, text: &str) -> Fault {
        Fault {
            at: Place::of_path(text, &self.path),
            what: self.what,
        }
    }
}

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
        Self::parse(EMBEDDED).expect("the embedded campaign is checked by a test")
    }

    /// Reads a campaign from TOML; fails where it cannot be used.
    pub fn parse(text: &str) -> Result<Self, BadCampaign> {
        Self::read(text).map(|(campaign, _)| campaign)
    }

    /// Reads a campaign from TOML, with what it says that it cannot mean; fails where it cannot be used.
    pub fn read(text: &str) -> Result<(Self, Vec<Fault>), BadCampaign> {
        let campaign: Self = toml::from_str(text).map_err(|error| {
            let at = Some(Place::of_byte(text, error.span().map_or(0, |span| span.start)));
            let what = error.message().to_owned();
            BadCampaign(vec![Fault { at, what }])
        })?;
        let placed = |flaws: Vec<Flaw>| -> Vec<Fault> { flaws.into_iter().map(|flaw| flaw.placed(text)).collect() };
        let faults = placed(campaign.flaws());
        if faults.is_empty() {
            let lints = placed(campaign.lints());
            Ok((campaign, lints))
        } else {
            Err(BadCampaign(faults))
        }
    }

    /// Everything for which it cannot be used, each with how to mend it.
    fn flaws(&self) -> Vec<Flaw> {
        let mut flaws = self.head_flaws();
        for (nth, ladder) in self.ladders.iter().enumerate() {
            let path = format!("ladder.{nth}");
            flaws.extend(ladder.flaws(&path));
            let last_day = ladder.planned.as_ref().map(|planned| planned.within_days);
            if last_day
                .or(ladder.days.last().copied())
                .is_some_and(|day| day >= self.ending.after_days)
            {
                flaws.push(Flaw::new(
                    path,
                    "a charge on or after the final day would never be made: end the ladder before",
                ));
            }
        }
        if self.messages.len() > STEPS_MAX {
            flaws.push(Flaw::new(
                "message",
                format!("at most {STEPS_MAX} messages are allowed"),
            ));
        }
        for (nth, step) in self.messages.iter().enumerate() {
            let key = &step.key;
            let mut flaw = |what: String| flaws.push(Flaw::new(format!("message.{nth}.key"), what));
            if !is_printable(key) {
                flaw(format!(
                    "message {key:?}: the key must be 1 to {NAME_CHARS_MAX} printable characters"
                ));
            }
            if LAST_MESSAGES.iter().any(|message| message.as_str() == key) {
                flaw(format!(
                    "message {key:?} has the key of the message that ends a case: give it another key"
                ));
            }
            if self.messages[..nth].iter().any(|earlier| earlier.key == *key) {
                flaw(format!("message {key:?} is there twice: give each step its own key"));
            }
        }
        flaws
    }

    fn head_flaws(&self) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if !is_printable(&self.name) {
            flaws.push(Flaw::new(
                "name",
                format!("name must be 1 to {NAME_CHARS_MAX} printable characters"),
            ));
        }
        if !(1..=VERSION_MAX).contains(&self.version) {
            flaws.push(Flaw::new("version", format!("version must be 1 to {VERSION_MAX}")));
        }
        if self.promise_days > PROMISE_DAYS_MAX {
            flaws.push(Flaw::new(
                "promise_days",
                format!("promise_days must be 0 to {PROMISE_DAYS_MAX}"),
            ));
        }
        let touches = self
            .touches
            .filter(|touches| touches.most == 0 || touches.within_days > DAYS_MAX);
        if touches.is_some() {
            flaws.push(Flaw::new(
                "touches",
                format!("touches.most must be at least 1, and touches.within_days at most {DAYS_MAX}"),
            ));
        }
        if self.quiet.is_some_and(|quiet| quiet.from == quiet.to) {
            flaws.push(Flaw::new(
                "quiet",
                "quiet hours around the clock leave no hour to write in: let from and to differ",
            ));
        }
        if !(1..=DAYS_MAX).contains(&self.ending.after_days) {
            flaws.push(Flaw::new(
                "final.after_days",
                format!("final.after_days must be 1 to {DAYS_MAX}"),
            ));
        }
        for kind in DeclineKind::ALL {
            let mut with_it = (0..self.ladders.len()).filter(|nth| self.ladders[*nth].kinds.contains(kind));
            if let Some(second) = with_it.nth(1) {
                flaws.push(Flaw::new(
                    format!("ladder.{second}.kinds"),
                    format!("{kind} has more than one ladder: keep one"),
                ));
            }
        }
        flaws
    }

    /// What is wrong with its ladders where the provider charges by itself.
    pub fn idle_ladder(&self, text: &str) -> Fault {
        let what = "the provider retries by itself (stripe.collector), so no ladder is ever used: remove the ladders, or let Recoup collect";
        Flaw::new("ladder.0", what).placed(text)
    }

    /// The ladder for a kind of decline.
    pub fn ladder(&self, kind: DeclineKind) -> Option<&Ladder> {
        self.ladders.iter().find(|ladder| ladder.kinds.contains(&kind))
    }
}

impl MessageStep {
    /// Whether it is for a decline.
    pub fn is_for(&self, decline: &Decline) -> bool {
        self.dispositions.contains(&decline.disposition)
            && (self.kinds.is_empty() || self.kinds.contains(&decline.kind))
    }
}

impl Ladder {
    fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let plans = [!self.days.is_empty(), !self.hours.is_empty(), self.planned.is_some()];
        if plans.into_iter().filter(|given| *given).count() != 1 {
            flaws.push(Flaw::new(path, "give one of days, hours and planned"));
        }
        flaws.extend(self.planned.iter().flat_map(|planned| planned.flaws(path)));
        if self.kinds.is_empty() {
            flaws.push(Flaw::new(format!("{path}.kinds"), "kinds must not be empty"));
        }
        for (key, steps) in [("days", &self.days), ("hours", &self.hours)] {
            if !steps.is_sorted_by(|a, b| a < b) || steps.first() == Some(&0) || steps.len() > STEPS_MAX {
                let what = format!("steps must rise from 1 upwards, at most {STEPS_MAX} of them");
                flaws.push(Flaw::new(format!("{path}.{key}"), what));
            }
        }
        flaws
    }
}

impl Planned {
    fn flaws(&self, path: &str) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut flaw = |key: &str, what: String| flaws.push(Flaw::new(format!("{path}.planned.{key}"), what));
        if !(1..=CHARGES_MAX).contains(&u32::from(self.charges)) {
            flaw("charges", format!("planned.charges must be 1 to {CHARGES_MAX}"));
        }
        if self.within_days == 0 {
            flaw("within_days", "planned.within_days must be at least 1".to_owned());
        }
        let twice = |(number, arm)| self.arms[..number].contains(arm);
        if self.arms.is_empty() || self.arms.iter().enumerate().any(twice) {
            flaw(
                "arms",
                "planned.arms must name at least one arm, and each once".to_owned(),
            );
        }
        flaws
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_campaign_is_whole() {
        let campaign = Campaign::embedded();
        assert_eq!((campaign.name.as_str(), campaign.version), ("default", 2));
        let ladder = campaign.ladder(DeclineKind::InsufficientFunds).unwrap();
        let planned = ladder.planned.as_ref().unwrap();
        assert_eq!((planned.charges, planned.within_days), (5, 14));
        let ladder = campaign.ladder(DeclineKind::IssuerDown).unwrap();
        assert_eq!(ladder.hours, [1, 6, 24, 72, 168]);
        assert_eq!(campaign.ladder(DeclineKind::LostStolen), None);
        assert_eq!(
            (campaign.ending.after_days, campaign.ending.action),
            (21, FinalAction::Cancel)
        );
    }

    #[test]
    fn every_fault_is_listed_at_once() {
        let text = EMBEDDED
            .replace("planned = { charges = 5, within_days = 14 }", "days = [3, 1]")
            .replace("after_days = 21", "after_days = 0");
        let BadCampaign(faults) = Campaign::parse(&text).unwrap_err();
        assert_eq!(faults.len(), 4, "{faults:?}");
        assert!(faults.iter().all(|fault| fault.at.is_some()), "{faults:?}");
        assert!(Campaign::parse("name = 1").is_err());
    }

    #[test]
    fn the_keys_of_the_last_messages_are_taken() {
        for key in ["payment_received", "subscription_ended"] {
            let mut campaign = Campaign::embedded();
            campaign.messages[0].key = key.to_owned();
            let [flaw] = &campaign.flaws()[..] else { panic!("{key}") };
            assert!(flaw.what.contains(key), "{}", flaw.what);
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
            assert_eq!(campaign.flaws().len(), 1, "{campaign:?}");
        }
    }
}
