//! Every message, every language, every sample.

use std::collections::HashSet;

use recoup::domain::decline::DeclineKind;
use recoup::domain::message::Message;
use recoup::domain::taxonomy::Wording;
use recoup::mailer::{Locale, MailContext, Rendered, Templates};

use super::{all, render};

#[test]
fn every_message_renders_from_every_sample_in_every_locale() {
    let templates = Templates::new().unwrap();
    let mut rendered = 0;
    for (message, locale) in all() {
        for (index, sample) in MailContext::samples(message).iter().enumerate() {
            let what = format!("{message} in {} from sample {index}", locale.tag());
            let mail = templates
                .render(message, locale, sample)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            check_subject(&mail.subject, &what);
            check_text(&mail.text, &what);
            check_html(&mail.html, locale, &what);
            assert_eq!(mail.locale, locale.tag());
            rendered += 1;
        }
    }
    assert_eq!(rendered, 7 * 2 * 14, "messages, locales, samples");
}

fn check_subject(subject: &str, what: &str) {
    let length = subject.chars().count();
    assert!((10..50).contains(&length), "{what}: {length} characters in {subject:?}");
    assert!(!subject.contains(['\n', '<', '{']), "{what}: {subject}");
}

fn check_text(text: &str, what: &str) {
    for bad in [
        "undefined",
        "{{",
        "{%",
        "none",
        "None",
        "\n\n\n",
        "  ",
        " \n",
        " ,",
        " .",
        "..",
        "&#",
        "()",
    ] {
        assert!(!text.contains(bad), "{what}: {bad:?} in\n{text}");
    }
    let greeting = text.split("\n\n").next().unwrap();
    assert!(
        greeting.ends_with(',') && greeting.lines().count() == 1,
        "{what}: greeting {greeting:?}"
    );
    assert!(
        text.ends_with("Larkspur team\n") || text.ends_with("Team von Larkspur\n"),
        "{what}:\n{text}"
    );
}

fn check_html(html: &str, locale: &Locale, what: &str) {
    for bad in ["undefined", "{{", "{%", ">None<", ">none<", "&amp;amp;", "&lt;"] {
        assert!(!html.contains(bad), "{what}: {bad:?} in\n{html}");
    }
    assert!(html.contains(&format!("<html lang=\"{}\"", locale.tag())), "{what}");
    assert!(
        html.matches("class=\"button\"").count() <= 1,
        "{what}: one clear button"
    );
    for tag in ["p", "a", "div", "table", "tr", "td", "th", "h1", "html", "body"] {
        let open = html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        assert_eq!(open, html.matches(&format!("</{tag}>")).count(), "{what}: <{tag}>");
    }
}

#[test]
fn no_two_messages_share_a_subject() {
    for locale in Locale::all() {
        let subjects: HashSet<String> = Message::ALL
            .iter()
            .map(|message| render(*message, locale, &full(*message)).subject)
            .collect();
        assert_eq!(subjects.len(), Message::ALL.len(), "{subjects:?}");
    }
}

#[test]
fn a_repeated_message_has_another_subject() {
    for (message, locale) in all().filter(|(m, _)| matches!(m, Message::PaymentFailed | Message::Reminder)) {
        let mut again = full(message);
        again.attempts = 3;
        assert_ne!(
            render(message, locale, &full(message)).subject,
            render(message, locale, &again).subject
        );
    }
}

#[test]
fn each_fact_that_is_known_is_told() {
    let facts = [
        (
            "en",
            [
                "€1,234.56",
                "September 18, 2026",
                "September 30, 2026",
                "Visa ending in 4242",
            ],
        ),
        (
            "de",
            [
                "1.234,56\u{a0}€",
                "18. September 2026",
                "30. September 2026",
                "Visa mit den Endziffern 4242",
            ],
        ),
    ];
    for (tag, expected) in facts {
        let mail = render(
            Message::Reminder,
            Locale::pick(Some(tag), None),
            &full(Message::Reminder),
        );
        let always = ["Marlene Okafor", "Larkspur", "Larkspur Studio", "help@larkspur.example"];
        for fact in expected.into_iter().chain(always) {
            assert!(
                mail.text.contains(fact) && mail.html.contains(fact),
                "{tag}: {fact} in\n{}",
                mail.text
            );
        }
        assert!(
            mail.text
                .contains("https://pay.larkspur.example/i/acct_1/in_1?s=mail&v=2\n")
        );
    }
}

#[test]
fn only_messages_that_ask_for_money_say_what_to_do_when_paid() {
    for (message, locale) in all() {
        let mail = render(message, locale, &full(message));
        let says_so = mail.text.contains("Already paid?") || mail.text.contains("Schon bezahlt?");
        assert_eq!(says_so, message.is_dunning(), "{message} in {}", locale.tag());
    }
}

#[test]
fn a_decline_for_fraud_loss_or_theft_reads_like_any_other() {
    let words = [
        "fraud",
        "lost",
        "stole",
        "theft",
        "suspect",
        "betrug",
        "betrüg",
        "verloren",
        "verlust",
        "gestohlen",
        "diebstahl",
        "verdacht",
        "verdächt",
        "missbrauch",
        "gesperrt",
        "blocked",
    ];
    for (message, locale) in all() {
        let of_kind = |kind: DeclineKind| -> Rendered {
            let mut context = full(message);
            context.wording = Some(Wording::of(kind));
            render(message, locale, &context)
        };
        let ordinary = of_kind(DeclineKind::DoNotHonor);
        for kind in [DeclineKind::Fraud, DeclineKind::LostStolen] {
            let mail = of_kind(kind);
            assert!(
                mail == ordinary,
                "{kind} tells itself apart in {message}, {}",
                locale.tag()
            );
            let all = format!("{} {} {}", mail.subject, mail.text, mail.html).to_lowercase();
            for word in words {
                assert!(!all.contains(word), "{word:?} in {message}, {}: {all}", locale.tag());
            }
        }
    }
}

#[test]
fn every_reason_is_a_sentence() {
    for (wording, locale) in Wording::ALL
        .iter()
        .flat_map(|wording| Locale::all().map(|locale| (*wording, locale)))
    {
        let reason = locale.reason(wording);
        assert!(
            reason.ends_with('.') && reason.starts_with(char::is_uppercase),
            "{reason}"
        );
    }
}

#[test]
fn the_readme_names_every_variable() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/email-templates/README.md")).unwrap();
    let names = [
        "locale",
        "message",
        "dunning",
        "company",
        "customer_name",
        "support",
        "support_url",
        "amount",
        "plan",
        "reason",
        "card.brand",
        "card.last4",
        "next_retry_on",
        "ends_on",
        "paid_on",
        "action_url",
        "attempts",
    ];
    for name in names {
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "{name} is missing in the README"
        );
    }
    for message in Message::ALL {
        assert!(
            readme.contains(&format!("`{message}`")),
            "{message} is missing in the README"
        );
    }
}

#[test]
fn a_message_without_a_name_to_sign_with_is_not_written() {
    let templates = Templates::new().unwrap();
    let mut unsigned = full(Message::Reminder);
    " \u{202e}\n".clone_into(&mut unsigned.company_name);
    let error = templates
        .render(Message::Reminder, Locale::all()[0], &unsigned)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "the company name is empty");
}

fn full(message: Message) -> MailContext {
    MailContext::samples(message).remove(0)
}
