//! The rules of the card networks, by dates.

use jiff::{SignedDuration, Timestamp};
use recoup::domain::case::Origin;
use recoup::domain::ceiling::{Charge, Rule, Rules, Verdict, ceiling, consult};
use recoup::domain::command::AttemptStatus;
use recoup::domain::decline::{Decline, DeclineKind, Disposition};
use recoup::domain::ids::CaseId;
use recoup::domain::instrument::{Instrument, PastAttempt};
use recoup::domain::money::Money;
use recoup::domain::network::Network;

pub const NOON: &str = "2026-11-02T12:00:00Z";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn hours(from: Timestamp, hours: i64) -> Timestamp {
    from.saturating_add(SignedDuration::from_hours(hours)).unwrap()
}

pub fn eur(minor: i64) -> Money {
    Money::new(minor, "EUR".parse().unwrap())
}

pub fn case(number: u128) -> CaseId {
    CaseId::new(0, number)
}

pub fn soft() -> Decline {
    Decline {
        kind: DeclineKind::DoNotHonor,
        disposition: Disposition::Retry,
        provider_code: Some("do_not_honor".to_owned()),
        network_code: None,
        advice_code: None,
    }
}

/// A decline with this code of the network.
pub fn network(code: &str) -> Decline {
    Decline {
        network_code: Some(code.to_owned()),
        ..soft()
    }
}

/// A decline with this advice.
pub fn advice(code: &str) -> Decline {
    Decline {
        advice_code: Some(code.to_owned()),
        ..soft()
    }
}

/// An attempt of 19.99 for the first case.
pub fn tried(at: Timestamp, status: AttemptStatus, decline: Option<Decline>) -> PastAttempt {
    PastAttempt {
        id: None,
        at,
        case_id: case(1),
        origin: Origin::Us,
        amount: eur(1999),
        status,
        decline,
    }
}

pub fn declined(at: Timestamp, decline: Decline) -> PastAttempt {
    tried(at, AttemptStatus::Declined, Some(decline))
}

/// So many soft declines, so many hours apart, the first at `from`.
fn series(from: Timestamp, count: i64, apart: i64) -> Vec<PastAttempt> {
    (0..count)
        .map(|nth| declined(hours(from, nth * apart), soft()))
        .collect()
}

/// What is asked about: 19.99 for the first case.
pub struct Ask {
    pub rules: Rules,
    pub instrument: Instrument,
    pub amount: Money,
    pub case: CaseId,
}

impl Ask {
    pub fn about(network: Network) -> Self {
        Self {
            rules: Rules::embedded(),
            instrument: Instrument {
                key: "fp_1".to_owned(),
                network,
                country: Some("DE".to_owned()),
                funding: None,
                bank: None,
            },
            amount: eur(1999),
            case: case(1),
        }
    }

    pub fn at(&self, at: Timestamp, history: &[PastAttempt]) -> Verdict {
        let charge = Charge {
            instrument: &self.instrument,
            amount: self.amount,
            case_id: &self.case,
            at,
        };
        ceiling(&self.rules, &charge, history)
    }
}

#[test]
fn every_rule_is_named_once_and_has_its_source() {
    let rules = Rules::embedded();
    let mut names: Vec<Rule> = rules.rules.iter().map(|rule| rule.rule).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), rules.rules.len());
    // Those that are not in the file are our own, over one case.
    let own: Vec<Rule> = Rule::ALL.iter().copied().filter(|rule| !names.contains(rule)).collect();
    assert_eq!(
        own,
        [
            Rule::TerminalDecline,
            Rule::CustomerMustAct,
            Rule::MerchantMustAct,
            Rule::EightRetries,
            Rule::UnknownCode
        ]
    );
    for network in Network::ALL {
        assert!(
            rules.rules.iter().any(|rule| rule.networks.contains(network)),
            "{network} has no rule"
        );
    }
    for rule in &rules.rules {
        assert!(!rule.source.is_empty() && !rule.edition.is_empty(), "{}", rule.rule);
    }
}

#[test]
fn visas_first_category_is_never_charged_again_not_even_after_an_approval() {
    let ask = Ask::about(Network::Visa);
    for code in ["04", "07", "12", "14", "15", "41", "43", "46", "R0", "R1", "R3"] {
        let mut history = vec![declined(at("2021-01-04T09:00:00Z"), network(code))];
        assert_eq!(
            ask.at(at(NOON), &history),
            Verdict::Never(Rule::VisaCategory1),
            "{code}"
        );
        history.push(tried(at("2021-02-04T09:00:00Z"), AttemptStatus::Succeeded, None));
        assert_eq!(
            ask.at(at(NOON), &history),
            Verdict::Never(Rule::VisaCategory1),
            "{code}"
        );
    }
    // The same code of another network is in another dialect.
    let history = [declined(at("2021-01-04T09:00:00Z"), network("12"))];
    assert_eq!(Ask::about(Network::Amex).at(at(NOON), &history), Verdict::Allowed);
}

#[test]
fn two_of_visas_codes_change_their_meaning_by_date() {
    let ask = Ask::about(Network::Visa);
    for (declined_at, verdict) in [
        ("2025-09-30T23:59:59Z", Verdict::Never(Rule::VisaCategory1)),
        ("2025-10-01T00:00:00Z", Verdict::Allowed),
        ("2026-10-24T23:59:59Z", Verdict::Allowed),
        ("2026-10-25T00:00:00Z", Verdict::Never(Rule::VisaCategory1)),
    ] {
        let history = [declined(at(declined_at), network("57"))];
        assert_eq!(ask.at(at(NOON), &history), verdict, "{declined_at}");
    }
    let category = |code: &str, day: &str| ask.rules.category(Network::Visa, &network(code), at(day));
    assert_eq!(category("83", "2026-07-24T23:59:59Z"), Some(4));
    assert_eq!(category("83", "2026-07-25T00:00:00Z"), Some(2));
    assert_eq!(category("5C", "2025-04-10T00:00:00Z"), Some(4));
    assert_eq!(category("5C", "2025-04-11T00:00:00Z"), Some(2));
    assert_eq!(category("54", "2026-11-02T00:00:00Z"), Some(3));
    assert_eq!(ask.rules.category(Network::Mastercard, &network("51"), at(NOON)), None);
}

#[test]
fn visa_takes_fifteen_tries_of_one_amount_in_thirty_days_and_the_operator_may_say_twenty() {
    let mut ask = Ask::about(Network::Visa);
    let first = at("2026-10-05T09:00:00Z");
    let history = series(first, 15, 24);
    let next = hours(first, 15 * 24);
    let full = Verdict::NotBefore(hours(first, 720), Rule::VisaReattempts);
    assert_eq!(ask.at(next, &history[..14]), Verdict::Allowed);
    assert_eq!(ask.at(next, &history), full);
    assert_eq!(ask.at(hours(first, 720), &history), Verdict::Allowed);
    ask.amount = eur(2000);
    assert_eq!(
        ask.at(next, &history),
        Verdict::Allowed,
        "another amount is another count"
    );
    ask.amount = eur(1999);
    let mut approved = history.clone();
    approved.insert(14, tried(hours(first, 14 * 24 - 1), AttemptStatus::Succeeded, None));
    assert_eq!(ask.at(next, &approved), Verdict::Allowed, "an approval begins anew");
    ask.rules = ask.rules.with_limit(Rule::VisaReattempts, 25);
    assert_eq!(ask.rules.most(Rule::VisaReattempts), Some(20));
    let history = series(first, 20, 24);
    let next = hours(first, 20 * 24);
    assert_eq!(ask.at(next, &history[..19]), Verdict::Allowed);
    assert_eq!(ask.at(next, &history), full);
}

#[test]
fn whoever_tried_and_whatever_came_of_it_is_counted() {
    let ask = Ask::about(Network::Visa);
    let first = at("2026-10-05T09:00:00Z");
    let next = hours(first, 15 * 24);
    let last_with = |status: AttemptStatus, origin: Origin| {
        let mut history = series(first, 15, 24);
        history[14].status = status;
        history[14].decline = history[14].decline.take().filter(|_| status == AttemptStatus::Declined);
        history[14].origin = origin;
        ask.at(next, &history)
    };
    for origin in Origin::ALL {
        assert_ne!(
            last_with(AttemptStatus::Declined, *origin),
            Verdict::Allowed,
            "{origin}"
        );
    }
    for status in AttemptStatus::ALL {
        let counts = !matches!(
            status,
            AttemptStatus::NotSent | AttemptStatus::NotNeeded | AttemptStatus::Succeeded
        );
        assert_eq!(last_with(*status, Origin::Us) != Verdict::Allowed, counts, "{status}");
    }
}

#[test]
fn mastercard_takes_ten_in_a_row_in_a_day_and_thirty_five_in_a_month() {
    let ask = Ask::about(Network::Mastercard);
    let first = at("2026-10-05T09:00:00Z");
    let mut history = series(first, 10, 2);
    history[3].amount = eur(5);
    let next = hours(first, 20);
    assert_eq!(ask.at(next, &history[..9]), Verdict::Allowed);
    assert_eq!(
        ask.at(next, &history),
        Verdict::NotBefore(hours(first, 24), Rule::MastercardDay)
    );
    history.insert(5, tried(hours(first, 9), AttemptStatus::Succeeded, None));
    assert_eq!(ask.at(next, &history), Verdict::Allowed);
    let mut history = series(first, 35, 16);
    history.insert(5, tried(hours(first, 65), AttemptStatus::Succeeded, None));
    let next = hours(first, 35 * 16);
    assert_eq!(
        ask.at(next, &history),
        Verdict::NotBefore(hours(first, 720), Rule::MastercardMonth)
    );
    assert_eq!(ask.at(hours(first, 720), &history), Verdict::Allowed);
}

#[test]
fn mastercards_advice_to_wait_is_waited_for() {
    let ask = Ask::about(Network::Mastercard);
    let when = at("2026-10-05T09:00:00Z");
    for (code, wait) in [
        ("02", 72),
        ("24", 1),
        ("25", 24),
        ("26", 48),
        ("27", 96),
        ("28", 144),
        ("29", 192),
        ("30", 240),
    ] {
        let history = [declined(when, advice(code))];
        let until = hours(when, wait);
        assert_eq!(
            ask.at(hours(when, wait - 1), &history),
            Verdict::NotBefore(until, Rule::MastercardWait),
            "{code}"
        );
        assert_eq!(ask.at(until, &history), Verdict::Allowed, "{code}");
    }
    // The longest wait counts, not the last one.
    let history = [declined(when, advice("30")), declined(hours(when, 1), advice("24"))];
    assert_eq!(
        ask.at(hours(when, 5), &history),
        Verdict::NotBefore(hours(when, 240), Rule::MastercardWait)
    );
}

#[test]
fn mastercards_advice_against_is_kept_for_ever() {
    let ask = Ask::about(Network::Mastercard);
    for (code, rule) in [
        ("03", Rule::MastercardDoNotTryAgain),
        ("21", Rule::MastercardDoNotTryAgain),
        ("41", Rule::MastercardSingleUse),
        ("42", Rule::MastercardSanctions),
    ] {
        let history = [declined(at("2024-10-05T09:00:00Z"), advice(code))];
        assert_eq!(ask.at(at(NOON), &history), Verdict::Never(rule), "{code}");
    }
    for code in ["01", "04", "05", "22", "40", "43"] {
        let history = [declined(at("2026-10-05T09:00:00Z"), advice(code))];
        assert_eq!(ask.at(at(NOON), &history), Verdict::Allowed, "{code}");
    }
    // On a Visa card the same figures are no advice of Mastercard's.
    let history = [declined(at("2026-10-05T09:00:00Z"), advice("03"))];
    assert_eq!(Ask::about(Network::Visa).at(at(NOON), &history), Verdict::Allowed);
}

#[test]
fn countries_have_rules_of_their_own() {
    let first = at("2026-10-05T09:00:00Z");
    let history = series(first, 7, 24);
    let next = hours(first, 7 * 24);
    let mut ask = Ask::about(Network::Mastercard);
    assert_eq!(ask.at(next, &history), Verdict::Allowed);
    ask.instrument.country = Some("BR".to_owned());
    assert_eq!(
        ask.at(next, &history),
        Verdict::NotBefore(hours(first, 744), Rule::MastercardBrazil)
    );
    for network in [Network::Visa, Network::Mastercard, Network::Amex, Network::OtherCard] {
        let mut ask = Ask::about(network);
        ask.instrument.country = Some("IN".to_owned());
        assert_eq!(ask.at(next, &[]), Verdict::Never(Rule::IndiaCards), "{network}");
    }
}

#[test]
fn cards_without_published_rules_have_a_cap_of_ours() {
    let first = at("2026-10-05T09:00:00Z");
    let history = series(first, 8, 24);
    let next = hours(first, 8 * 24);
    for (network, rule) in [
        (Network::Amex, Rule::AmexAttempts),
        (Network::Discover, Rule::DiscoverAttempts),
        (Network::OtherCard, Rule::OtherCardAttempts),
        (Network::Unknown, Rule::OtherCardAttempts),
    ] {
        let mut ask = Ask::about(network);
        assert_eq!(ask.at(next, &history[..7]), Verdict::Allowed, "{network}");
        assert_eq!(
            ask.at(next, &history),
            Verdict::NotBefore(hours(first, 720), rule),
            "{network}"
        );
        ask.rules = ask.rules.with_limit(rule, 4);
        assert_ne!(ask.at(next, &history[..4]), Verdict::Allowed, "{network}");
    }
}

#[test]
fn a_block_by_the_provider_is_waited_for_whoever_ran_into_it() {
    let ask = Ask::about(Network::Visa);
    let when = at("2026-10-05T09:00:00Z");
    let mut blocked = declined(when, soft());
    blocked.case_id = case(2);
    blocked.decline.as_mut().unwrap().provider_code = Some("previously_declined_do_not_retry".to_owned());
    assert_eq!(
        ask.at(hours(when, 71), &[blocked.clone()]),
        Verdict::NotBefore(hours(when, 72), Rule::ProviderBlock)
    );
    assert_eq!(ask.at(hours(when, 72), &[blocked]), Verdict::Allowed);
}

#[test]
fn an_instrument_that_was_declined_for_good_needs_somebody_to_get_through() {
    let ask = Ask::about(Network::Amex);
    let when = at("2026-10-05T09:00:00Z");
    let of = |kind| Decline {
        kind,
        disposition: Disposition::Never,
        ..soft()
    };
    let mut other = declined(when, of(DeclineKind::LostStolen));
    other.case_id = case(2);
    let mut history = vec![other];
    assert_eq!(ask.at(at(NOON), &history), Verdict::Never(Rule::TerminalDecline));
    history.push(tried(hours(when, 1), AttemptStatus::Succeeded, None));
    assert_eq!(ask.at(at(NOON), &history), Verdict::Allowed);
    let history = [declined(when, of(DeclineKind::MerchantConfig))];
    assert_eq!(
        ask.at(at(NOON), &history),
        Verdict::Allowed,
        "our own fault is not the card's"
    );
}

#[test]
fn a_refusal_goes_before_a_wait_and_each_rule_says_what_it_counted() {
    let ask = Ask::about(Network::Mastercard);
    let when = at("2026-10-05T09:00:00Z");
    let history = [declined(when, advice("30")), declined(hours(when, 1), advice("03"))];
    assert_eq!(
        ask.at(hours(when, 2), &history),
        Verdict::Never(Rule::MastercardDoNotTryAgain)
    );
    let charge = Charge {
        instrument: &ask.instrument,
        amount: ask.amount,
        case_id: &ask.case,
        at: hours(when, 2),
    };
    let said: Vec<_> = consult(&ask.rules, &charge, &history).collect();
    let of = |rule| said.iter().find(|said| said.rule == rule).unwrap();
    assert_eq!(
        of(Rule::MastercardDay).counted.zip(of(Rule::MastercardDay).limit),
        Some((2, 10))
    );
    assert_eq!(
        of(Rule::MastercardWait).verdict,
        Verdict::NotBefore(hours(when, 240), Rule::MastercardWait)
    );
    assert!(
        said.iter().all(|said| said.rule != Rule::VisaReattempts),
        "another network's"
    );
}
