//! The messages that customers and staff can receive.

use jiff::Timestamp;

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
        /// The card dies before the next charge of the subscription.
        CardExpiring = "card_expiring",
        /// The card had expired when it was charged.
        CardExpired = "card_expired",
        /// The invoice is still unpaid.
        Reminder = "reminder",
        /// The last word before the final action.
        FinalNotice = "final_notice",
        /// The subscription was paused for non-payment.
        SubscriptionPaused = "subscription_paused",
        /// The subscription ended for non-payment.
        SubscriptionEnded = "subscription_ended",
        /// The payment arrived; all is settled.
        PaymentReceived = "payment_received",
        /// The customer gave a new payment method while a payment was open.
        PaymentMethodUpdated = "payment_method_updated",
        /// An invitation to come back, some time after the end.
        WinBack = "win_back",
        /// To staff: a case needs a person.
        StaffPersonNeeded = "staff_person_needed",
        /// To staff: a message could not be delivered.
        StaffMailBounced = "staff_mail_bounced",
        /// To staff: what the week brought.
        StaffDigest = "staff_digest",
    }
}

impl Message {
    /// Whether the message asks for money, and so must never leave after the invoice was paid.
    pub const fn is_dunning(self) -> bool {
        match self {
            Self::PaymentFailed
            | Self::UpdatePaymentMethod
            | Self::ConfirmPayment
            | Self::CardExpired
            | Self::Reminder
            | Self::FinalNotice
            | Self::SubscriptionPaused
            | Self::SubscriptionEnded => true,
            Self::CardExpiring
            | Self::PaymentReceived
            | Self::PaymentMethodUpdated
            | Self::WinBack
            | Self::StaffPersonNeeded
            | Self::StaffMailBounced
            | Self::StaffDigest => false,
        }
    }

    /// Whether it makes sense only while the invoice is open: what holds back messages that ask for money holds it back too.
    pub const fn is_of_open_invoice(self) -> bool {
        self.is_dunning() || matches!(self, Self::PaymentMethodUpdated)
    }

    /// Whether it asks for money while the invoice is chased. A campaign says when such a message is sent, and a customer who wants no
    /// more reminders about an invoice gets none; that a subscription ended or was paused is told all the same, at its moment.
    pub const fn is_reminder(self) -> bool {
        self.is_dunning() && !matches!(self, Self::SubscriptionPaused | Self::SubscriptionEnded)
    }

    /// Whether it says how the case ended, and so leaves after that.
    pub const fn is_last_word(self) -> bool {
        matches!(
            self,
            Self::SubscriptionPaused | Self::SubscriptionEnded | Self::PaymentReceived
        )
    }

    /// How often it may be sent in one case: so many subjects it has in each language, and none comes twice.
    pub const fn times(self) -> usize {
        match self {
            Self::Reminder => 5,
            Self::PaymentFailed | Self::UpdatePaymentMethod => 3,
            Self::ConfirmPayment | Self::CardExpired | Self::PaymentMethodUpdated => 2,
            Self::CardExpiring
            | Self::FinalNotice
            | Self::SubscriptionPaused
            | Self::SubscriptionEnded
            | Self::PaymentReceived
            | Self::WinBack
            | Self::StaffPersonNeeded
            | Self::StaffMailBounced
            | Self::StaffDigest => 1,
        }
    }

    /// The key of its step in a case where no campaign names one, for the `nth` of its kind, counted from 0.
    pub fn own_step(self, nth: usize) -> String {
        match nth {
            0 => self.to_string(),
            nth => format!("{self} {}", nth + 1),
        }
    }

    /// The key of its step in a case where it is sent at most once a day.
    pub fn step_of_day(self, now: Timestamp) -> String {
        format!("{self} {}", now.strftime("%F"))
    }

    /// Whether a step is that of a message which is sent at most once a day.
    pub fn is_step_of_day(step: &str) -> bool {
        let name = step.split(' ').next().unwrap_or_default();
        Self::ALL
            .iter()
            .any(|message| message.is_for_staff() && message.as_str() == name)
    }

    /// Whether the key of a campaign's step could be that of a message which is sent by itself.
    pub fn takes_key(key: &str) -> bool {
        let name = key.split(' ').next().unwrap_or_default();
        let by_itself = Self::ALL.iter().filter(|message| !message.is_reminder());
        by_itself.into_iter().any(|message| message.as_str() == name)
    }

    /// Whether it advertises, and so needs a way to unsubscribe by one click.
    pub const fn is_promotional(self) -> bool {
        matches!(self, Self::WinBack)
    }

    /// Whether it goes to billing staff instead of the customer.
    pub const fn is_for_staff(self) -> bool {
        matches!(
            self,
            Self::StaffPersonNeeded | Self::StaffMailBounced | Self::StaffDigest
        )
    }

    /// Whether it may say when the next charge is made.
    pub const fn tells_next_attempt(self) -> bool {
        match self {
            Self::PaymentFailed
            | Self::UpdatePaymentMethod
            | Self::ConfirmPayment
            | Self::CardExpired
            | Self::Reminder
            | Self::FinalNotice
            | Self::PaymentMethodUpdated => true,
            Self::CardExpiring
            | Self::SubscriptionPaused
            | Self::SubscriptionEnded
            | Self::PaymentReceived
            | Self::WinBack
            | Self::StaffPersonNeeded
            | Self::StaffMailBounced
            | Self::StaffDigest => false,
        }
    }

    /// Whether it may say when the subscription ends or ended.
    pub const fn tells_end(self) -> bool {
        self.is_dunning()
    }
}
