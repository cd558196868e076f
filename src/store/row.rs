//! Reading one row: each helper names table, key and column when a value does not decode.

use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::StoreError;
use crate::domain::decline::Decline;
use crate::domain::money::Money;

/// The row that is being read.
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) table: &'static str,
    pub(super) id: &'a str,
}

impl Row<'_> {
    pub(super) fn corrupt(self, what: impl Display) -> StoreError {
        StoreError::Corrupt {
            table: self.table,
            id: self.id.to_owned(),
            what: what.to_string(),
        }
    }

    fn column<T>(self, column: &str, read: Result<T, impl Display>) -> Result<T, StoreError> {
        read.map_err(|error| self.corrupt(format_args!("{column}: {error}")))
    }

    pub(super) fn word<T: FromStr<Err: Display>>(self, column: &str, text: &str) -> Result<T, StoreError> {
        self.column(column, text.parse())
    }

    pub(super) fn maybe_word<T: FromStr<Err: Display>>(
        self,
        column: &str,
        text: Option<&str>,
    ) -> Result<Option<T>, StoreError> {
        text.map(|text| self.word(column, text)).transpose()
    }

    pub(super) fn instant(self, column: &str, millis: i64) -> Result<Timestamp, StoreError> {
        self.column(column, Timestamp::from_millisecond(millis))
    }

    pub(super) fn maybe_instant(self, column: &str, millis: Option<i64>) -> Result<Option<Timestamp>, StoreError> {
        millis.map(|millis| self.instant(column, millis)).transpose()
    }

    pub(super) fn money(self, amount_minor: i64, currency: &str) -> Result<Money, StoreError> {
        Ok(Money::new(amount_minor, self.column("currency", currency.parse())?))
    }

    pub(super) fn count<T: TryFrom<i64, Error: Display>>(self, column: &str, count: i64) -> Result<T, StoreError> {
        self.column(column, T::try_from(count))
    }

    pub(super) fn json<T: DeserializeOwned>(self, column: &str, text: &str) -> Result<T, StoreError> {
        self.column(column, serde_json::from_str(text))
    }

    pub(super) fn hash(self, column: &str, bytes: &[u8]) -> Result<[u8; 32], StoreError> {
        self.column(column, <[u8; 32]>::try_from(bytes))
    }

    /// A decline by its words and codes.
    pub(super) fn decline(self, kind: &str, disposition: &str, codes: Codes) -> Result<Decline, StoreError> {
        Ok(Decline {
            kind: self.word("decline_kind", kind)?,
            disposition: self.word("decline_disposition", disposition)?,
            provider_code: codes.provider,
            network_code: codes.network,
            advice_code: codes.advice,
        })
    }
}

/// The codes that came with a decline.
pub(super) struct Codes {
    pub(super) provider: Option<String>,
    pub(super) network: Option<String>,
    pub(super) advice: Option<String>,
}

/// Text of a value that always has a JSON form.
pub(super) fn to_json<T: serde::Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Other(format!("a value has no JSON form: {error}")))
}
