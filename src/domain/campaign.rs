//! A campaign: the versioned plan of a case, as a person writes it in TOML.

use serde::{Deserialize, Serialize};

use super::decline::{Decline, DeclineKind, Disposition};
use super::message::Message;
use super::words::words;

use fault::Flaw;
pub use fault::{BadCampaign, Fault};
pub use place::Place;
pub use planned::Planned;
pub use quiet::Quiet;
pub use segment::{Facts, Segment};
pub use split::Split;
pub use touches::Touches;
pub use win_back::WinBack;

mod fault;
mod flaws;
mod lint;
mod place;
mod planned;
mod quiet;
pub mod review;
pub mod schema;
pub mod segment;
mod split;
mod touches;
mod win_back;

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

/// A campaign in one version. A case keeps the version it was opened with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// Its version, from 1.
    pub version: u32,
    /// When it is asked whether it takes a new case: campaigns with a lower number are asked before.
    #[serde(default = "usual_order", skip_serializing_if = "is_usual_order")]
    pub order: u16,
    /// Leaves new cases to the version that is live, and only says beside it what it would have done.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub shadow: bool,
    /// Within how many days a customer may promise to pay, on the page behind the links in messages; 0 takes no promise.
    #[serde(default = "promise_days", skip_serializing_if = "is_usual_promise")]
    pub promise_days: u16,
    /// Which cases it takes: those that one of these segments holds. `default` has none, and takes what nobody else does; another
    /// campaign without any takes only what staff moves to it.
    #[serde(default, rename = "for", skip_serializing_if = "Vec::is_empty")]
    pub segments: Vec<Segment>,
    /// Gives new cases of only a part of the customers this version, to compare it with another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<Split>,
    /// The hours in which nothing is sent, in the recipient's zone; without them, messages leave at any hour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
    /// The most messages that ask one customer for money, about all invoices together; without it, each case writes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touches: Option<Touches>,
    /// Whether who lost a subscription for non-payment is invited to come back. That advertises, so nothing is sent without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub win_back: Option<WinBack>,
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

/// Where a campaign stands that says nothing of its order.
const ORDER: u16 = 100;

const fn usual_order() -> u16 {
    ORDER
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
const fn is_usual_order(order: &u16) -> bool {
    *order == ORDER
}

/// A week: as long as a salary is usually waited for.
const PROMISE_DAYS: u16 = 7;

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

    /// What is wrong with its ladders where the provider charges by itself.
    pub fn idle_ladder(&self, text: &str) -> Fault {
        let what = "the provider retries by itself (stripe.collector), so no ladder is ever used: remove the ladders, or let Recoup collect";
        Flaw::new("ladder.0", what).placed(text)
    }

    /// The campaign as the text of a file, without remarks.
    pub fn to_text(&self) -> String {
        toml::to_string(self).expect("a campaign is made of what a file can hold")
    }

    /// The hour of its messages: that of the first which names one, else that of its end.
    pub fn usual_hour(&self) -> jiff::civil::Time {
        let hour = |step: &MessageStep| match step.when {
            When::AfterDays { at, .. } | When::BeforeFinal { at, .. } => Some(at),
            When::AfterHours(_) => None,
        };
        self.messages.iter().find_map(hour).unwrap_or(self.ending.at)
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
    fn the_keys_of_messages_that_are_sent_by_themselves_are_taken() {
        for key in [
            "payment_received",
            "subscription_ended",
            "win_back",
            "staff_mail_bounced 2026-03-02",
        ] {
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
