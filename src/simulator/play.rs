//! One way of retrying in one world: every invoice from its failure to its money, or to the end of the window.

use super::calendar::DAY;
use super::invoice::Invoice;
use super::policy::{Policy, Seen, WINDOW_DAYS};
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
        }
    }
}

/// Whether any hour of the window would have brought the money.
pub fn is_payable(place: &Place, invoice: &Invoice) -> bool {
    let end = invoice.failed_at + WINDOW_DAYS * DAY;
    if invoice.returned_late && may_be_charged(invoice.kind) {
        return false;
    }
    invoice.pays_at.is_some_and(|at| at <= end)
        || may_be_charged(invoice.kind) && (invoice.failed_at + 1..=end).any(|hour| invoice.would_succeed(place, hour))
}

/// What no way of retrying may do: charge what only the customer can mend.
fn may_be_charged(kind: DeclineKind) -> bool {
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

/// Plays all invoices. `payable` says of each whether any hour would have brought the money.
pub fn play(place: &Place, invoices: &[Invoice], payable: &[bool], policy: &Policy, budget: usize) -> Tally {
    let mut all = Tally::default();
    for (invoice, payable) in invoices.iter().zip(payable) {
        let one = play_one(place, invoice, policy, budget);
        all = all.plus(Tally {
            payable: u64::from(*payable),
            ..one
        });
    }
    all
}

fn play_one(place: &Place, invoice: &Invoice, policy: &Policy, budget: usize) -> Tally {
    let mut tally = Tally {
        invoices: 1,
        owed_minor: invoice.amount_minor,
        ..Tally::default()
    };
    let (mut now, mut made, mut charged) = (invoice.failed_at, 0, false);
    while may_be_charged(invoice.kind) {
        let seen = Seen {
            kind: invoice.kind,
            failed_at: invoice.failed_at,
            now,
            made,
            budget,
            days: &place.days,
        };
        let Some(hour) = policy.next(&seen) else { break };
        if invoice.pays_at.is_some_and(|at| at <= hour) {
            break;
        }
        made += 1;
        tally.attempts += 1;
        tally.net -= FEE_MINOR * 10_000;
        if invoice.would_succeed(place, hour) {
            charged = true;
            break;
        }
        tally.net -= invoice.amount_minor * PAYMENTS_LOST * LEAVING_PER_MILLE * MARGIN_PERCENT / 10;
        now = hour + place.world.answer_hours;
    }
    let end = invoice.failed_at + WINDOW_DAYS * DAY;
    let paid = if charged {
        !invoice.returned_late
    } else {
        invoice.pays_at.is_some_and(|at| at <= end)
    };
    if paid {
        tally.paid = 1;
        tally.net += invoice.amount_minor * MARGIN_PERCENT * 100;
    }
    tally
}

#[cfg(test)]
mod tests {
    use super::super::world::Worlds;
    use super::*;

    /// The net of a tally by its definition, in whole minor units and from what was counted alone.
    #[test]
    fn net_is_what_was_won_less_what_it_cost() {
        let known = Worlds::embedded();
        for world in &known.all {
            let place = Place::new(&known, world, 5);
            for invoice in Invoice::some(&place, 60) {
                let tally = play_one(&place, &invoice, &Policy::EvenAtNine, 4);
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
