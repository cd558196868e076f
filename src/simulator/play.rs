//! What a charge costs, what an invoice brings, and what could have been brought in.

use super::calendar::DAY;
use super::invoice::Invoice;
use super::networks::Record;
use super::policy::WINDOW_DAYS;
use super::world::Place;
use crate::domain::decline::DeclineKind;

/// What a charge costs, in minor units: a fee of 0.12 and what a network takes for its advice, 0.02.
pub const FEE_MINOR: i64 = 14;
/// What is left of an amount once the service behind it is paid for, in percent.
pub const MARGIN_PERCENT: i64 = 80;
/// Of a thousand customers, how many leave because of one failed charge.
pub const LEAVING_PER_MILLE: i64 = 3;
/// The payments that a customer who leaves would still have made.
pub const PAYMENTS_LOST: i64 = 12;

/// What came of the invoices of a world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many failed.
    pub invoices: u64,
    /// What was owed, in minor units.
    pub owed_minor: i64,
    /// How many were paid.
    pub paid: u64,
    /// How many could have been paid, had every hour been tried.
    pub payable: u64,
    /// How many charges were made.
    pub attempts: u64,
    /// What was won less what charges cost and customers lost by them, in ten thousandths of minor units.
    pub net: i64,
    /// The charges whose chance was told before, by tenths of it.
    pub told: [Told; 10],
}

/// Charges whose chance was told before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// How many.
    pub charges: u64,
    /// The sum of their chances, in millionths.
    pub chances: u64,
    /// How many succeeded.
    pub succeeded: u64,
}

impl Tally {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Self {
            invoices: self.invoices + other.invoices,
            owed_minor: self.owed_minor + other.owed_minor,
            paid: self.paid + other.paid,
            payable: self.payable + other.payable,
            attempts: self.attempts + other.attempts,
            net: self.net + other.net,
            told: std::array::from_fn(|tenth| Told {
                charges: self.told[tenth].charges + other.told[tenth].charges,
                chances: self.told[tenth].chances + other.told[tenth].chances,
                succeeded: self.told[tenth].succeeded + other.told[tenth].succeeded,
            }),
        }
    }

    /// Counts a charge whose chance was told before.
    pub fn expect(&mut self, chance: f64, succeeded: bool) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a chance is from 0 to 1"
        )]
        let (tenth, millionths) = ((chance * 10.0) as usize, (chance * 1e6) as u64);
        let told = &mut self.told[tenth.min(9)];
        told.charges += 1;
        told.chances += millionths;
        told.succeeded += u64::from(succeeded);
    }
}

/// Whether any hour of the window that the rules of the network allow after the first failure would have brought the money.
pub fn is_payable(place: &Place, invoice: &Invoice) -> bool {
    let end = invoice.failed_at + WINDOW_DAYS * DAY;
    if invoice.returned_late && may_be_charged(invoice.kind) {
        return false;
    }
    if invoice.pays_at.is_some_and(|at| at <= end) {
        return true;
    }
    let first = Record::new(place, invoice).allowed_from(place, invoice.failed_at + 1, end);
    may_be_charged(invoice.kind)
        && first.is_some_and(|first| (first..=end).any(|hour| invoice.would_succeed(place, hour)))
}

/// What no way of retrying may do: charge what only the customer can mend.
pub fn may_be_charged(kind: DeclineKind) -> bool {
    match kind {
        DeclineKind::InsufficientFunds
        | DeclineKind::Limit
        | DeclineKind::DoNotHonor
        | DeclineKind::IssuerDown
        // The network may renew the card's data by itself.
        | DeclineKind::Expired => true,
        DeclineKind::InvalidAccount
        | DeclineKind::LostStolen
        | DeclineKind::Fraud
        | DeclineKind::NotPermitted
        | DeclineKind::AuthenticationRequired
        | DeclineKind::Revoked
        | DeclineKind::MerchantConfig => false,
    }
}

/// Charges an invoice in an hour: says whether it succeeds, and counts what that costs.
pub fn charge(place: &Place, invoice: &Invoice, hour: i32, tally: &mut Tally) -> bool {
    tally.attempts += 1;
    tally.net -= FEE_MINOR * 10_000;
    let succeeds = invoice.would_succeed(place, hour);
    if !succeeds {
        tally.net -= invoice.amount_minor * PAYMENTS_LOST * LEAVING_PER_MILLE * MARGIN_PERCENT / 10;
    }
    succeeds
}

/// What came of an invoice once its window is over.
pub fn settle(invoice: &Invoice, tally: &Tally, charged: bool) -> Tally {
    let end = invoice.failed_at + WINDOW_DAYS * DAY;
    let paid = if charged {
        !invoice.returned_late
    } else {
        invoice.pays_at.is_some_and(|at| at <= end)
    };
    let won = if paid {
        invoice.amount_minor * MARGIN_PERCENT * 100
    } else {
        0
    };
    Tally {
        invoices: 1,
        owed_minor: invoice.amount_minor,
        paid: u64::from(paid),
        net: tally.net + won,
        ..*tally
    }
}

#[cfg(test)]
mod tests {
    use super::super::policy::Policy;
    use super::super::service;
    use super::super::world::Worlds;
    use super::*;

    /// The net of a tally by its definition, in whole minor units and from what was counted alone.
    #[test]
    fn net_is_what_was_won_less_what_it_cost() {
        let known = Worlds::embedded();
        for world in &known.all {
            let place = Place::new(&known, world, 5);
            for invoice in Invoice::some(&place, 60) {
                let one = [invoice];
                let tally = service::play(&place, &one, &Policy::EvenAtNine, 4, service::Ceiling::Asked).tally;
                let [invoice] = one;
                let amount = invoice.amount_minor;
                assert_eq!((tally.invoices, tally.owed_minor), (1, amount));
                assert!(tally.paid == 0 || is_payable(&place, &invoice), "{invoice:?}");
                let attempts = i64::try_from(tally.attempts).unwrap();
                let net = |failed: i64| {
                    let won = i64::try_from(tally.paid).unwrap() * amount * 8_000;
                    won - attempts * 140_000 - failed * amount * 288
                };
                // The last charge brought the money, or every one failed.
                assert!([net(attempts), net(attempts - 1)].contains(&tally.net), "{tally:?}");
            }
        }
    }
}
