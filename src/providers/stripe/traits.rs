//! What campaigns choose by: the plans of a subscription, since when it runs and what it brings, and the metadata.

use jiff::Timestamp;
use serde_json::Value;

use super::wire::{Item, Metadata, Price, Recurring, Subscription, id_of};
use crate::domain::money::{Currency, Money};
use crate::domain::snapshot::Traits;

/// How many of each interval a year has: what a price brings a month is its year by twelve.
const MONTHS_A_YEAR: i64 = 12;
const WEEKS_A_YEAR: i64 = 52;
const DAYS_A_YEAR: i64 = 365;

/// What a subscription tells, before the metadata around it is known.
#[derive(Default)]
pub(super) struct Plan {
    traits: Traits,
    metadata: Option<Metadata>,
}

impl Plan {
    /// With the metadata of the customer and of the invoice: the invoice's counts first, then the subscription's.
    pub fn with_metadata(self, [customer, invoice]: [Option<Metadata>; 2]) -> Traits {
        let mut traits = self.traits;
        // What comes later replaces what stood there.
        for metadata in [customer, self.metadata, invoice].into_iter().flatten() {
            let texts = metadata.into_iter().filter_map(|(key, value)| match value {
                Value::String(text) => Some((key, text)),
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
            });
            traits.metadata.extend(texts);
        }
        traits
    }
}

/// Takes the traits out of a subscription.
pub(super) fn of_subscription(found: &mut Subscription) -> Plan {
    let items = found.items.take().unwrap_or_default().data;
    let mut plans = Vec::new();
    for price in items.iter().filter_map(|item| item.price.as_ref()) {
        let product = id_of(price.product.as_ref());
        let names = [&price.id, &product, &price.lookup_key, &price.nickname];
        for name in names.into_iter().flatten().filter(|name| !name.trim().is_empty()) {
            if !plans.contains(name) {
                plans.push(name.clone());
            }
        }
    }
    let plan = items.iter().find_map(|item| {
        let price = item.price.as_ref()?;
        let product = id_of(price.product.as_ref());
        let names = [
            price.nickname.clone(),
            price.lookup_key.clone(),
            product,
            price.id.clone(),
        ];
        names.into_iter().flatten().find(|name| !name.trim().is_empty())
    });
    let since = found.start_date.or(found.created);
    Plan {
        traits: Traits {
            plans,
            plan,
            since: since.and_then(|secs| Timestamp::from_second(secs).ok()),
            monthly: monthly(&items),
            ..Traits::default()
        },
        metadata: found.metadata.take(),
    }
}

/// What all prices bring in a month; nothing where one is metered, in tiers, or of another currency.
fn monthly(items: &[Item]) -> Option<Money> {
    let mut sum: Option<Money> = None;
    for item in items {
        let price = item.price.as_ref()?;
        let money = Money::new(monthly_minor(price, item.quantity.unwrap_or(1))?, currency(price)?);
        sum = Some(match sum {
            Some(sum) => sum.checked_add(money)?,
            None => money,
        });
    }
    sum
}

fn currency(price: &Price) -> Option<Currency> {
    price.currency.as_deref()?.parse().ok()
}

fn monthly_minor(price: &Price, quantity: i64) -> Option<i64> {
    let Recurring {
        interval,
        interval_count,
        usage_type,
    } = price.recurring.as_ref()?;
    if usage_type.as_deref() == Some("metered") {
        return None;
    }
    let a_year = match interval.as_deref()? {
        "day" => DAYS_A_YEAR,
        "week" => WEEKS_A_YEAR,
        "month" => MONTHS_A_YEAR,
        "year" => 1,
        _ => return None,
    };
    let months = MONTHS_A_YEAR.checked_mul(interval_count.unwrap_or(1))?;
    let yearly = price.unit_amount?.checked_mul(quantity)?.checked_mul(a_year)?;
    yearly.checked_div(months)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(text: &str) -> Traits {
        let mut found: Subscription = serde_json::from_str(text).unwrap();
        of_subscription(&mut found).with_metadata([None, None])
    }

    fn item(amount: &str, interval: &str, count: i64, quantity: i64) -> String {
        format!(
            r#"{{"quantity": {quantity}, "price": {{"id": "price_{interval}", "product": "prod_1", "currency": "eur", "unit_amount": {amount},
               "recurring": {{"interval": "{interval}", "interval_count": {count}, "usage_type": "licensed"}}}}}}"#
        )
    }

    #[test]
    fn what_a_subscription_brings_a_month() {
        for (items, minor) in [
            (item("4900", "month", 1, 1), Some(4900)),
            (item("4900", "month", 3, 2), Some(3266)),
            (item("120000", "year", 1, 1), Some(10000)),
            (item("1200", "week", 1, 1), Some(5200)),
            (
                [item("100", "month", 1, 1), item("1200", "year", 1, 1)].join(","),
                Some(200),
            ),
            (item("100", "month", 0, 1), None),
            (item("null", "month", 1, 1), None),
            (item("100", "decade", 1, 1), None),
            (String::new(), None),
            (item("9223372036854775807", "week", 1, 2), None),
        ] {
            let found = traits(&format!(r#"{{"items": {{"data": [{items}]}}}}"#));
            assert_eq!(found.monthly.map(|money| money.amount_minor), minor, "{items}");
        }
    }

    #[test]
    fn plans_have_several_names_and_metadata_an_order() {
        let text = format!(
            r#"{{"start_date": 86400, "metadata": {{"tier": "gold", "n": 1}}, "items": {{"data": [{}]}}}}"#,
            item("1", "month", 1, 1)
        );
        let mut found: Subscription = serde_json::from_str(&text).unwrap();
        let of = |text: &str| serde_json::from_str::<Metadata>(text).unwrap();
        let customer = of(r#"{"tier": "silver", "team": "a"}"#);
        let traits = of_subscription(&mut found).with_metadata([Some(customer), Some(of(r#"{"team": "b"}"#))]);
        assert_eq!(traits.plans, ["price_month", "prod_1"]);
        assert_eq!(traits.since, Some("1970-01-02T00:00:00Z".parse().unwrap()));
        let metadata: Vec<(&str, &str)> = traits
            .metadata
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        assert_eq!(metadata, [("team", "b"), ("tier", "gold")]);
    }
}
