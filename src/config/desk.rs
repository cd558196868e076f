//! `[desk]`: what staff may do by themselves.

use super::values::{Values, switch};
use crate::domain::money::Money;

/// What staff may do by themselves.
#[derive(Clone, Debug, Default)]
pub struct Desk {
    /// The amounts above which an act that gives up or charges money waits for a second person, one for each currency.
    pub approval_above: Vec<Money>,
    /// Whether a second person has to approve each version of a campaign before it is published.
    pub approval_to_publish: bool,
}

pub(super) fn read(values: &mut Values) -> Desk {
    let approval_above = values.optional("desk.approval_above", |text| {
        let read: Result<Vec<Money>, _> = text.split(',').map(|part| part.trim().parse()).collect();
        let Ok(amounts) = read else {
            return Err("is no list of amounts; write one like \"500 EUR, 550.00 USD\"".to_owned());
        };
        let mut currencies: Vec<_> = amounts.iter().map(|amount| amount.currency).collect();
        currencies.sort_unstable();
        if currencies.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err("names a currency twice; give each currency one amount".to_owned());
        }
        Ok(amounts)
    });
    let approval_to_publish = values.required("desk.approval_to_publish", switch);
    Desk {
        approval_above: approval_above.unwrap_or_default(),
        approval_to_publish: approval_to_publish.unwrap_or_default(),
    }
}
