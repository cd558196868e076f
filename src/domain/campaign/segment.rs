//! Segments: which cases a campaign takes.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Campaign;
use crate::domain::calendar::secs_from;
use crate::domain::decline::DeclineKind;
use crate::domain::money::{Currency, Money};
use crate::domain::snapshot::Traits;

/// The campaign that takes what no other does.
pub const DEFAULT: &str = "default";

const DAY_SECS: i64 = 24 * 3600;

/// The cases that all of its criteria hold for; a criterion that is not given holds for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Plans, by the provider's name of the price or of the product, or by the price's lookup key.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub plans: Vec<String>,
    /// Currencies of the invoice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub currencies: Vec<Currency>,
    /// Countries of the customer, ISO 3166-1 alpha-2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countries: Vec<String>,
    /// Kinds of the decline that opens the case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<DeclineKind>,
    /// What remains to be paid of the invoice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Band>,
    /// What the subscription brings in a month: the value of the customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub monthly: Option<Band>,
    /// For how long the subscription had been running when the charge failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenure_days: Option<Tenure>,
    /// Entries of the provider's metadata, which all have to be there: of the invoice, else of the subscription, else of the
    /// customer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

/// Amounts from one on and below another, by currency. A currency that it does not name is outside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Band {
    /// The least amounts, one a currency, such as `"100.00 EUR"`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_least: Vec<Amount>,
    /// The first amounts beyond it, one a currency.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub below: Vec<Amount>,
}

/// Days from one on and below another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Tenure {
    /// The least days.
    #[serde(default)]
    pub at_least: u16,
    /// The first days beyond it; without it, there is no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u16>,
}

/// An amount as a person writes it: `"100.00 EUR"`, `"1200 JPY"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(value_type = String, example = "100.00 EUR")]
#[serde(try_from = "String", into = "String")]
pub struct Amount(pub Money);

impl TryFrom<String> for Amount {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|error: crate::domain::money::BadMoney| error.to_string())
    }
}

impl From<Amount> for String {
    fn from(amount: Amount) -> Self {
        amount.0.to_string()
    }
}

/// What is known of a case that is about to be opened.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What remains to be paid.
    pub amount: Money,
    /// The customer's country, where it is known.
    pub country: Option<&'a str>,
    /// Why the charge failed.
    pub kind: DeclineKind,
    /// What the provider says of the subscription and of those who stand behind it.
    pub traits: &'a Traits,
    /// When the charge failed, or now.
    pub at: Timestamp,
}

impl Band {
    /// What is wrong with it.
    pub(super) fn flaw(&self) -> Option<&'static str> {
        let twice = |amounts: &[Amount]| {
            let mut seen = amounts.iter().enumerate();
            seen.any(|(nth, one)| amounts[..nth].iter().any(|other| other.0.currency == one.0.currency))
        };
        let crossed = |least: &Amount| {
            let mut alike = self.below.iter().filter(|below| below.0.currency == least.0.currency);
            alike.any(|below| below.0.amount_minor <= least.0.amount_minor)
        };
        if self.at_least.is_empty() && self.below.is_empty() {
            Some("give at_least, below or both")
        } else if twice(&self.at_least) || twice(&self.below) {
            Some("name each currency once")
        } else if self.at_least.iter().any(crossed) {
            Some("below must be more than at_least")
        } else {
            None
        }
    }

    fn holds(&self, amount: Money) -> bool {
        let of = |amounts: &[Amount]| {
            let mut alike = amounts.iter().map(|Amount(money)| money);
            alike
                .find(|money| money.currency == amount.currency)
                .map(|money| money.amount_minor)
        };
        let (least, below) = (of(&self.at_least), of(&self.below));
        (least.is_some() || below.is_some())
            && least.is_none_or(|least| amount.amount_minor >= least)
            && below.is_none_or(|below| amount.amount_minor < below)
    }
}

impl Tenure {
    fn holds(self, since: Timestamp, at: Timestamp) -> bool {
        at >= secs_from(since, i64::from(self.at_least) * DAY_SECS)
            && self
                .below
                .is_none_or(|below| at < secs_from(since, i64::from(below) * DAY_SECS))
    }
}

impl Segment {
    /// Whether all of its criteria hold. What is not known holds for none.
    pub fn holds(&self, facts: &Facts<'_>) -> bool {
        let Facts {
            amount,
            country,
            kind,
            traits,
            at,
        } = *facts;
        let named = |list: &[String], names: &[String]| list.is_empty() || list.iter().any(|one| names.contains(one));
        let from = |list: &[String], code: Option<&str>| {
            list.is_empty() || code.is_some_and(|code| list.iter().any(|one| one.eq_ignore_ascii_case(code)))
        };
        let told = |(key, value): (&String, &String)| traits.metadata.get(key) == Some(value);
        named(&self.plans, &traits.plans)
            && (self.currencies.is_empty() || self.currencies.contains(&amount.currency))
            && from(&self.countries, country)
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
            && self.amount.as_ref().is_none_or(|band| band.holds(amount))
            && self
                .monthly
                .as_ref()
                .is_none_or(|band| traits.monthly.is_some_and(|worth| band.holds(worth)))
            && self
                .tenure_days
                .is_none_or(|tenure| traits.since.is_some_and(|since| tenure.holds(since, at)))
            && self.metadata.iter().all(told)
    }

    /// Whether it holds each case that the other one holds, as far as their criteria tell: what it asks for, the other one asks for
    /// too, and no less strictly.
    pub fn covers(&self, other: &Self) -> bool {
        fn within<T: PartialEq>(list: &[T], others: &[T]) -> bool {
            list.is_empty() || (!others.is_empty() && others.iter().all(|one| list.contains(one)))
        }
        let alike = |mine: Option<&Band>, theirs: Option<&Band>| mine.is_none_or(|_| mine == theirs);
        within(&self.plans, &other.plans)
            && within(&self.currencies, &other.currencies)
            && within(&self.countries, &other.countries)
            && within(&self.kinds, &other.kinds)
            && alike(self.amount.as_ref(), other.amount.as_ref())
            && alike(self.monthly.as_ref(), other.monthly.as_ref())
            && self
                .tenure_days
                .is_none_or(|mine| other.tenure_days.is_some_and(|theirs| mine.covers(theirs)))
            && self
                .metadata
                .iter()
                .all(|(key, value)| other.metadata.get(key) == Some(value))
    }
}

impl Tenure {
    fn covers(self, other: Self) -> bool {
        let ends = self
            .below
            .is_none_or(|mine| other.below.is_some_and(|theirs| theirs <= mine));
        self.at_least <= other.at_least && ends
    }
}

/// Of each name the newest version that is no shadow: what new cases can get.
pub fn live<'a>(all: &[&'a Campaign]) -> Vec<&'a Campaign> {
    let newer = |campaign: &Campaign| {
        let mut alike = all.iter().filter(|other| other.name == campaign.name && !other.shadow);
        alike.any(|other| other.version > campaign.version)
    };
    all.iter()
        .copied()
        .filter(|campaign| !campaign.shadow && !newer(campaign))
        .collect()
}

/// Puts campaigns into the order in which they are asked: by their `order`, then by name; `default` is the last.
pub fn in_order<C: Borrow<Campaign>>(newest: &mut [C]) {
    newest.sort_by(|a, b| {
        let (a, b): (&Campaign, &Campaign) = (a.borrow(), b.borrow());
        let place = |campaign: &Campaign| (campaign.name == DEFAULT, campaign.order);
        place(a).cmp(&place(b)).then_with(|| a.name.cmp(&b.name))
    });
}

/// The first campaign that takes a case, of those in order; `default` takes each.
pub fn choose<'a, C: Borrow<Campaign>>(in_order: &'a [C], facts: &Facts<'_>) -> Option<&'a C> {
    in_order.iter().find(|one| {
        let campaign: &Campaign = (*one).borrow();
        campaign.name == DEFAULT || campaign.segments.iter().any(|segment| segment.holds(facts))
    })
}

/// A segment that no case ever reaches.
#[derive(Clone, Copy, Debug)]
pub struct Unreachable<'a> {
    /// Its campaign.
    pub campaign: &'a Campaign,
    /// Its place in it.
    pub nth: usize,
    /// The campaign that is asked before and takes all of its cases.
    pub before: &'a Campaign,
}

/// The segments that no case ever reaches, of campaigns in order.
pub fn unreachable<C: Borrow<Campaign>>(in_order: &[C]) -> Vec<Unreachable<'_>> {
    let mut found = Vec::new();
    let all: Vec<&Campaign> = in_order.iter().map(Borrow::borrow).collect();
    for (place, campaign) in all.iter().enumerate() {
        for (nth, segment) in campaign.segments.iter().enumerate() {
            let takes = |other: &&&Campaign| other.segments.iter().any(|earlier| earlier.covers(segment));
            found.extend(
                all[..place]
                    .iter()
                    .find(takes)
                    .map(|before| Unreachable { campaign, nth, before }),
            );
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn segment(text: &str) -> Segment {
        toml::from_str(text).unwrap()
    }

    fn traits() -> Traits {
        Traits {
            plan: None,
            plans: vec!["price_team".to_owned(), "prod_team".to_owned()],
            since: Some(at("2026-01-01T00:00:00Z")),
            monthly: Some("49.00 EUR".parse().unwrap()),
            metadata: [("tier".to_owned(), "gold".to_owned())].into(),
        }
    }

    #[test]
    fn each_criterion_is_asked() {
        let traits = traits();
        let facts = Facts {
            amount: "120.00 EUR".parse().unwrap(),
            country: Some("DE"),
            kind: DeclineKind::InsufficientFunds,
            traits: &traits,
            at: at("2026-04-01T00:00:00Z"),
        };
        let table = [
            ("", true),
            ("plans = ['prod_team', 'x']", true),
            ("plans = ['x']", false),
            ("currencies = ['eur', 'USD']", true),
            ("currencies = ['USD']", false),
            ("countries = ['AT', 'de']", true),
            ("countries = ['AT']", false),
            ("kinds = ['insufficient_funds']", true),
            ("kinds = ['expired']", false),
            ("amount = { at_least = ['120 EUR'] }", true),
            ("amount = { at_least = ['120.01 EUR'] }", false),
            ("amount = { below = ['120.00 EUR'] }", false),
            (
                "amount = { at_least = ['100 EUR', '110 USD'], below = ['121 EUR'] }",
                true,
            ),
            ("amount = { at_least = ['1 USD'] }", false),
            ("monthly = { at_least = ['49 EUR'], below = ['100 EUR'] }", true),
            ("monthly = { at_least = ['50 EUR'] }", false),
            ("tenure_days = { at_least = 90 }", true),
            ("tenure_days = { at_least = 91 }", false),
            ("tenure_days = { below = 90 }", false),
            ("tenure_days = { below = 91 }", true),
            ("metadata = { tier = 'gold' }", true),
            ("metadata = { tier = 'gold', team = 'x' }", false),
            ("countries = ['DE']\ncurrencies = ['USD']", false),
        ];
        for (text, holds) in table {
            assert_eq!(segment(text).holds(&facts), holds, "{text}");
        }
        let unknown = Traits::default();
        let nothing = Facts {
            country: None,
            traits: &unknown,
            ..facts
        };
        for text in [
            "countries = ['DE']",
            "tenure_days = { at_least = 0 }",
            "monthly = { below = ['1000 EUR'] }",
            "plans = ['x']",
        ] {
            assert!(!segment(text).holds(&nothing), "{text}");
        }
    }

    #[test]
    fn amounts_are_written_as_persons_do() {
        for bad in ["12", "EUR", "1.234 EUR", "1,00 EUR", "-1 EUR", "1 EURO", "1.5 JPY", ""] {
            assert!(
                toml::from_str::<Segment>(&format!("amount = {{ below = ['{bad}'] }}")).is_err(),
                "{bad:?}"
            );
        }
        let band = segment("amount = { below = ['12 EUR', '1200 jpy', '1.5 KWD'] }")
            .amount
            .unwrap();
        let minor: Vec<i64> = band.below.iter().map(|Amount(money)| money.amount_minor).collect();
        assert_eq!(minor, [1200, 1200, 1500]);
        let text = toml::to_string(&band).unwrap();
        assert_eq!(toml::from_str::<Band>(&text).unwrap(), band);
    }

    #[test]
    fn the_first_in_order_takes_the_case_and_default_the_rest() {
        let campaign = |name: &str, order, text: &str| Campaign {
            name: name.to_owned(),
            order,
            segments: if text.is_empty() {
                Vec::new()
            } else {
                vec![segment(text)]
            },
            ..Campaign::embedded()
        };
        let mut all = [
            campaign(DEFAULT, 0, ""),
            campaign("yen", 20, "currencies = ['JPY']"),
            campaign("germany", 10, "countries = ['DE']"),
            campaign("by_hand", 1, ""),
            campaign("german_yen", 20, "countries = ['DE']\ncurrencies = ['JPY']"),
        ];
        in_order(&mut all);
        let names: Vec<&str> = all.iter().map(|campaign| campaign.name.as_str()).collect();
        assert_eq!(names, ["by_hand", "germany", "german_yen", "yen", DEFAULT]);
        let nothing = Traits::default();
        let taker = |amount: &str, country| {
            let facts = Facts {
                amount: amount.parse().unwrap(),
                country,
                kind: DeclineKind::Expired,
                traits: &nothing,
                at: at("2026-04-01T00:00:00Z"),
            };
            choose(&all, &facts).unwrap().name.clone()
        };
        assert_eq!(taker("5 EUR", Some("DE")), "germany");
        assert_eq!(taker("5 JPY", Some("JP")), "yen");
        assert_eq!(taker("5 EUR", None), DEFAULT);
        let dead: Vec<_> = unreachable(&all)
            .into_iter()
            .map(|dead| (dead.campaign.name.as_str(), dead.nth, dead.before.name.as_str()))
            .collect();
        assert_eq!(dead, [("german_yen", 0, "germany")]);
    }
}
