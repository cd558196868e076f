//! What a charge goes to.

use crate::domain::case::Case;
use crate::domain::instrument::Instrument;
use crate::domain::network::Network;
use crate::domain::snapshot::Snapshot;

/// What a charge goes to.
pub struct Target {
    /// The payment method that is named, where the provider must not choose by itself.
    pub named: Option<String>,
    /// The payment method that is charged, as far as it is known.
    pub charged: Option<String>,
    /// What stands behind it.
    pub instrument: Instrument,
    /// Whether it is a card that must never be charged again for this invoice.
    pub is_barred: bool,
}

impl Target {
    /// The provider would charge its default. Where that is a method declined before, the newer one is named instead.
    pub fn of(case: &Case, snapshot: &Snapshot) -> Self {
        let default = snapshot.default_method.as_ref();
        let memory = &case.memory;
        let is_barred = default.is_some_and(|method| memory.bars(method.fingerprint.as_deref()));
        let stale = is_barred || default.is_none_or(|method| memory.declined_methods.contains(&method.id));
        let named = memory
            .new_method
            .clone()
            .filter(|new| stale && default.is_none_or(|method| method.id != *new));
        let by_default = named.is_none();
        let instrument = match &named {
            Some(method) => memory.new_instrument.clone().or_else(|| Some(unknown(method))),
            None => snapshot.instrument().cloned().or_else(|| memory.instrument.clone()),
        };
        Self {
            charged: named.clone().or_else(|| default.map(|method| method.id.clone())),
            instrument: instrument.unwrap_or_else(|| Instrument::of_case(&case.id)),
            is_barred: is_barred && by_default,
            named,
        }
    }
}

/// The instrument of a payment method of which nothing else is known.
fn unknown(method: &str) -> Instrument {
    Instrument {
        key: method.to_owned(),
        network: Network::Unknown,
        country: None,
        funding: None,
        bank: None,
    }
}
