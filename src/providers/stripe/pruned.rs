//! A JSON value of which only some fields are kept: the whole text is checked, but no tree is built of what nobody reads.

use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// The fields that are kept, at every depth.
const KEPT: [&str; 21] = [
    "acss_debit",
    "au_becs_debit",
    "bacs_debit",
    "brand",
    "card",
    "charge",
    "country",
    "customer",
    "default_payment_method",
    "default_source",
    "fingerprint",
    "funding",
    "id",
    "idempotency_key",
    "invoice",
    "invoice_settings",
    "latest_charge",
    "payment_intent",
    "sepa_debit",
    "type",
    "us_bank_account",
];

/// The objects and texts of a value in fields that are kept; whatever else stands there is null.
#[derive(Debug, Default)]
pub(super) struct Pruned(pub(super) Value);

impl<'de> Deserialize<'de> for Pruned {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Walk { keep: true }.deserialize(deserializer).map(Self)
    }
}

/// Reads a value to its end. Unlike serde's own way to skip one it refuses what is no JSON: a number out of range, a broken
/// escape, a depth that no honest sender uses.
struct Walk {
    keep: bool,
}

impl<'de> DeserializeSeed<'de> for Walk {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(if self.keep { text.into() } else { Value::Null })
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        while items.next_element_seed(Walk { keep: false })?.is_some() {}
        Ok(Value::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut kept = Map::new();
        while let Some(name) = fields.next_key_seed(Name)? {
            let name = name.filter(|_| self.keep);
            let value = fields.next_value_seed(Walk { keep: name.is_some() })?;
            if let Some(name) = name {
                kept.insert(name.to_owned(), value);
            }
        }
        Ok(if self.keep { Value::Object(kept) } else { Value::Null })
    }
}

/// Reads the name of a field: as it stands in [`KEPT`], where it does.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(KEPT.into_iter().find(|kept| *kept == text))
    }
}
