//! Mails: each leaves once, or not at all where that cannot be told; never after the payment, never to a dead address.

use std::time::Duration;

use recoup::domain::case::Warning;
use recoup::mailer::Mailer;
use recoup::providers::ReadError;
use recoup::sandbox::{Outcome, Shape};
use recoup::store::notifications;

use super::crew::{Crew, Read, kill, mails, play, run};
use crate::support::dialogue::{Dialogue, Script, Step};
use crate::support::smtp::{Role, SmtpServer};
use crate::support::story::{Failed, Story, tell_in};

const START: &str = "2026-03-02T08:30:00Z";
/// Just before the message `update_payment_method` of an expired card is due.
const BEFORE: &str = "2026-03-02T10:29:00Z";
const MAIL_DUE: &str = "2026-03-02T10:30:00Z";
/// Long enough for loopback on a busy machine, short enough to be waited for where the server is silent.
const SHORT: Duration = Duration::from_secs(2);

async fn crew_with(story: &Story, script: &[Role]) -> (Crew, SmtpServer) {
    let server = SmtpServer::start(script).await;
    let url = format!("smtp://{}", server.addr).into();
    let mailer = Mailer::new(Some(&url), Some("Acme <billing@acme.example>")).unwrap();
    (Crew::with_mailer(story, mailer.with_send_timeout(SHORT)), server)
}

/// The same with a relay that says these once each.
async fn crew_in(story: &Story, says: &[(Step, &'static str)]) -> (Crew, Dialogue) {
    let script = Script {
        says: says.to_vec(),
        ..Script::default()
    };
    let server = Dialogue::start(script).await;
    let url = format!("smtp://{}", server.addr).into();
    let mailer = Mailer::new(Some(&url), Some("Acme <billing@acme.example>")).unwrap();
    (Crew::with_mailer(story, mailer), server)
}

/// How often a recipient was named.
fn asked(server: &Dialogue) -> usize {
    server
        .book()
        .lines
        .iter()
        .filter(|line| line.starts_with("RCPT"))
        .count()
}

/// A case that is never charged again by itself, shortly before its first mail.
async fn expired(story: &Story) -> Failed {
    let failed = story.failed_invoice("expired_card");
    story.advance(BEFORE).await;
    failed
}

#[test]
fn a_worker_that_dies_while_sending_leaves_an_unknown() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[Role::HoldAfterDot]).await;
        story.clock.advance_to(MAIL_DUE.parse().unwrap()).unwrap();
        let tick = crew.start_tick();
        while server.messages().is_empty() {
            tokio::task::yield_now().await;
        }
        kill(tick).await;
        story.settle().await;
        assert_eq!(mails(story, &failed.invoice).await, ["update_payment_method sending"]);
        story.app.store.end_leases().await.unwrap();
        story.settle().await;
        assert_eq!(
            mails(story, &failed.invoice).await,
            ["update_payment_method unknown: the sender went away"]
        );
        assert!(story.diary(&failed.invoice).await.contains("notice_ended     unknown"));
        story.advance("2026-03-03T10:30:00Z").await;
        assert_eq!((server.messages().len(), story.letters().len()), (1, 0));
    });
}

#[test]
fn what_a_greylist_puts_off_is_sent_once_five_minutes_later() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[Role::AtRecipient("451 4.7.1 come back later")]).await;
        crew.advance(story, "2026-03-02T10:34:59Z").await;
        let put_off = mails(story, &failed.invoice).await;
        assert!(put_off[0].starts_with("update_payment_method pending: "), "{put_off:?}");
        assert_eq!(server.messages().len(), 0);
        crew.advance(story, "2026-03-02T10:35:00Z").await;
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method sent"));
        crew.advance(story, "2026-03-03T10:35:00Z").await;
        assert_eq!(server.messages().len(), 1);
    });
}

/// What a relay puts off at whatever step is asked for again after ever longer waits, and taken once.
#[test]
fn a_relay_that_puts_off_for_days_gets_the_mail_once() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_in(
            story,
            &[
                (Step::Recipient, "451 4.7.1 greylisted"),
                (Step::Data, "450 greylisted"),
                (Step::Dot, "451 greylisted after all"),
                (Step::Recipient, "450 greylisted"),
                (Step::Dot, "452 disk full"),
            ],
        )
        .await;
        let tries = [
            ("2026-03-02T10:29:59Z", MAIL_DUE),
            ("2026-03-02T10:34:59Z", "2026-03-02T10:35:00Z"),
            ("2026-03-02T11:04:59Z", "2026-03-02T11:05:00Z"),
            ("2026-03-02T13:04:59Z", "2026-03-02T13:05:00Z"),
            ("2026-03-02T19:04:59Z", "2026-03-02T19:05:00Z"),
            ("2026-03-03T19:04:59Z", "2026-03-03T19:05:00Z"),
        ];
        for (number, (before, due)) in tries.into_iter().enumerate() {
            crew.advance(story, before).await;
            assert_eq!((asked(&server), server.book().taken.len()), (number, 0), "{before}");
            crew.advance(story, due).await;
            assert_eq!(asked(&server), number + 1, "{due}");
        }
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method sent"));
        let taken = server.book().taken;
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].to, "erika0@kunde.example");
    });
}

#[test]
fn a_domain_gets_so_many_mails_a_minute_and_the_others_follow() {
    let settings = [("RECOUP__MAIL__PER_DOMAIN_PER_MINUTE", "3")];
    tell_in(Shape::New, START, &settings, &async |story: &mut Story| {
        let failed: Vec<Failed> = (0..8).map(|_| story.failed_invoice("expired_card")).collect();
        let minutes = [
            ("2026-03-02T10:29:59Z", 0),
            (MAIL_DUE, 3),
            ("2026-03-02T10:30:59Z", 3),
            ("2026-03-02T10:31:59Z", 6),
            ("2026-03-02T10:32:59Z", 8),
        ];
        for (at, arrived) in minutes {
            story.advance(at).await;
            assert_eq!(story.letters().len(), arrived, "{at}");
        }
        for one in failed {
            let case = story.case(&one.invoice).await;
            let rows = notifications::by_case(story.app.store.conn(), &case.id).await;
            assert_eq!(rows.unwrap()[0].tries, 0, "waiting is no try");
        }
    });
}

#[test]
fn a_domain_that_complains_is_left_in_peace_for_a_while() {
    play(START, &async |story: &mut Story| {
        let failed: Vec<Failed> = (0..8).map(|_| story.failed_invoice("expired_card")).collect();
        story.advance(BEFORE).await;
        let complaint = (Step::Recipient, "450 4.7.1 too many mails from you");
        let (crew, server) = crew_in(story, &[complaint]).await;
        crew.advance(story, MAIL_DUE).await;
        assert!(
            (1..=3).contains(&asked(&server)),
            "{} were on their way",
            asked(&server)
        );
        let early = asked(&server);
        crew.advance(story, "2026-03-02T10:34:59Z").await;
        assert_eq!(asked(&server), early, "nothing is asked for five minutes");
        let mut waiting = 0;
        for one in &failed {
            waiting += usize::from(
                mails(story, &one.invoice).await[0].ends_with("pending: too many mails for its domain at a time"),
            );
        }
        assert_eq!(waiting, 8 - early);
        crew.advance(story, "2026-03-02T10:36:59Z").await;
        assert_eq!((asked(&server), server.book().taken.len()), (9, 8));
    });
}

#[test]
fn nothing_more_is_sent_to_an_address_that_refused_us() {
    play(START, &async |story: &mut Story| {
        let failed = story.failed_invoice("expired_card");
        let second = story.sandbox.open_invoice(&failed.subscription, "insufficient_funds");
        story
            .sandbox
            .script_outcomes(&second, std::iter::repeat_n(Outcome::decline("insufficient_funds"), 9));
        story.advance(BEFORE).await;
        let (crew, server) = crew_with(story, &[Role::AtRecipient("550 5.1.1 no such user")]).await;
        crew.advance(story, "2026-04-20T00:00:00Z").await;
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method failed: "));
        for invoice in [&failed.invoice, &second] {
            let case = story.case(invoice).await;
            assert!(case.warnings.contains(&Warning::MailBounced));
            assert_eq!(case.status().as_str(), "exhausted");
        }
        let asked = server.commands().iter().filter(|line| line.starts_with("RCPT")).count();
        assert_eq!(
            (asked, server.messages().len()),
            (1, 0),
            "the address is asked for once"
        );
    });
}

#[test]
fn a_reply_that_is_lost_after_the_final_dot_is_unknown() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[Role::DropAfterDot]).await;
        crew.advance(story, "2026-03-03T10:30:00Z").await;
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method unknown: "));
        assert_eq!(server.messages().len(), 1);
    });
}

#[test]
fn a_silent_server_is_left_in_time() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[Role::StallAtGreeting, Role::StallAfterData]).await;
        crew.advance(story, MAIL_DUE).await;
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method pending: "));
        crew.advance(story, "2026-03-03T10:30:00Z").await;
        assert!(mails(story, &failed.invoice).await[0].starts_with("update_payment_method unknown: "));
        assert_eq!(server.connections(), 2);
    });
}

#[test]
fn what_is_paid_before_the_mail_leaves_is_not_asked_for() {
    for told in [false, true] {
        play(START, &async |story: &mut Story| {
            let failed = expired(story).await;
            let (crew, server) = crew_with(story, &[Role::AtRecipient("451 4.7.1 come back later")]).await;
            crew.advance(story, "2026-03-02T10:32:00Z").await;
            assert!(story.sandbox.pay_by_customer(&failed.invoice));
            if !told {
                story.sandbox.lose_webhooks();
            }
            crew.advance(story, "2026-03-02T12:00:00Z").await;
            // What is queued at one instant has no order.
            let mut mails = mails(story, &failed.invoice).await;
            mails.sort_unstable();
            // The customer paid with another card; that it was taken is no news beside the receipt, and nothing is queued about it where
            // the money is seen first: what is told at one instant has no order either.
            mails.retain(|mail| !told || mail != "payment_method_updated superseded: case_closed");
            let expected = ["payment_received sent", "update_payment_method superseded: case_closed"];
            assert_eq!(mails, expected);
            assert_eq!(server.messages().len(), 1, "the receipt");
        });
    }
}

#[test]
fn an_invoice_that_cannot_be_read_keeps_the_mail_waiting() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[]).await;
        // The step that queues the mail reads the invoice, and the gate cannot.
        crew.puppet.next_read(Read::Pass);
        crew.puppet.next_read(Read::Fail(ReadError::Unavailable {
            reason: "away".to_owned(),
            retry_after: None,
        }));
        crew.advance(story, "2026-03-02T10:39:59Z").await;
        assert_eq!(
            mails(story, &failed.invoice).await,
            ["update_payment_method pending: the invoice could not be read"]
        );
        crew.advance(story, "2026-03-02T10:40:00Z").await;
        assert_eq!(server.messages().len(), 1);
    });
}

#[test]
fn the_longer_an_invoice_cannot_be_read_the_more_seldom_it_is_asked_for() {
    play(START, &async |story: &mut Story| {
        expired(story).await;
        let (crew, server) = crew_with(story, &[]).await;
        crew.puppet.next_read(Read::Pass);
        // At 10:30, 10:40, 10:50 and, having waited half an hour, once more a quarter of an hour before it can be read.
        for _ in 0..4 {
            crew.puppet.next_read(Read::Fail(ReadError::Unavailable {
                reason: "away".to_owned(),
                retry_after: None,
            }));
        }
        crew.advance(story, "2026-03-02T11:14:59Z").await;
        assert_eq!(server.messages().len(), 0);
        crew.advance(story, "2026-03-02T11:15:00Z").await;
        assert_eq!(server.messages().len(), 1);
    });
}

#[test]
fn an_invoice_that_is_gone_is_not_asked_for() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[]).await;
        crew.puppet.next_read(Read::Pass);
        crew.puppet.next_read(Read::Fail(ReadError::NotFound));
        crew.advance(story, "2026-03-02T12:00:00Z").await;
        assert_eq!(
            mails(story, &failed.invoice).await,
            ["update_payment_method superseded: invoice_missing"]
        );
        assert_eq!(server.messages().len(), 0);
    });
}

#[test]
fn a_message_that_only_a_newer_version_knows_keeps_nobody_waiting() {
    play(START, &async |story: &mut Story| {
        let (first, second) = (
            story.failed_invoice("expired_card"),
            story.failed_invoice("expired_card"),
        );
        story.advance(BEFORE).await;
        let (crew, server) = crew_with(story, &[Role::AtSender("451 busy"), Role::AtSender("451 busy")]).await;
        crew.advance(story, MAIL_DUE).await;
        let id = story.case(&first.invoice).await.id;
        run(
            story,
            &format!("UPDATE notifications SET message = 'from_the_future' WHERE case_id = '{id}'"),
        )
        .await;
        crew.advance(story, "2026-03-02T10:40:00Z").await;
        assert_eq!(server.messages().len(), 1);
        assert!(mails(story, &second.invoice).await[0].starts_with("update_payment_method sent"));
        run(
            story,
            &format!("UPDATE notifications SET message = 'update_payment_method' WHERE case_id = '{id}'"),
        )
        .await;
        story.app.store.end_leases().await.unwrap();
        crew.settle(story).await;
        assert_eq!(server.messages().len(), 2);
    });
}

#[test]
fn a_mail_waits_for_a_connection_that_is_not_configured() {
    play(START, &async |story: &mut Story| {
        let failed = expired(story).await;
        let (crew, server) = crew_with(story, &[Role::AtRecipient("451 4.7.1 come back later")]).await;
        crew.advance(story, MAIL_DUE).await;
        let rename = async |from: &str, to: &str| {
            for table in ["cases", "notifications"] {
                let sql = format!("UPDATE {table} SET connection = '{to}' WHERE connection = '{from}'");
                run(story, &sql).await;
            }
        };
        rename("stripe", "elsewhere").await;
        crew.advance(story, "2026-03-02T10:40:00Z").await;
        rename("elsewhere", "stripe").await;
        assert_eq!(
            mails(story, &failed.invoice).await,
            ["update_payment_method pending: its connection is not configured"]
        );
        crew.advance(story, "2026-03-02T12:00:00Z").await;
        assert_eq!(server.messages().len(), 1);
    });
}
