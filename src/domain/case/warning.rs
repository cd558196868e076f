//! What a person should see of a case.

use crate::domain::words::words;

words! {
    /// Something about a case that a person should see.
    Warning {
        /// The provider plans retries of its own although we are the collector; we do not charge meanwhile.
        ProviderRetriesOn = "provider_retries_on",
        /// The decline is our own fault.
        MerchantFault = "merchant_fault",
        /// The customer has no address we could write to.
        NoAddress = "no_address",
        /// The provider refuses our calls: credentials, rights or the request itself.
        ProviderRefuses = "provider_refuses",
        /// The provider no longer knows the invoice.
        InvoiceMissing = "invoice_missing",
        /// The provider's answer contradicts what we asked for.
        AnswerMismatch = "answer_mismatch",
        /// An attempt could not be resolved in time.
        AttemptUnresolved = "attempt_unresolved",
        /// Money of this invoice was paid back during the chase.
        RefundSeen = "refund_seen",
        /// The provider refused the final action.
        FinalActionRefused = "final_action_refused",
        /// A message could not be delivered.
        MailBounced = "mail_bounced",
        /// Money came more than once for this invoice.
        Overpaid = "overpaid",
        /// What the provider shows of this invoice's money does not fit with our books.
        BooksDisagree = "books_disagree",
    }
}
