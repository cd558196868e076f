//! `[ceiling]`: the limits of card networks, as far as an operator may move them.

use super::values::Values;
use crate::domain::ceiling::{Rule, Rules};

/// The limits by their names here.
const LIMITS: [(&str, Rule); 4] = [
    ("ceiling.visa_reattempts", Rule::VisaReattempts),
    ("ceiling.amex_attempts", Rule::AmexAttempts),
    ("ceiling.discover_attempts", Rule::DiscoverAttempts),
    ("ceiling.other_card_attempts", Rule::OtherCardAttempts),
];

pub(super) fn read(values: &mut Values) -> Option<Rules> {
    let mut rules = Rules::embedded();
    let mut complete = true;
    for (name, rule) in LIMITS {
        let most = rules.most(rule).unwrap_or(1);
        let limit = values.required(name, |text| match text.parse() {
            Ok(limit) if (1..=most).contains(&limit) => Ok(limit),
            _ => Err(format!("is no number of charges from 1 to {most}; write one")),
        });
        match limit {
            Some(limit) => rules = rules.with_limit(rule, limit),
            None => complete = false,
        }
    }
    complete.then_some(rules)
}
