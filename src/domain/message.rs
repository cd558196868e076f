//! The messages a customer can receive.

use super::words::words;

words! {
    /// One kind of message; each has a subject, a text and an HTML template in every locale.
    Message {
        /// A charge failed and will be tried again; nothing need be done.
        PaymentFailed = "payment_failed",
        /// The payment method no longer works; a new one is needed.
        UpdatePaymentMethod = "update_payment_method",
        /// The bank wants the customer to confirm the payment (3-D Secure).
        ConfirmPayment = "confirm_payment",
        /// The invoice is still unpaid.
        Reminder = "reminder",
        /// The last word before the final action.
        FinalNotice = "final_notice",
        /// The subscription ended for non-payment.
        SubscriptionEnded = "subscription_ended",
        /// The payment arrived; all is settled.
        PaymentReceived = "payment_received",
    }
}

impl Message {
    /// Whether the message asks for money, and so must never leave after the invoice was paid.
    pub const fn is_dunning(self) -> bool {
        match self {
            Self::PaymentFailed
            | Self::UpdatePaymentMethod
            | Self::ConfirmPayment
            | Self::Reminder
            | Self::FinalNotice
            | Self::SubscriptionEnded => true,
            Self::PaymentReceived => false,
        }
    }
}
