//! The next charge of a subscription, before anything failed, and whether the card on file lives to see it.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::calendar::zone;
use super::money::Money;
use super::snapshot::{CardShown, CustomerSeen};
use super::words::words;

/// A renewal that the provider announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upcoming {
    /// The subscription.
    pub subscription_id: String,
    /// The customer.
    pub customer_id: String,
    /// When the running period ends: it names the period.
    pub period_ends_at: Timestamp,
    /// When the charge is made.
    pub charge_at: Timestamp,
    /// What is charged.
    pub amount: Money,
    /// Whether the provider charges it by itself, as against an invoice that is sent.
    pub automatic: bool,
    /// What is paid for, in a few words.
    pub description: Option<String>,
}

/// A subscription as the provider would renew it now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// The customer.
    pub customer: CustomerSeen,
    /// Whether the subscription goes on after its running period.
    pub goes_on: bool,
    /// Whether the provider charges it by itself.
    pub automatic: bool,
    /// The card that would be charged, where it is one and it is known.
    pub card: Option<CardOnFile>,
}

/// A card with the month that it is good until.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardOnFile {
    /// The card as mails may show it.
    pub shown: CardShown,
    /// The year of expiry.
    pub year: i16,
    /// The month of expiry, 1 to 12.
    pub month: i8,
}

words! {
    /// Why nobody is written to about the card of a renewal.
    Silence {
        /// The provider charges nothing by itself.
        NotAutomatic = "not_automatic",
        /// Nothing is due.
        NothingDue = "nothing_due",
        /// The charge was made already.
        ChargedMeanwhile = "charged_meanwhile",
        /// The subscription does not go on.
        SubscriptionEnds = "subscription_ends",
        /// No card is known that would be charged.
        NoCard = "no_card",
        /// The card outlives the charge.
        CardIsGood = "card_is_good",
        /// The customer has no address.
        NoAddress = "no_address",
    }
}

impl CardOnFile {
    /// Whether it has expired at an instant: a card is good to the end of its month, where its holder lives.
    pub fn has_expired(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let month = Date::new(self.year, self.month, 1);
        let local = at.to_zoned(zone.clone()).date();
        month.is_ok_and(|month| local > month.last_of_month())
    }

    /// The month as cards print it, `MM/YYYY`.
    pub fn expires(&self) -> String {
        format!("{:02}/{}", self.month, self.year)
    }
}

impl Renewal {
    /// The zone that the customer lives by.
    pub fn zone(&self, default: &str) -> TimeZone {
        zone(self.customer.local_zone().unwrap_or(default))
    }

    /// The card and the address to write to, where the card does not live to see a charge; else why nobody is written to.
    pub fn dying_card(
        &self,
        charge_at: Timestamp,
        now: Timestamp,
        zone: &TimeZone,
    ) -> Result<(&CardOnFile, &str), Silence> {
        if !self.automatic {
            return Err(Silence::NotAutomatic);
        }
        if !self.goes_on {
            return Err(Silence::SubscriptionEnds);
        }
        if now >= charge_at {
            return Err(Silence::ChargedMeanwhile);
        }
        let card = self.card.as_ref().ok_or(Silence::NoCard)?;
        if !card.has_expired(charge_at, zone) {
            return Err(Silence::CardIsGood);
        }
        let address = self.customer.email.as_deref().ok_or(Silence::NoAddress)?;
        Ok((card, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is altered, and what is said then.
    type Altered = (fn(&mut Renewal), Silence);

    fn card(year: i16, month: i8) -> CardOnFile {
        CardOnFile {
            shown: CardShown {
                brand: "visa".to_owned(),
                last4: "4242".to_owned(),
            },
            year,
            month,
        }
    }

    #[test]
    fn a_card_is_good_to_the_end_of_its_month_where_its_holder_lives() {
        let expired = |at: &str, name: &str| card(2026, 9).has_expired(at.parse().unwrap(), &zone(name));
        assert!(!expired("2026-09-30T23:59:59Z", "UTC"));
        assert!(expired("2026-10-01T00:00:00Z", "UTC"));
        assert!(expired("2026-09-30T22:00:00Z", "Europe/Berlin"));
        assert!(!expired("2026-10-01T03:59:59Z", "America/New_York"));
        assert!(
            !card(2026, 13).has_expired("2030-01-01T00:00:00Z".parse().unwrap(), &TimeZone::UTC),
            "no such month"
        );
        assert_eq!(card(2026, 9).expires(), "09/2026");
    }

    #[test]
    fn only_who_would_be_charged_on_a_dead_card_is_written_to() {
        let whole = Renewal {
            customer: CustomerSeen {
                email: Some("jo@example.com".to_owned()),
                ..CustomerSeen::default()
            },
            goes_on: true,
            automatic: true,
            card: Some(card(2026, 9)),
        };
        let charge_at: Timestamp = "2026-10-04T09:00:00Z".parse().unwrap();
        let now: Timestamp = "2026-09-27T09:00:00Z".parse().unwrap();
        let said = |renewal: &Renewal, now| {
            renewal
                .dying_card(charge_at, now, &TimeZone::UTC)
                .map(|(_, to)| to.to_owned())
        };
        assert_eq!(said(&whole, now).as_deref(), Ok("jo@example.com"));
        assert_eq!(said(&whole, charge_at), Err(Silence::ChargedMeanwhile));
        let alterations: [Altered; 5] = [
            (|renewal| renewal.automatic = false, Silence::NotAutomatic),
            (|renewal| renewal.goes_on = false, Silence::SubscriptionEnds),
            (|renewal| renewal.card = None, Silence::NoCard),
            (|renewal| renewal.card = Some(card(2026, 10)), Silence::CardIsGood),
            (|renewal| renewal.customer.email = None, Silence::NoAddress),
        ];
        for (alter, silence) in alterations {
            let mut renewal = whole.clone();
            alter(&mut renewal);
            assert_eq!(said(&renewal, now), Err(silence));
        }
    }
}
