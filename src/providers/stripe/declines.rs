//! Which of the codes of a decline counts. What each means is data with source and edition: `domain/rules/stripe.json`, and
//! `codes.json` beside it for the networks.

use std::sync::LazyLock;

use crate::domain::decline::{Decline, DeclineKind, Disposition};
use crate::domain::network::Network;
use crate::domain::taxonomy::{Code, NETWORK_CODES, Taxonomy};

/// The one outcome reason that the ceiling must know: the provider itself blocked a card that was declined before.
pub const PREVIOUSLY_DECLINED: &str = "previously_declined_do_not_retry";

/// A decline as the provider gave it; every part may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawDecline<'a> {
    /// The issuer's reason in the provider's words.
    pub decline_code: Option<&'a str>,
    /// The error's own code, such as `card_declined`.
    pub code: Option<&'a str>,
    /// The provider's advice.
    pub advice_code: Option<&'a str>,
    /// The network's response code (DE 39), in the dialect of `brand`.
    pub network_code: Option<&'a str>,
    /// The network's advice; Mastercard's merchant advice code, where `brand` is Mastercard.
    pub network_advice_code: Option<&'a str>,
    /// The card's brand.
    pub brand: Option<&'a str>,
    /// The type of the payment method; nothing counts as a card.
    pub method: Option<&'a str>,
    /// Why the charge's outcome is what it is.
    pub outcome_reason: Option<&'a str>,
    /// Whether the issuer declined it or the provider blocked it.
    pub outcome_type: Option<&'a str>,
}

/// The codes as they stand in the files.
pub static TABLE: LazyLock<Taxonomy> = LazyLock::new(|| {
    Taxonomy::read(&[include_str!("../../domain/rules/stripe.json"), NETWORK_CODES])
        .expect("the embedded codes are valid, as a test shows")
});

/// Translates a decline. Network codes overrule the provider's, and advice has the last word; an unknown code counts as
/// `do_not_honor`, which may be retried within the ceiling, and is told of where the decline is recorded. `advice_code` of the result is the Mastercard advice where
/// there is one and else the provider's, because advice of other networks would be misread as Mastercard's.
pub fn decline(raw: &RawDecline<'_>) -> Decline {
    let advice_code = mastercard_advice_code(raw).or(raw.advice_code);
    let result = |(kind, disposition), provider_code: Option<&str>| Decline {
        kind,
        disposition,
        provider_code: provider_code.map(str::to_owned),
        network_code: raw.network_code.map(str::to_owned),
        advice_code: advice_code.map(str::to_owned),
    };
    if let Some((reason, entry)) = blocked(raw) {
        // The issuer never saw this charge, so that no network code or advice can overrule the block.
        return result(entry, Some(reason));
    }
    let said = network(raw).unwrap_or_else(|| said_by_provider(raw));
    result(advised(said, raw), raw.decline_code.or(raw.code))
}

/// The network behind a payment method of that type, a card's by its brand.
pub fn network_of(method: Option<&str>, brand: Option<&str>) -> Network {
    match method {
        Some("us_bank_account") => Network::Ach,
        Some("sepa_debit") => Network::Sepa,
        Some("bacs_debit") => Network::Bacs,
        Some("acss_debit") => Network::Pad,
        Some("au_becs_debit") => Network::Becs,
        _ => brand.map_or(Network::Unknown, Network::of_brand),
    }
}

/// The block by the provider itself, where the outcome tells of one that we know.
fn blocked<'a>(raw: &RawDecline<'a>) -> Option<(&'a str, (DeclineKind, Disposition))> {
    let reason = raw.outcome_reason?;
    let is_block = raw.outcome_type == Some("blocked") || reason == PREVIOUSLY_DECLINED;
    let entry = is_block.then(|| TABLE.find("outcome", reason)).flatten()?;
    Some((reason, reading(entry)?))
}

/// The reading of the network's code in its dialect; none where the code says nothing of its own. Without a network a code
/// counts where no dialect of cards contradicts it.
fn network(raw: &RawDecline<'_>) -> Option<(DeclineKind, Disposition)> {
    let code = raw.network_code?;
    let network = network_of(raw.method, raw.brand);
    if network != Network::Unknown {
        return TABLE.find(network.as_str(), code).and_then(reading);
    }
    match (TABLE.find("visa", code), TABLE.find("mastercard", code)) {
        (Some(visa), Some(mastercard)) => reading(visa).filter(|visa| reading(mastercard) == Some(*visa)),
        (one, other) => one.or(other).and_then(reading),
    }
}

fn said_by_provider(raw: &RawDecline<'_>) -> (DeclineKind, Disposition) {
    let is_card = raw.method.is_none_or(|method| method == "card");
    let sections = if is_card {
        ["card", "local", "error"]
    } else {
        ["local", "card", "error"]
    };
    let known = |code| {
        sections
            .iter()
            .find_map(|section| TABLE.find(section, code).and_then(reading))
    };
    raw.decline_code
        .and_then(known)
        .or_else(|| raw.code.and_then(known))
        .unwrap_or((DeclineKind::DoNotHonor, Disposition::Retry))
}

/// What advice makes of a reading. It can always forbid, but it cannot heal what needs the customer.
fn advised((kind, disposition): (DeclineKind, Disposition), raw: &RawDecline<'_>) -> (DeclineKind, Disposition) {
    let mut kind = kind;
    let mut disposition = disposition;
    let advice = mastercard_advice_code(raw).and_then(|code| TABLE.find("mastercard_advice", code));
    if let Some((entry, advised)) = advice.and_then(|entry| Some((entry, entry.disposition?))) {
        if disposition != Disposition::Never {
            kind = entry.kind.unwrap_or(kind);
            disposition = advised;
        } else if advised == Disposition::Never {
            kind = entry.kind.unwrap_or(kind);
        }
    }
    let said = raw.advice_code.and_then(|code| TABLE.find("advice", code)?.disposition);
    let disposition = match (said, disposition) {
        (Some(Disposition::Never), _) => Disposition::Never,
        (Some(Disposition::FixData), Disposition::Retry | Disposition::CustomerAction) => Disposition::FixData,
        (Some(Disposition::Retry), Disposition::CustomerAction) if kind == DeclineKind::NotPermitted => {
            Disposition::Retry
        }
        (_, unchanged) => unchanged,
    };
    (kind, disposition)
}

fn mastercard_advice_code<'a>(raw: &RawDecline<'a>) -> Option<&'a str> {
    raw.network_advice_code
        .filter(|_| network_of(raw.method, raw.brand) == Network::Mastercard)
}

fn reading(code: &Code) -> Option<(DeclineKind, Disposition)> {
    code.kind.zip(code.disposition)
}
