//! Recoup gets failed subscription payments back. This page is the floor plan; ARCHITECTURE.md walks through the house.
//!
//! # Floors
//!
//! Imports go down only, and rooms of one floor do not know each other, except at the top.
//!
//! | floor | rooms |
//! |---|---|
//! | 5 | [`app`] puts the service together; [`cli`] has one file for each command |
//! | 4 | [`http`] takes webhooks in and answers the API and the dashboard; [`scheduler`] is a doorbell; [`sandbox`] plays the provider |
//! | 3 | [`engine`] alone writes cases: it turns what is due into effects, and effects into events |
//! | 2 | [`store`] is the database; [`providers`] the port to payment providers; [`mailer`] writes and hands over mails |
//! | 1 | [`config`] is what the operator decides; [`links`] are signed for customers, and so is the [`return_path`] of each message; [`clock`] gives time and entropy; [`telemetry`] logs and counts; [`failpoint`] is for tests |
//! | 0 | [`domain`] knows the words and decides; it is pure |
//!
//! # Laws
//!
//! 1. The domain is told everything: the event, the instant, the campaign. It asks no clock, no database and no provider, and
//!    answers with a [`Decision`](domain::command::Decision): a changed case with commands, or a reason why nothing changes. Its
//!    matches over states and events are exhaustive, so a new one has to be thought about everywhere.
//! 2. `engine/handle.rs` is the only writer of case state. Under the row's lock, one transaction holds the case, its timeline,
//!    its attempts and notifications, and the audit trail.
//! 3. While a transaction is open, nothing goes over the network.
//! 4. An attempt is in the database before its charge leaves, and its id is the provider's idempotency key. A unique index
//!    lets a case have one open attempt.
//! 5. Silence is not a decline. An attempt without an answer is in doubt: the provider is asked, the same key may be sent again
//!    for 0.8 of its life, and no other attempt begins meanwhile.
//! 6. Whoever charges, writes to ask for money, or ends a subscription has read the invoice just before; where that showed
//!    otherwise, the reason for standing back is kept.
//! 7. What a provider refuses by itself when it is no longer right is preferred: an invoice is paid, a charge is not created.
//! 8. The ceiling stands above campaigns, models and people.
//! 9. An event is durable before the provider hears 200, and ends processed, ignored with a reason, or dead and in sight.
//! 10. A decision leaves its inputs in the timeline, so that it can be explained.
//! 11. Money is an integer of minor units with its currency; currencies are never added up.
//! 12. Whatever is learned chooses among what these laws leave.
//!
//! # What must stay absent
//!
//! - Async, IO, time, entropy, logging and the name of a provider from `domain`.
//! - Any way to change a case besides an event through [`engine`].
//! - Business time from [`scheduler`] and from SQL: instants are columns, bound from the clock; only leases run by the
//!   database's time.
//! - A second place that remembers work: there is no queue beside the due rows of cases, inbox, notifications, courtesies and digests.
//! - Card numbers, from everywhere; secrets, addresses and bodies, from logs.
//!
//! `tests/it/tidy.rs` reads the tree and holds what can be read there: floors, purity, the one writer, clocks, sizes.

/// A step makes and drops many small values at once on several threads, which the system's allocator serves at the cost of a
/// tenth of the processor.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod domain;
pub mod engine;
pub mod failpoint;
pub mod http;
pub mod links;
pub mod mailer;
pub mod providers;
pub mod return_path;
pub mod sandbox;
pub mod scheduler;
pub mod simulator;
pub mod store;
pub mod telemetry;
