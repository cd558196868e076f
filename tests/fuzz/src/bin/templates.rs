//! Templates with hostile facts: they are rendered, and the facts bring neither markup nor lines.
//!
//! The same facts are rendered once more with an `x` for each text. Both must have the same tags with the same attributes,
//! and the same lines.
//!
//! The first 40 bytes are choices: message, locale, decline kind, tries, the instants that are left out, three bytes that
//! choose nothing, then the amount and three instants of eight bytes each. Parts: customer, company, support, plan, brand, last digits, link, zone, currency, locale.

#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use recoup::domain::brand::Look;
use recoup::domain::case::Warning;
use recoup::domain::message::Message;
use recoup::domain::money::Money;
use recoup::domain::taxonomy::Wording;
use recoup::mailer::context::{Card, MailContext, StaffFacts};
use recoup::mailer::render::RenderError;
use recoup::mailer::{Locale, Rendered, Templates};
use recoup_fuzz::parts::{choices, choose, number, parts, some_text, text};
use url::Url;

static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| Templates::new().unwrap());

fuzz_target!(|input: &[u8]| {
    let (chosen, texts) = choices::<40>(input);
    let [.., locale] = parts::<10>(texts);
    let message = choose(Message::ALL, chosen[0]);
    let locale = Locale::pick(
        some_text(locale).as_deref(),
        Some(choose(
            &["en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "ja"],
            chosen[1],
        )),
    );
    let hostile = context(&chosen, texts);
    match TEMPLATES.render(message, usize::from(chosen[3]), locale, &hostile) {
        Ok(mail) => harmless(&mail),
        Err(RenderError::NoCompanyName) => assert!(hostile.company_name.chars().all(|c| !c.is_alphanumeric())),
        Err(error) => panic!("{error}"),
    }
    let marked = marked(&hostile);
    let mail = TEMPLATES
        .render(message, usize::from(chosen[3]), locale, &marked)
        .unwrap();
    harmless(&mail);
    let plain = TEMPLATES
        .render(message, usize::from(chosen[3]), locale, &plain(&marked))
        .unwrap();
    assert_eq!(tags(&mail.html), tags(&plain.html), "{}", mail.html);
    assert_eq!(mail.text.lines().count(), plain.text.lines().count(), "{}", mail.text);
});

fn context(chosen: &[u8; 40], texts: &[u8]) -> MailContext {
    let [customer, company, support, plan, brand, last4, link, zone, currency, _] = parts(texts);
    let left_out = |at: usize| chosen[4] & 1 << (at / 8) != 0;
    let instant = |at: usize| {
        Timestamp::from_second(number(chosen, at))
            .ok()
            .filter(|_| !left_out(at))
    };
    MailContext {
        customer_name: some_text(customer),
        company_name: text(company),
        support_contact: some_text(support),
        look: Look {
            logo_url: some_text(link),
            color: some_text(last4),
            address: some_text(support),
        },
        amount: Money::new(
            number(chosen, 8),
            text(currency).parse().unwrap_or("EUR".parse().unwrap()),
        ),
        plan: some_text(plan),
        wording: Wording::ALL.get(usize::from(chosen[2])).copied(),
        card: some_text(brand).map(|brand| Card {
            brand,
            last4: text(last4),
            expires: some_text(last4),
        }),
        next_retry_at: instant(16),
        ends_at: instant(24),
        paid_at: instant(32),
        action_url: some_text(link),
        attempts: u32::from(chosen[3]),
        due_at: instant(16),
        written_at: instant(32),
        time_zone: some_text(zone),
        stop_url: some_text(link),
        unsubscribe_url: some_text(link),
        staff: Some(StaffFacts {
            customer_id: text(customer),
            invoice_id: text(plan),
            warning: Warning::ALL.get(usize::from(chosen[2])).copied(),
            tried_alternate: left_out(16),
        }),
        digest: MailContext::samples(Message::StaffDigest).swap_remove(0).digest,
    }
}

/// The same facts, with a letter before each text, so that none of them is empty.
fn marked(hostile: &MailContext) -> MailContext {
    let mark = |text: &String| format!("x{text}");
    MailContext {
        customer_name: hostile.customer_name.as_ref().map(mark),
        company_name: mark(&hostile.company_name),
        support_contact: hostile.support_contact.as_ref().map(mark),
        plan: hostile.plan.as_ref().map(mark),
        card: hostile.card.as_ref().map(|card| Card {
            brand: mark(&card.brand),
            last4: card.last4.clone(),
            expires: card.expires.clone(),
        }),
        look: Look {
            address: hostile.look.address.as_ref().map(mark),
            ..hostile.look.clone()
        },
        staff: hostile.staff.as_ref().map(|staff| StaffFacts {
            customer_id: mark(&staff.customer_id),
            invoice_id: mark(&staff.invoice_id),
            ..staff.clone()
        }),
        ..hostile.clone()
    }
}

/// The same facts, with nothing but that letter for each text.
fn plain(marked: &MailContext) -> MailContext {
    let x = || "x".to_owned();
    let link = || "https://pay.example/x".to_owned();
    let safe = marked.action_url.as_deref().is_some_and(is_web);
    MailContext {
        customer_name: marked.customer_name.as_ref().map(|_| x()),
        company_name: x(),
        support_contact: marked.support_contact.as_ref().map(|_| x()),
        plan: marked.plan.as_ref().map(|_| x()),
        card: marked.card.as_ref().map(|card| Card {
            brand: x(),
            last4: card.last4.clone(),
            expires: card.expires.clone(),
        }),
        action_url: safe.then(link),
        stop_url: safe.then(link),
        unsubscribe_url: safe.then(link),
        look: Look {
            logo_url: safe.then(link),
            color: marked.look.color.clone(),
            address: marked.look.address.as_ref().map(|_| x()),
        },
        staff: marked.staff.as_ref().map(|staff| StaffFacts {
            customer_id: x(),
            invoice_id: x(),
            ..staff.clone()
        }),
        ..marked.clone()
    }
}

/// Whether a text is the address of a page that may be linked.
fn is_web(text: &str) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let plain = ["http", "https"].contains(&url.scheme()) && url.host_str().is_some() && url.username().is_empty();
    plain && url.as_str().len() <= 2048
}

fn harmless(mail: &Rendered) {
    assert!(
        !mail.subject.contains(char::is_control) && !mail.subject.is_empty(),
        "{:?}",
        mail.subject
    );
    assert!(mail.subject.chars().count() <= 200, "{:?}", mail.subject);
    assert!(
        !mail.text.contains(|c: char| c.is_control() && c != '\n'),
        "{:?}",
        mail.text
    );
    assert!(
        !mail.html.contains(|c: char| c.is_control() && c != '\n'),
        "{:?}",
        mail.html
    );
    assert!(mail.text.len() < 64 * 1024 && mail.html.len() < 64 * 1024);
    assert!(!mail.html.to_lowercase().contains("<script"), "{}", mail.html);
    for (_, rest) in mail
        .html
        .match_indices("href=")
        .map(|(at, found)| (at, &mail.html[at + found.len()..]))
    {
        let link = rest
            .strip_prefix('"')
            .and_then(|rest| rest.split_once('"'))
            .expect("a link in quotes")
            .0;
        // The engine writes a slash as a reference too.
        let link = link.replace("&#x2f;", "/");
        let known = ["https://", "http://", "mailto:"]
            .iter()
            .any(|scheme| link.starts_with(scheme));
        assert!(known && !link.contains(['<', '>', ' ']), "{link}");
    }
}

/// The tags of a page with their attributes, without what these say. The link around the support's address is left out:
/// it is there where the text is an address.
fn tags(html: &str) -> Vec<String> {
    let mut tags = Vec::new();
    let mut rest = html;
    while let Some(begin) = rest.find('<') {
        let mut quoted = false;
        let end = rest[begin..].find(|c| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let end = begin + end.expect("a tag that ends");
        let outside = rest[begin..end].split('"').step_by(2);
        let tag = outside.collect::<Vec<_>>().join("\"");
        if tag != "</a" && !rest[begin..end].starts_with("<a class=\"link\"") {
            tags.push(tag);
        }
        rest = &rest[end..];
    }
    tags
}
