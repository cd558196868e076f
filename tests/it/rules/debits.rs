//! The rules of the schemes of bank debits, by dates.

use recoup::domain::ceiling::{Rule, Verdict};
use recoup::domain::network::Network;

use super::ceiling::{Ask, at, case, declined, eur, hours, network, soft};
use recoup::domain::decline::Decline;

const FIRST: &str = "2026-10-05T09:00:00Z";

fn funds() -> Decline {
    Decline {
        provider_code: Some("insufficient_funds".to_owned()),
        ..soft()
    }
}

#[test]
fn an_american_debit_is_made_again_twice_within_half_a_year_for_want_of_money_only() {
    let mut ask = Ask::about(Network::Ach);
    let first = at(FIRST);
    let mut history = vec![declined(first, network("R01"))];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Allowed);
    assert_eq!(ask.at(hours(first, 4320), &history), Verdict::Allowed);
    assert_eq!(
        ask.at(hours(first, 4321), &history),
        Verdict::Never(Rule::AchReinitiations)
    );
    history.push(declined(hours(first, 72), network("R09")));
    assert_eq!(ask.at(hours(first, 144), &history), Verdict::Allowed);
    history.push(declined(hours(first, 144), funds()));
    assert_eq!(
        ask.at(hours(first, 216), &history),
        Verdict::Never(Rule::AchReinitiations)
    );
    ask.case = case(2);
    assert_eq!(
        ask.at(hours(first, 216), &history),
        Verdict::Allowed,
        "another invoice is another debit"
    );
    ask.case = case(1);
    ask.amount = eur(500);
    assert_eq!(
        ask.at(hours(first, 72), &history[..1]),
        Verdict::Never(Rule::AchReinitiations)
    );
}

#[test]
fn an_american_return_for_another_reason_is_not_made_again() {
    let ask = Ask::about(Network::Ach);
    let first = at(FIRST);
    for code in [
        "R02", "R03", "R04", "R05", "R07", "R10", "R11", "R16", "R20", "R29", "R51",
    ] {
        let history = [declined(first, network(code))];
        assert_eq!(
            ask.at(hours(first, 72), &history),
            Verdict::Never(Rule::AchNever),
            "{code}"
        );
    }
    let history = [declined(first, network("R08"))];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::AchOnlyFunds));
    let history = [declined(first, soft())];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::AchOnlyFunds));
}

#[test]
fn a_european_debit_is_collected_again_unless_the_mandate_or_the_account_is_gone() {
    let ask = Ask::about(Network::Sepa);
    let first = at(FIRST);
    for code in ["AM04", "AC06", "MS02", "MS03"] {
        assert_eq!(
            ask.at(hours(first, 72), &[declined(first, network(code))]),
            Verdict::Allowed,
            "{code}"
        );
    }
    for code in ["AC01", "AC04", "AC13", "MD01", "MD06", "MD07", "SL01", "BE05"] {
        let history = [declined(first, network(code))];
        assert_eq!(
            ask.at(hours(first, 9000), &history),
            Verdict::Never(Rule::SepaNever),
            "{code}"
        );
    }
}

#[test]
fn a_british_debit_that_was_referred_is_collected_again_within_a_month() {
    let ask = Ask::about(Network::Bacs);
    let first = at(FIRST);
    let history: Vec<_> = (0..6)
        .map(|nth| declined(hours(first, 72 * nth), network("0")))
        .collect();
    assert_eq!(
        ask.at(hours(first, 672), &history),
        Verdict::Allowed,
        "as often as one likes"
    );
    assert_eq!(ask.at(hours(first, 673), &history), Verdict::Never(Rule::BacsMonth));
    for (code, rule) in [
        ("1", Rule::BacsNever),
        ("5", Rule::BacsNever),
        ("B", Rule::BacsNever),
        ("7", Rule::BacsOnlyRefer),
        ("A", Rule::BacsOnlyRefer),
    ] {
        let history = [declined(first, network(code))];
        assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(rule), "{code}");
    }
}

#[test]
fn a_canadian_debit_is_presented_again_once_within_thirty_days_for_the_same_amount() {
    let mut ask = Ask::about(Network::Pad);
    let first = at(FIRST);
    let mut history = vec![declined(first, network("901"))];
    assert_eq!(ask.at(hours(first, 720), &history), Verdict::Allowed);
    assert_eq!(ask.at(hours(first, 721), &history), Verdict::Never(Rule::PadOnce));
    ask.amount = eur(1000);
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::PadOnce));
    ask.amount = eur(1999);
    history.push(declined(hours(first, 72), network("908")));
    assert_eq!(ask.at(hours(first, 144), &history), Verdict::Never(Rule::PadOnce));
    let history = [declined(first, network("903"))];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::PadNever));
    let history = [declined(first, network("909"))];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::PadOnlyFunds));
}

#[test]
fn an_australian_debit_that_was_referred_is_tried_again() {
    let ask = Ask::about(Network::Becs);
    let first = at(FIRST);
    assert_eq!(
        ask.at(hours(first, 72), &[declined(first, network("6"))]),
        Verdict::Allowed
    );
    for code in ["1", "2", "3", "4", "5", "8", "9"] {
        let history = [declined(first, network(code))];
        assert_eq!(
            ask.at(hours(first, 72), &history),
            Verdict::Never(Rule::BecsNever),
            "{code}"
        );
    }
    let history = [declined(first, network("7"))];
    assert_eq!(ask.at(hours(first, 72), &history), Verdict::Never(Rule::BecsOnlyRefer));
}
