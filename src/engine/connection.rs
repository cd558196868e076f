//! The accounts at providers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Engine;
use crate::domain::case::Collector;
use crate::domain::taxonomy::Taxonomy;
use crate::providers::Provider;

/// One account at one provider.
#[derive(Clone)]
pub struct Connection {
    /// Its name, as in the webhook's address.
    pub name: String,
    /// The provider behind it.
    pub provider: Arc<dyn Provider>,
    /// Who may charge.
    pub collector: Collector,
    /// The IANA zone of customers whose own and whose country are unknown.
    pub default_zone: String,
    /// The locale of customers whose own is unknown.
    pub default_locale: String,
}

impl Engine {
    /// What the codes of a connection's provider mean; nothing where there is no such connection.
    pub fn codes(&self, connection: &str) -> &'static Taxonomy {
        self.inner.codes(connection)
    }

    /// The connection of that name.
    pub fn connection(&self, name: &str) -> Option<&Connection> {
        self.inner.connections.get(name)
    }

    /// The zone in which reports begin the days of each connection.
    pub fn zones(&self) -> BTreeMap<String, String> {
        let zone = |(name, connection): (&String, &Connection)| (name.clone(), connection.default_zone.clone());
        self.inner.connections.iter().map(zone).collect()
    }
}
