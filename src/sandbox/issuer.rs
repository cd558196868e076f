//! What the card issuer answers, decided from the state of the world.

use jiff::Timestamp;
use rand::{Rng, RngExt};

use super::account::{Account, mix};
use super::objects::{Card, Standing};

/// Why a charge was refused, in Stripe's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stripe's `decline_code`.
    pub decline_code: String,
    /// The network's response code (DE 39), where one came back.
    pub network_code: Option<String>,
    /// The network's advice (the merchant advice code of Mastercard).
    pub network_advice: Option<String>,
}

/// Codes for which the issuer or the network names a response code.
const NETWORK_CODES: [(&str, &str); 25] = [
    ("insufficient_funds", "51"),
    ("card_velocity_exceeded", "61"),
    ("withdrawal_count_limit_exceeded", "65"),
    ("do_not_honor", "05"),
    ("call_issuer", "01"),
    ("no_action_taken", "21"),
    ("reenter_transaction", "19"),
    ("issuer_not_available", "91"),
    ("processing_error", "96"),
    ("expired_card", "54"),
    ("incorrect_number", "14"),
    ("invalid_account", "46"),
    ("lost_card", "41"),
    ("stolen_card", "43"),
    ("pickup_card", "04"),
    ("restricted_card", "62"),
    ("fraudulent", "59"),
    ("security_violation", "63"),
    ("transaction_not_allowed", "57"),
    ("service_not_allowed", "57"),
    ("authentication_required", "1A"),
    ("stop_payment_order", "R0"),
    ("revocation_of_authorization", "R1"),
    ("revocation_of_all_authorizations", "R3"),
    ("invalid_amount", "13"),
];

impl Refusal {
    /// The refusal with this decline code and the network code that usually comes with it.
    pub fn of(decline_code: &str) -> Self {
        let network_code = NETWORK_CODES
            .iter()
            .find(|(code, _)| *code == decline_code)
            .map(|(_, de39)| (*de39).into());
        Self {
            decline_code: decline_code.to_owned(),
            network_code,
            network_advice: None,
        }
    }

    /// Stripe's error `code`: the decline code where it has a code of its own, else `card_declined`.
    pub fn error_code(&self) -> &str {
        match self.decline_code.as_str() {
            code @ ("expired_card"
            | "incorrect_cvc"
            | "incorrect_number"
            | "processing_error"
            | "authentication_required") => code,
            _ => "card_declined",
        }
    }

    /// Stripe's `advice_code`, where it gives one.
    pub fn advice_code(&self) -> Option<&'static str> {
        match self.decline_code.as_str() {
            "expired_card" | "incorrect_number" | "incorrect_cvc" | "invalid_account" => Some("confirm_card_data"),
            "lost_card"
            | "stolen_card"
            | "pickup_card"
            | "fraudulent"
            | "stop_payment_order"
            | "revocation_of_authorization"
            | "revocation_of_all_authorizations" => Some("do_not_try_again"),
            "insufficient_funds"
            | "do_not_honor"
            | "issuer_not_available"
            | "processing_error"
            | "try_again_later"
            | "card_velocity_exceeded" => Some("try_again_later"),
            _ => None,
        }
    }

    /// The sentence for people.
    pub fn message(&self) -> &'static str {
        match self.decline_code.as_str() {
            "insufficient_funds" => "Your card has insufficient funds.",
            "expired_card" => "Your card has expired.",
            "incorrect_number" => "Your card number is incorrect.",
            "processing_error" => "An error occurred while processing your card. Try again in a little bit.",
            "authentication_required" => "Your card was declined. This transaction requires authentication.",
            _ => "Your card was declined.",
        }
    }

    /// Whether only the holder, present, can get the charge through.
    pub fn needs_holder(&self) -> bool {
        self.decline_code == "authentication_required"
    }
}

/// A bank. Its systems are away for some hours now and then.
#[derive(Clone, Copy, Debug)]
pub struct Issuer {
    /// What its outages are drawn from; nothing for a bank that never fails.
    pub seed: Option<u64>,
}

/// Each bank has at most one outage in so many seconds (ten days).
const OUTAGE_SLOT_SECS: i64 = 10 * 86_400;

impl Issuer {
    /// Whether the bank does not answer at `at`: six slots in ten hold one outage of one to eight hours.
    pub fn is_down(self, at: Timestamp) -> bool {
        let Some(seed) = self.seed else { return false };
        let slot = at.as_second().div_euclid(OUTAGE_SLOT_SECS);
        let draw = mix(seed ^ mix(slot.unsigned_abs()));
        let part = |shift: u32, below: u64| i64::try_from((draw >> shift) % below).expect("a small remainder fits");
        let start = slot * OUTAGE_SLOT_SECS + part(8, 800_000);
        let length = 3_600 * (1 + part(40, 8));
        part(0, 10) < 6 && (start..start + length).contains(&at.as_second())
    }
}

/// How the holder takes part in the charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// The holder is away.
    Off,
    /// The holder is present and confirms.
    On,
}

/// What the issuer answers to a charge of `amount_minor` on `card` at `at`. A success takes the money from the account.
pub fn authorize(
    card: &mut Card,
    account: &mut Account,
    issuer: Issuer,
    (amount_minor, at, session): (i64, Timestamp, Session),
    rng: &mut impl Rng,
) -> Result<(), Refusal> {
    let refused = |code: &str| Err(with_advice(Refusal::of(code), card.brand, None));
    if issuer.is_down(at) {
        return refused("issuer_not_available");
    }
    match card.standing {
        Standing::Lost => return refused("lost_card"),
        Standing::Stolen => return refused("stolen_card"),
        Standing::Blocked => return refused("fraudulent"),
        Standing::Good | Standing::NeedsAuthentication => {}
    }
    if has_expired(card, at) {
        return refused("expired_card");
    }
    if card.standing == Standing::NeedsAuthentication && session == Session::Off {
        return refused("authentication_required");
    }
    if let Some(code) = temper(card, at, rng) {
        return Err(with_advice(Refusal::of(code), card.brand, None));
    }
    if !account.take(amount_minor, at) {
        let wait = account.days_to_payday(at);
        return Err(with_advice(Refusal::of("insufficient_funds"), card.brand, wait));
    }
    Ok(())
}

/// Whether the card's last month is over at `at` (UTC).
pub fn has_expired(card: &Card, at: Timestamp) -> bool {
    let date = jiff::tz::TimeZone::UTC.to_datetime(at).date();
    (date.year(), date.month()) > (card.exp_year, card.exp_month)
}

/// The code of the present spell of bad temper, which this charge may have begun; it heals by itself.
fn temper(card: &mut Card, at: Timestamp, rng: &mut impl Rng) -> Option<&'static str> {
    match card.spell {
        Some((until, code)) if at < until => return Some(code),
        _ => card.spell = None,
    }
    if card.moody > 0.0 && rng.random_bool(card.moody) {
        let code = if rng.random_bool(0.25) {
            "generic_decline"
        } else {
            "do_not_honor"
        };
        let hours = rng.random_range(6..144);
        card.spell = Some((at + jiff::SignedDuration::from_hours(hours), code));
        return Some(code);
    }
    None
}

/// Adds what the network says beside: Mastercard gives an advice code, for missing money from the wait until the payday.
fn with_advice(mut refusal: Refusal, brand: &str, days_to_payday: Option<i32>) -> Refusal {
    if brand == "mastercard" {
        if refusal.decline_code == "fraudulent" {
            // 59 is a response code of Visa's.
            refusal.network_code = Some("63".to_owned());
        }
        let advice = match (refusal.decline_code.as_str(), days_to_payday) {
            ("insufficient_funds", Some(..=1)) => "25",
            ("insufficient_funds", Some(2)) => "26",
            ("insufficient_funds", Some(3..=4)) => "27",
            ("insufficient_funds", Some(5..=6)) => "28",
            ("insufficient_funds", Some(7..=8)) => "29",
            ("insufficient_funds", Some(9..=10)) => "30",
            ("insufficient_funds" | "do_not_honor" | "issuer_not_available", _) => "02",
            ("expired_card", _) => "01",
            ("lost_card" | "stolen_card" | "fraudulent", _) => "03",
            ("authentication_required", _) => {
                refusal.network_code = Some("65".to_owned());
                return refusal;
            }
            _ => return refusal,
        };
        refusal.network_advice = Some(advice.to_owned());
    }
    refusal
}
