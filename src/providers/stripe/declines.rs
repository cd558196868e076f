//! What Stripe's and the networks' decline codes mean. The codes are data, in `declines.json`, with source and edition.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::decline::{Decline, DeclineKind, Disposition};

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

/// The table as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The version of the file's form.
    pub version: u32,
    /// The sections by name: `card`, `local`, `error`, `outcome`, `visa`, `mastercard`, `mastercard_advice`.
    pub sections: HashMap<String, Section>,
}

/// The codes of one source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Where the codes are published.
    pub source: String,
    /// Which edition was read.
    pub edition: String,
    /// How well it is known: `P` the official text, `S` someone's statement of it, `M` unverified.
    pub grade: String,
    /// The codes.
    pub codes: Vec<Entry>,
}

/// What one code means.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The code.
    pub code: String,
    /// Our kind; an advice code may leave it as it is.
    pub kind: Option<DeclineKind>,
    /// What it allows.
    pub disposition: Disposition,
    /// What else to know.
    pub note: Option<String>,
}

/// The embedded table.
pub static TABLE: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("declines.json")).expect("the embedded declines are valid"));

/// Translates a decline. Network codes overrule the provider's, and advice has the last word; an unknown code counts as
/// `do_not_honor`, which may be retried within the ceiling. `advice_code` of the result is the Mastercard advice where
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
        return result(reading(entry), Some(reason));
    }
    let said = network(raw).map_or_else(|| said_by_provider(raw), reading);
    result(advised(said, raw), raw.decline_code.or(raw.code))
}

/// The block by the provider itself, where the outcome tells of one that we know.
fn blocked<'a>(raw: &RawDecline<'a>) -> Option<(&'a str, &'static Entry)> {
    let reason = raw.outcome_reason?;
    let is_block = raw.outcome_type == Some("blocked") || reason == PREVIOUSLY_DECLINED;
    let entry = is_block.then(|| find("outcome", reason)).flatten()?;
    Some((reason, entry))
}

/// The reading of the network's code in the brand's dialect. Without a brand a code counts where no known dialect
/// contradicts it.
fn network(raw: &RawDecline<'_>) -> Option<&'static Entry> {
    let code = raw.network_code?;
    let Some(brand) = raw.brand else {
        return match (find("visa", code), find("mastercard", code)) {
            (Some(visa), Some(mastercard)) => (reading(visa) == reading(mastercard)).then_some(visa),
            (one, other) => one.or(other),
        };
    };
    if brand.eq_ignore_ascii_case("visa") {
        find("visa", code)
    } else if is_mastercard(brand) {
        find("mastercard", code)
    } else {
        None
    }
}

fn said_by_provider(raw: &RawDecline<'_>) -> (DeclineKind, Disposition) {
    let is_card = raw.method.is_none_or(|method| method == "card");
    let sections = if is_card {
        ["card", "local", "error"]
    } else {
        ["local", "card", "error"]
    };
    let known = |code| sections.iter().find_map(|section| find(section, code));
    raw.decline_code
        .and_then(known)
        .or_else(|| raw.code.and_then(known))
        .map_or((DeclineKind::DoNotHonor, Disposition::Retry), reading)
}

/// What advice makes of a reading. It can always forbid, but it cannot heal what needs the customer.
fn advised((kind, disposition): (DeclineKind, Disposition), raw: &RawDecline<'_>) -> (DeclineKind, Disposition) {
    let mut kind = kind;
    let mut disposition = disposition;
    if let Some(entry) = mastercard_advice_code(raw).and_then(|code| find("mastercard_advice", code)) {
        if disposition != Disposition::Never {
            kind = entry.kind.unwrap_or(kind);
            disposition = entry.disposition;
        } else if entry.disposition == Disposition::Never {
            kind = entry.kind.unwrap_or(kind);
        }
    }
    let disposition = match (raw.advice_code, disposition) {
        (Some("do_not_try_again"), _) => Disposition::Never,
        (Some("confirm_card_data"), Disposition::Retry | Disposition::CustomerAction) => Disposition::FixData,
        (Some("try_again_later"), Disposition::CustomerAction) if kind == DeclineKind::NotPermitted => {
            Disposition::Retry
        }
        (_, unchanged) => unchanged,
    };
    (kind, disposition)
}

fn mastercard_advice_code<'a>(raw: &RawDecline<'a>) -> Option<&'a str> {
    raw.network_advice_code.filter(|_| raw.brand.is_some_and(is_mastercard))
}

fn is_mastercard(brand: &str) -> bool {
    brand.eq_ignore_ascii_case("mastercard")
}

fn reading(entry: &Entry) -> (DeclineKind, Disposition) {
    (entry.kind.unwrap_or(DeclineKind::DoNotHonor), entry.disposition)
}

fn find(section: &str, code: &str) -> Option<&'static Entry> {
    TABLE
        .sections
        .get(section)?
        .codes
        .iter()
        .find(|entry| entry.code == code)
}
