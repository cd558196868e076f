//! The networks that carry charges: whose rules bind a charge, and whose dialect its codes are in.

use super::words::words;

words! {
    /// A card network or a scheme of bank debits.
    Network {
        /// Visa.
        Visa = "visa",
        /// Mastercard, and Maestro under its rules.
        Mastercard = "mastercard",
        /// American Express.
        Amex = "amex",
        /// Discover, and Diners Club on its network.
        Discover = "discover",
        /// A card of any other brand.
        OtherCard = "other_card",
        /// Bank debits in the United States.
        Ach = "ach",
        /// Bank debits in the euro area.
        Sepa = "sepa",
        /// Bank debits in the United Kingdom.
        Bacs = "bacs",
        /// Bank debits in Canada.
        Pad = "pad",
        /// Bank debits in Australia.
        Becs = "becs",
        /// Nothing is known of it.
        Unknown = "unknown",
    }
}

impl Network {
    /// The network of a card of that brand, however the brand is written.
    pub fn of_brand(brand: &str) -> Self {
        match brand.to_ascii_lowercase().as_str() {
            "visa" => Self::Visa,
            "mastercard" | "maestro" => Self::Mastercard,
            "amex" | "american_express" | "american express" => Self::Amex,
            "discover" | "diners" | "diners_club" | "diners club" => Self::Discover,
            "" | "unknown" => Self::Unknown,
            _ => Self::OtherCard,
        }
    }
}
