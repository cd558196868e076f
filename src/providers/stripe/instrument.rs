//! What stands behind a payment method: the card or the bank account, its network and its country.

use super::declines::network_of;
use super::wire::{BankAccount, Card, MethodDetails};
use crate::domain::instrument::{Funding, Instrument};
use crate::domain::network::Network;

/// The longest name of a bank that is taken.
const NAME_CHARS_MAX: usize = 100;

/// The instrument behind a payment method. Its name is the fingerprint, which every copy of a card shares, else the payment
/// method's own; without either it cannot be told apart from others.
pub(super) fn of_method(method_id: Option<&str>, details: &MethodDetails) -> Option<Instrument> {
    if let Some(card) = &details.card {
        return of_card(method_id, card);
    }
    let account = [
        &details.us_bank_account,
        &details.sepa_debit,
        &details.bacs_debit,
        &details.acss_debit,
        &details.au_becs_debit,
    ]
    .into_iter()
    .find_map(Option::as_ref);
    let fingerprint = account.and_then(|account: &BankAccount| account.fingerprint.as_deref());
    Some(Instrument {
        key: fingerprint.or(method_id)?.to_owned(),
        network: network_of(details.kind.as_deref(), None),
        country: account.and_then(|account| capitals(account.country.as_deref()?)),
        funding: None,
        bank: account.and_then(|account| plain(account.routing_number.as_ref().or(account.bank_code.as_ref()))),
    })
}

/// The instrument that a card is.
pub(super) fn of_card(method_id: Option<&str>, card: &Card) -> Option<Instrument> {
    Some(Instrument {
        key: card.fingerprint.as_deref().or(method_id)?.to_owned(),
        network: card.brand.as_deref().map_or(Network::Unknown, Network::of_brand),
        country: card.country.as_deref().and_then(capitals),
        funding: card.funding.as_deref().and_then(|word| word.parse::<Funding>().ok()),
        bank: plain(card.iin.as_ref().or(card.issuer.as_ref())),
    })
}

/// A country as rules name it; whatever is no code of two letters names none.
fn capitals(country: &str) -> Option<String> {
    let is_code = country.len() == 2 && country.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_code.then(|| country.to_ascii_uppercase())
}

/// A bank's name as every database can keep it.
fn plain(name: Option<&String>) -> Option<String> {
    let fits =
        |name: &&String| (1..=NAME_CHARS_MAX).contains(&name.chars().count()) && !name.contains(char::is_control);
    name.filter(fits).cloned()
}
