//! The main zone of each country. The zones are data, in `countries.json`, with source and edition.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

/// The table as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The version of the file's form.
    pub version: u32,
    /// What the zones are, and what the grades mean.
    pub note: String,
    /// The sections, each with a source of its own.
    pub sections: Vec<Section>,
}

/// The countries of one source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    /// Which countries they are.
    pub about: String,
    /// Where the zones come from.
    pub source: String,
    /// Which edition was read.
    pub edition: String,
    /// How well it is known: `P` the source's own text, `M` unverified.
    pub grade: String,
    /// Country and zone.
    pub zones: Vec<(String, String)>,
}

/// The embedded table.
pub static TABLE: LazyLock<Table> =
    LazyLock::new(|| serde_json::from_str(include_str!("countries.json")).expect("the embedded zones are valid"));

static ZONES: LazyLock<BTreeMap<&'static str, &'static str>> = LazyLock::new(|| {
    let zones = TABLE.sections.iter().flat_map(|section| &section.zones);
    zones.map(|(country, zone)| (country.as_str(), zone.as_str())).collect()
});

/// The IANA zone in which most people of a country live, by its ISO 3166-1 alpha-2 code in capitals.
pub fn main_zone(country: &str) -> Option<&'static str> {
    ZONES.get(country).copied()
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZoneDatabase;

    use super::*;

    /// The countries of ISO 3166-1, and Kosovo.
    const COUNTRIES: usize = 249 + 1;

    #[test]
    fn every_country_has_one_code_of_two_letters_and_a_zone_that_is_known() {
        let bundled = TimeZoneDatabase::bundled();
        let mut codes = Vec::new();
        for (country, zone) in TABLE.sections.iter().flat_map(|section| &section.zones) {
            let capitals = country.bytes().all(|byte| byte.is_ascii_uppercase());
            assert!(country.len() == 2 && capitals, "{country}");
            assert!(bundled.get(zone).is_ok(), "{zone}");
            assert_eq!(main_zone(country), Some(zone.as_str()));
            codes.push(country);
        }
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(
            codes.len(),
            TABLE.sections.iter().map(|section| section.zones.len()).sum::<usize>()
        );
        assert_eq!(codes.len(), COUNTRIES);
    }

    #[test]
    fn every_section_says_where_it_comes_from() {
        assert_eq!(TABLE.version, 1);
        for section in &TABLE.sections {
            let told = [&section.about, &section.source, &section.edition];
            assert!(told.iter().all(|text| !text.is_empty()), "{section:?}");
            assert!(["P", "M"].contains(&section.grade.as_str()), "{section:?}");
        }
    }

    #[test]
    fn countries_of_many_zones_have_the_one_of_most_people() {
        for (country, zone) in [
            ("JP", Some("Asia/Tokyo")),
            ("US", Some("America/New_York")),
            ("BR", Some("America/Sao_Paulo")),
            ("RU", Some("Europe/Moscow")),
            ("UZ", Some("Asia/Tashkent")),
            ("ZZ", None),
            ("jp", None),
            ("", None),
        ] {
            assert_eq!(main_zone(country), zone, "{country}");
        }
    }
}
