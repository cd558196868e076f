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
                .render(message, 0, locale, sample)
                .unwrap_or_else(|error| panic!("{what}: {error}"));
            check_subject(&mail.subject, &what);
            check_text(&mail.text, &what);
            check_html(&mail, locale, &what);
            assert_eq!(mail.locale, locale.tag());
            rendered += 1;
        }
    }
    assert_eq!(rendered, 15 * 10 * 19, "messages, locales, samples");
}

fn check_subject(subject: &str, what: &str) {
    let length = subject.chars().count();
    assert!((6..50).contains(&length), "{what}: {length} characters in {subject:?}");
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
        "（）",
        "「」",
        "„”",
    ] {
        assert!(!text.contains(bad), "{what}: {bad:?} in\n{text}");
    }
    assert!(text.ends_with('\n') && !text.starts_with('\n'), "{what}:\n{text}");
}

fn check_html(mail: &Rendered, locale: &Locale, what: &str) {
    let mut html = mail.html.clone();
    // A picture that travels in the mail fetches nothing.
    for picture in &mail.pictures {
        let src = format!("src=\"cid:{}\"", picture.cid);
        assert_eq!(html.matches(&src).count(), 1, "{what}: {src}");
        assert!(
            picture.png.starts_with(b"\x89PNG") && picture.png.len() < 16 * 1024,
            "{what}"
        );
        html = html.replace(&src, "");
    }
    let html = &html;
    for bad in [
        "undefined",
        "{{",
        "{%",
        ">None<",
        ">none<",
        "&amp;amp;",
        "&lt;",
        "&amp;#",
    ] {
        assert!(!html.contains(bad), "{what}: {bad:?} in\n{html}");
    }
    assert!(html.contains(&format!("lang=\"{}\"", locale.tag())), "{what}");
    for foreign in ["<link", "src=", "url(", "@import", "<script"] {
        assert!(!html.contains(foreign), "{what}: {foreign:?} fetches something\n{html}");
    }
    let html = &html.replace("&#x2f;", "/");
    let links = html.matches("href=\"https://pay.larkspur.example").count();
    assert!(links <= 1, "{what}: one clear button, not {links}");
    for tag in ["p", "a", "div", "table", "tr", "td", "th", "h1", "html", "body"] {
        let open = html.matches(&format!("<{tag} ")).count() + html.matches(&format!("<{tag}>")).count();
        assert_eq!(
            open,
            html.matches(&format!("</{tag}>")).count(),
            "{what}: <{tag}>\n{html}"
        );
    }
}

/// A campaign may send a message several times: each has its own subject, and no other message has it.
#[test]
fn no_subject_comes_twice() {
    let templates = Templates::new().unwrap();
    for locale in Locale::all() {
        let mut subjects = HashSet::new();
        for message in Message::ALL {
            let context = full(*message);
            let of = |nth| templates.render(*message, nth, locale, &context).unwrap().subject;
            for nth in 0..message.times() {
                assert!(subjects.insert(of(nth)), "{message} {nth} in {}", locale.tag());
            }
        }
    }
}

/// The amount, the two dates and the card of the sample, by language.
const FACTS: [(&str, [&str; 4]); 10] = [
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
    (
        "fr",
        [
            "1\u{202f}234,56\u{a0}€",
            "18 septembre 2026",
            "30 septembre 2026",
            "4242",
        ],
    ),
    (
        "es",
        [
            "1234,56\u{a0}€",
            "18 de septiembre de 2026",
            "30 de septiembre de 2026",
            "4242",
        ],
    ),
    (
        "it",
        ["1234,56\u{a0}€", "18 settembre 2026", "30 settembre 2026", "4242"],
    ),
    (
        "nl",
        ["€\u{a0}1.234,56", "18 september 2026", "30 september 2026", "4242"],
    ),
    (
        "pt",
        [
            "€\u{a0}1.234,56",
            "18 de setembro de 2026",
            "30 de setembro de 2026",
            "4242",
        ],
    ),
    ("pl", ["1234,56\u{a0}€", "18 września 2026", "30 września 2026", "4242"]),
    (
        "sv",
        ["1\u{a0}234,56\u{a0}€", "18 september 2026", "30 september 2026", "4242"],
    ),
    ("ja", ["€1,234.56", "2026年9月18日", "2026年9月30日", "4242"]),
];

#[test]
fn each_fact_that_is_known_is_told() {
    assert_eq!(FACTS.len(), Locale::all().len());
    for (tag, expected) in FACTS {
        let locale = Locale::pick(Some(tag), None);
        let mail = render(Message::Reminder, locale, &full(Message::Reminder));
        let always = [
            "Marlene Okafor",
            "Larkspur",
            "Larkspur Studio",
            "help@larkspur.example",
            "Larkspur GmbH, Sonnenallee 1, 12045 Berlin",
        ];
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
        assert!(mail.text.contains("https://billing.larkspur.example/p/stop\n"));
    }
}

#[test]
fn a_message_has_the_links_that_it_must_have_and_no_others() {
    for (message, locale) in all() {
        let mail = render(message, locale, &full(message));
        let what = format!("{message} in {}", locale.tag());
        for body in [mail.text, mail.html.replace("&#x2f;", "/")] {
            assert_eq!(body.contains("/p/stop"), message.is_reminder(), "{what}");
            assert_eq!(body.contains("/p/unsubscribe"), message.is_promotional(), "{what}");
        }
    }
}

#[test]
fn only_messages_that_ask_for_money_say_what_to_do_when_paid() {
    for (message, locale) in all().filter(|(_, locale)| ["en", "de"].contains(&locale.tag())) {
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
        "volée",
        "perdue",
        "robad",
        "robo ",
        "perdid",
        "frode",
        "rubat",
        "smarrit",
        "diefstal",
        "gestolen",
        "verloren",
        "roubad",
        "furt",
        "oszust",
        "kradzie",
        "skradz",
        "bedräg",
        "stulen",
        "stöld",
        "förlor",
        "不正",
        "盗難",
        "紛失",
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
            let all = format!("{} {}", mail.subject, mail.text).to_lowercase();
            for word in words {
                assert!(!all.contains(word), "{word:?} in {message}, {}: {all}", locale.tag());
            }
        }
    }
}

#[test]
fn every_reason_is_a_sentence() {
    for locale in Locale::all() {
        for wording in Wording::ALL {
            let reason = locale.reason(*wording);
            let begins = locale.tag() == "ja" || reason.starts_with(char::is_uppercase);
            assert!(begins && reason.ends_with(['.', '。']), "{}: {reason}", locale.tag());
        }
    }
}

#[test]
fn the_readme_names_every_variable_and_message() {
    let root = env!("CARGO_MANIFEST_DIR");
    let readme = std::fs::read_to_string(format!("{root}/email-templates/README.md")).unwrap();
    let names = [
        "locale",
        "message",
        "company",
        "customer_name",
        "support",
        "support_url",
        "amount",
        "plan",
        "reason",
        "card.brand",
        "card.last4",
        "card.expires",
        "next_retry_on",
        "ends_on",
        "paid_on",
        "due_on",
        "days_left",
        "action_url",
        "attempts",
        "attempts_made",
        "customer_id",
        "invoice_id",
        "warning",
        "tried_alternate",
        "week_from",
        "week_until",
        "month_from",
        "month_until",
        "before_from",
        "before_until",
        "quiet",
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
        .render(Message::Reminder, 0, Locale::pick(None, None), &unsigned)
        .err()
        .unwrap();
    assert_eq!(error.to_string(), "the company name is empty");
}

fn full(message: Message) -> MailContext {
    MailContext::samples(message).remove(0)
}
