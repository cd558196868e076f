//! Mails: every message in every language, what hostile facts cannot do, and how each send ends.

mod dkim;
mod hostile;
mod matrix;
mod oracle;
mod pictures;
mod reports;
mod settings;
mod smtp;
mod templates;
mod tls;

use std::sync::LazyLock;

use recoup::domain::ids::NotificationId;
use recoup::domain::message::Message;
use recoup::mailer::{Email, Locale, MailContext, Rendered, Templates};

/// Every message with every locale.
fn all() -> impl Iterator<Item = (Message, &'static Locale)> {
    Message::ALL
        .iter()
        .flat_map(|message| Locale::all().map(|locale| (*message, locale)))
}

fn render(message: Message, locale: &Locale, context: &MailContext) -> Rendered {
    static TEMPLATES: LazyLock<Templates> = LazyLock::new(|| Templates::new().unwrap());
    let rendered = TEMPLATES.render(message, 0, locale, context);
    rendered.unwrap_or_else(|error| panic!("{message} in {}: {error}", locale.tag()))
}

fn now() -> jiff::Timestamp {
    "2026-03-01T09:00:00Z".parse().unwrap()
}

/// A plain mail to `to`.
fn email(to: &str) -> Email {
    Email {
        id: NotificationId::new(now().as_millisecond(), 7),
        to: to.to_owned(),
        to_name: Some("Jürgen Groß".to_owned()),
        subject: "Ihre Zahlung über 19,99 €".to_owned(),
        text: "Guten Tag,\n.\nPünktchen am Zeilenanfang bleiben.\n".to_owned(),
        html: "<p>Guten Tag,</p>".to_owned(),
        pictures: Vec::new(),
        unsubscribe_url: None,
    }
}
