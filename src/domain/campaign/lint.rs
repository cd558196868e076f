//! What a campaign says that it cannot mean: steps that never come, and an end that nobody was told of.

use super::{Campaign, FinalAction, Flaw, Ladder, MessageStep, When};
use crate::domain::ceiling::CHARGES_MAX;
use crate::domain::decline::{DeclineKind, Disposition};
use crate::domain::message::Message;

/// The shortest month: the next monthly invoice is charged then at the latest.
const MONTH_DAYS: u16 = 28;
const HOURS: u32 = 24;

impl Campaign {
    /// Everything that can be loaded and should not be meant, each with how to mend it.
    pub(super) fn lints(&self) -> Vec<Flaw> {
        let ladders = self.ladders.iter().enumerate();
        let messages = self.messages.iter().enumerate();
        let mut flaws: Vec<Flaw> = ladders.flat_map(|(nth, ladder)| ladder_flaws(nth, ladder)).collect();
        flaws.extend(messages.flat_map(|(nth, step)| self.step_flaws(nth, step)));
        flaws.extend(self.unannounced());
        flaws.extend(self.uninvited());
        flaws
    }

    /// Only who lost a subscription can come back.
    fn uninvited(&self) -> Option<Flaw> {
        let never = self.win_back.is_some() && self.ending.action != FinalAction::Cancel;
        never.then(|| {
            let what = format!(
                "nobody is ever invited to come back, since the campaign ends with {}: remove win_back, or let it end with cancel",
                self.ending.action
            );
            Flaw::new("win_back", what)
        })
    }

    fn step_flaws(&self, nth: usize, step: &MessageStep) -> Vec<Flaw> {
        let at = |key: &str| format!("message.{nth}.{key}");
        let end_hours = u32::from(self.ending.after_days) * HOURS;
        let mut flaws = Vec::new();
        if !step.message.is_reminder() {
            flaws.push(Flaw::new(
                at("message"),
                format!("{} is sent by itself at its moment: remove the step", step.message),
            ));
        }
        if step.dispositions.is_empty() {
            flaws.push(Flaw::new(
                at("dispositions"),
                "the step is for no decline: name a disposition",
            ));
        }
        let never = match step.when {
            When::AfterHours(hours) => u32::from(hours) >= end_hours,
            When::AfterDays { days, at } => (days, at) >= (self.ending.after_days, self.ending.at),
            When::BeforeFinal { days, .. } => days > self.ending.after_days,
        };
        if never {
            flaws.push(Flaw::new(
                at("when"),
                format!(
                    "the step would fall outside the campaign, which ends after {} days: move it",
                    self.ending.after_days
                ),
            ));
        }
        if step.message == Message::FinalNotice && matches!(step.when, When::BeforeFinal { days: 0, .. }) {
            flaws.push(Flaw::new(
                at("when"),
                "the last notice would come on the day of the end: give customers a day at least to answer it",
            ));
        }
        let hour = match step.when {
            When::AfterDays { at, .. } | When::BeforeFinal { at, .. } => Some(at),
            When::AfterHours(_) => None,
        };
        if let Some((quiet, _)) = self.quiet.zip(hour).filter(|(quiet, hour)| quiet.holds(*hour)) {
            let what = format!(
                "the step falls into the quiet hours and would only come at {}: move it",
                quiet.to.strftime("%H:%M")
            );
            flaws.push(Flaw::new(at("when"), what));
        }
        let alike = |disposition: &Disposition| {
            let before = self.messages[..nth]
                .iter()
                .filter(|other| other.message == step.message);
            before.filter(|other| other.dispositions.contains(disposition)).count()
        };
        let times = step.message.times();
        if step.dispositions.iter().map(alike).max().unwrap_or(0) >= times {
            flaws.push(Flaw::new(
                at("message"),
                format!(
                    "{} comes more than {times} times in one case, and has no more subjects: take another message",
                    step.message
                ),
            ));
        }
        flaws
    }

    /// Whoever loses a subscription is told before, whatever the decline was.
    fn unannounced(&self) -> Option<Flaw> {
        if self.ending.action == FinalAction::LeaveOpen {
            return None;
        }
        let told = |disposition: &Disposition| {
            let mut notices = self.messages.iter().filter(|step| step.message == Message::FinalNotice);
            notices.any(|step| step.dispositions.contains(disposition))
        };
        // Of what is our own fault customers hear nothing.
        let chased = Disposition::ALL
            .iter()
            .filter(|disposition| **disposition != Disposition::Merchant);
        let mut untold = chased.filter(|disposition| !told(disposition));
        let first = untold.next()?;
        Some(Flaw::new(
            "final.action",
            format!(
                "nobody tells customers with the disposition {first} before {}: add a final_notice before_final for them",
                self.ending.action
            ),
        ))
    }
}

fn ladder_flaws(nth: usize, ladder: &Ladder) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let planned = ladder.planned.as_ref().map(|planned| planned.within_days);
    let hours = ladder.hours.last().map(|hours| hours / 24);
    let last = planned.or(ladder.days.last().copied()).or(hours);
    if last.is_some_and(|day| day >= MONTH_DAYS) {
        flaws.push(Flaw::new(
            format!("ladder.{nth}"),
            format!("a charge on day {MONTH_DAYS} or later may meet the next month's own: end the ladder before"),
        ));
    }
    for (at, kind) in ladder.kinds.iter().enumerate() {
        let most = most_charges(*kind);
        let count = ladder.days.len() + ladder.hours.len();
        let count = ladder
            .planned
            .as_ref()
            .map_or(count, |planned| usize::from(planned.charges));
        let what = match most {
            0 => format!("{kind} is never charged again by schedule: remove it from the ladder"),
            most if count > most => {
                format!("{kind} is charged {most} times at most, whatever the ladder says: plan no more")
            }
            _ => continue,
        };
        flaws.push(Flaw::new(format!("ladder.{nth}.kinds.{at}"), what));
    }
    flaws
}

/// How often a kind is charged by schedule at most: what time does not heal, never.
fn most_charges(kind: DeclineKind) -> usize {
    match kind {
        DeclineKind::InsufficientFunds | DeclineKind::Limit | DeclineKind::DoNotHonor | DeclineKind::IssuerDown => {
            usize::try_from(CHARGES_MAX).unwrap_or(usize::MAX)
        }
        DeclineKind::Expired
        | DeclineKind::InvalidAccount
        | DeclineKind::LostStolen
        | DeclineKind::Fraud
        | DeclineKind::NotPermitted
        | DeclineKind::AuthenticationRequired
        | DeclineKind::Revoked
        | DeclineKind::MerchantConfig => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEFAULT: &str = include_str!("default.toml");

    /// The faults of the built-in campaign with a text replaced.
    fn told(from: &str, to: &str) -> Vec<String> {
        assert!(DEFAULT.contains(from), "{from}");
        let (_, faults) = Campaign::read(&DEFAULT.replacen(from, to, 1)).unwrap();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_built_in_campaign_means_what_it_says() {
        assert_eq!(told("version = 2", "version = 2"), Vec::<String>::new());
    }

    #[test]
    fn what_never_comes_is_told_with_its_place() {
        let cases = [
            (
                "kinds = [\"issuer_down\"]",
                "kinds = [\"issuer_down\", \"fraud\"]",
                "fraud is never charged again by schedule",
            ),
            (
                "hours = [1, 6, 24, 72, 168]",
                "hours = [1, 2, 3, 4, 5, 6, 7, 8, 9]",
                "charged 8 times at most",
            ),
            (
                "days = 7, at = \"10:00\"",
                "days = 21, at = \"10:00\"",
                "the step would fall outside the campaign",
            ),
            (
                "before_final = { days = 3",
                "before_final = { days = 22",
                "the step would fall outside the campaign",
            ),
            (
                "before_final = { days = 3",
                "before_final = { days = 0",
                "the last notice would come on the day of the end",
            ),
            (
                "message = \"reminder\"",
                "message = \"payment_received\"",
                "payment_received is sent by itself",
            ),
            (
                "message = \"final_notice\"",
                "message = \"reminder\"",
                "nobody tells customers with the disposition retry",
            ),
        ];
        for (from, to, what) in cases {
            let faults = told(from, to);
            let [fault] = &faults[..] else {
                panic!("{to}: {faults:?}")
            };
            let (place, said) = fault.split_once(": ").unwrap();
            assert!(said.contains(what), "{fault}");
            let line: usize = place.split(':').next().unwrap().parse().unwrap();
            let text = DEFAULT.replacen(from, to, 1);
            let line = text.lines().nth(line - 1).unwrap();
            let key = to.split([' ', '=']).next().unwrap();
            assert!(
                line.contains(key) || line.contains("action") || line.contains("when") || line.contains("kinds"),
                "{fault}: {line}"
            );
        }
    }

    #[test]
    fn who_loses_no_subscription_is_not_invited_back() {
        let text = DEFAULT.replacen("#win_back =", "win_back =", 1);
        let (campaign, faults) = Campaign::read(&text).unwrap();
        assert_eq!(
            (campaign.win_back.map(|win_back| win_back.after_days), faults.len()),
            (Some(14), 0)
        );
        let (_, faults) = Campaign::read(&text.replace("action = \"cancel\"", "action = \"pause\"")).unwrap();
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert!(fault.what.starts_with("nobody is ever invited to come back"), "{fault}");
        assert!(Campaign::read(&text.replace("after_days = 14", "after_days = 29")).is_err());
    }

    #[test]
    fn a_step_in_the_quiet_hours_is_told_of() {
        let faults = told("to = \"08:00\"", "to = \"11:00\"");
        assert_eq!(faults.len(), 3, "{faults:?}");
        assert!(
            faults[0].ends_with("falls into the quiet hours and would only come at 11:00: move it"),
            "{faults:?}"
        );
    }

    #[test]
    fn a_charge_of_this_month_does_not_meet_the_next_ones() {
        let text =
            DEFAULT
                .replace("after_days = 21", "after_days = 40")
                .replacen("within_days = 14", "within_days = 28", 1);
        let (_, faults) = Campaign::read(&text).unwrap();
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert!(
            fault
                .what
                .starts_with("a charge on day 28 or later may meet the next month's own"),
            "{fault}"
        );
    }

    #[test]
    fn a_message_comes_no_more_often_than_it_has_subjects() {
        let step = "[[message]]\nkey = \"rN\"\nmessage = \"reminder\"\ndispositions = [\"retry\"]\nwhen = { after_hours = N }\n\n";
        let more: String = (1..=5).map(|nth| step.replace('N', &nth.to_string())).collect();
        let faults = told("# What happens when", &format!("{more}# What happens when"));
        let [fault] = &faults[..] else { panic!("{faults:?}") };
        assert!(
            fault.contains("reminder comes more than 5 times in one case"),
            "{fault}"
        );
    }
}
