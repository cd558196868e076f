//! What a message is about: typed facts, and the words made of them for one language.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use url::Url;

use super::locale::Locale;
use super::text::{TEXT_CHARS_MAX, one_line};
use crate::domain::brand::{COLOR, Look, is_color, text_on};
use crate::domain::case::Warning;
use crate::domain::message::Message;
use crate::domain::money::Money;
use crate::domain::report::digest::{Days, Digest};
use crate::domain::taxonomy::Wording;

/// The longest link that is shown, in bytes.
const URL_BYTES_MAX: usize = 2_048;

/// The facts of one message. Texts are taken as they came from outside: rendering cleans and escapes them.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailContext {
    /// The customer's name; without it the greeting is a general one.
    pub customer_name: Option<String>,
    /// The name the customer knows the seller by.
    pub company_name: String,
    /// Where the customer finds help: an email address, a web address or a telephone number.
    pub support_contact: Option<String>,
    /// How the message looks, and whose postal address stands below it.
    pub look: Look,
    /// What is due, or was received.
    pub amount: Money,
    /// The plan or another short description of what is paid for.
    pub plan: Option<String>,
    /// Why the last charge was declined.
    pub wording: Option<Wording>,
    /// The card that was charged.
    pub card: Option<Card>,
    /// When the charge is tried again.
    pub next_retry_at: Option<Timestamp>,
    /// When the subscription ends, or ended, for want of payment.
    pub ends_at: Option<Timestamp>,
    /// When the payment arrived.
    pub paid_at: Option<Timestamp>,
    /// Where the customer pays, confirms or changes the payment method. Anything but http and https falls away.
    pub action_url: Option<String>,
    /// How many charges were tried so far.
    pub attempts: u32,
    /// When the next charge of a subscription is due, before anything failed.
    pub due_at: Option<Timestamp>,
    /// The instant of writing: days left are counted from it.
    pub written_at: Option<Timestamp>,
    /// The customer's IANA time zone for dates; UTC where it is missing or unknown.
    pub time_zone: Option<String>,
    /// Where the customer stops reminders about this invoice.
    pub stop_url: Option<String>,
    /// Where the customer unsubscribes from promotional messages.
    pub unsubscribe_url: Option<String>,
    /// What only staff see.
    pub staff: Option<StaffFacts>,
    /// What the weekly digest tells.
    pub digest: Option<Digest>,
}

/// What a message to staff tells of a case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaffFacts {
    /// The provider's name for the customer.
    pub customer_id: String,
    /// The provider's name for the invoice.
    pub invoice_id: String,
    /// Why the case needs a person.
    pub warning: Option<Warning>,
    /// Whether a message that came back goes to another address now.
    pub tried_alternate: bool,
}

/// A card as the customer knows it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Card {
    /// The brand, such as `visa`.
    pub brand: String,
    /// The last four digits.
    pub last4: String,
    /// The month it expires at the end of, `MM/YYYY`, where the message is about that.
    pub expires: Option<String>,
}

/// The variables of the templates; `email-templates/README.md` describes each.
#[derive(Serialize)]
pub(super) struct View {
    locale: &'static str,
    message: &'static str,
    company: String,
    customer_name: Option<String>,
    support: Option<String>,
    support_url: Option<String>,
    logo_url: Option<String>,
    color: String,
    text_color: &'static str,
    address: Option<String>,
    pub amount: String,
    pub plan: Option<String>,
    reason: Option<String>,
    pub card: Option<Card>,
    pub next_retry_on: Option<String>,
    pub ends_on: Option<String>,
    pub paid_on: Option<String>,
    due_on: Option<String>,
    days_left: Option<String>,
    action_url: Option<String>,
    attempts: u32,
    attempts_made: String,
    pub stop_url: Option<String>,
    pub unsubscribe_url: Option<String>,
    customer_id: Option<String>,
    invoice_id: Option<String>,
    warning: Option<String>,
    tried_alternate: bool,
    week_from: Option<String>,
    week_until: Option<String>,
    month_from: Option<String>,
    month_until: Option<String>,
    before_from: Option<String>,
    before_until: Option<String>,
    quiet: bool,
}

impl MailContext {
    /// The variables for one message in one language; nothing where the company has no name to sign with.
    pub(super) fn view(&self, message: Message, locale: &Locale) -> Option<View> {
        let zone = self
            .time_zone
            .as_deref()
            .and_then(|name| TimeZone::get(name).ok())
            .unwrap_or(TimeZone::UTC);
        let day = |at: Option<Timestamp>| at.map(|at| locale.date(at, &zone));
        let support = self.support_contact.as_deref().and_then(clean);
        let staff = self.staff.as_ref();
        let color = self.color();
        let digest = self.digest.as_ref();
        let days = |of: fn(&Digest) -> Days| {
            let days = digest.map(of);
            let written = |end: fn(Days) -> Date| days.map(|days| locale.day(end(days)));
            (written(|days| days.first), written(|days| days.last))
        };
        let (week_from, week_until) = days(|digest| digest.week);
        let (month_from, month_until) = days(|digest| digest.month);
        let (before_from, before_until) = days(|digest| digest.month_before);
        Some(View {
            locale: locale.tag(),
            message: message.as_str(),
            company: clean(&self.company_name)?,
            customer_name: self.customer_name.as_deref().and_then(clean),
            support_url: support.as_deref().and_then(support_url),
            support,
            logo_url: self.look.logo_url.as_deref().and_then(web_url),
            color: color.to_owned(),
            text_color: text_on(color),
            address: self.look.address.as_deref().and_then(clean),
            amount: locale.money(self.amount),
            plan: self.plan.as_deref().and_then(clean),
            reason: self.wording.map(|wording| locale.reason(wording).to_owned()),
            card: self.card.as_ref().and_then(Card::shown),
            next_retry_on: day(self.next_retry_at).filter(|_| message.tells_next_attempt()),
            ends_on: day(self.ends_at).filter(|_| message.tells_end()),
            paid_on: day(self.paid_at).filter(|_| message == Message::PaymentReceived),
            due_on: day(self.due_at),
            days_left: self.days_left(&zone).map(|days| locale.days_left(days)),
            action_url: self.action_url.as_deref().and_then(web_url),
            attempts: self.attempts,
            attempts_made: locale.attempts(self.attempts),
            stop_url: self
                .stop_url
                .as_deref()
                .and_then(web_url)
                .filter(|_| message.is_reminder()),
            unsubscribe_url: self
                .unsubscribe_url
                .as_deref()
                .and_then(web_url)
                .filter(|_| message.is_promotional()),
            customer_id: staff.and_then(|staff| clean(&staff.customer_id)),
            invoice_id: staff.and_then(|staff| clean(&staff.invoice_id)),
            warning: staff
                .and_then(|staff| staff.warning)
                .map(|warning| locale.warning(warning).to_owned()),
            tried_alternate: staff.is_some_and(|staff| staff.tried_alternate),
            week_from,
            week_until,
            month_from,
            month_until,
            before_from,
            before_until,
            quiet: digest.is_some_and(Digest::is_quiet),
        })
    }

    /// The colour of buttons: the company's, where it is one.
    fn color(&self) -> &str {
        let color = self.look.color.as_deref();
        color.filter(|color| is_color(color)).unwrap_or(COLOR)
    }

    /// How many days are left until the end, where it lies ahead.
    fn days_left(&self, zone: &TimeZone) -> Option<u32> {
        let day = |at: Timestamp| at.to_zoned(zone.clone()).date();
        let days = day(self.ends_at?).since(day(self.written_at?)).ok()?.get_days();
        u32::try_from(days).ok().filter(|days| *days > 0)
    }
}

impl Card {
    /// The card with its brand as printed on it; nothing where the last digits are not digits.
    fn shown(&self) -> Option<Self> {
        let is_last4 = self.last4.len() == 4 && self.last4.bytes().all(|byte| byte.is_ascii_digit());
        let brand = match self.brand.to_ascii_lowercase().as_str() {
            "visa" => "Visa".to_owned(),
            "mastercard" => "Mastercard".to_owned(),
            "amex" | "american_express" => "American Express".to_owned(),
            "discover" => "Discover".to_owned(),
            "diners" => "Diners Club".to_owned(),
            "jcb" => "JCB".to_owned(),
            "unionpay" => "UnionPay".to_owned(),
            _ => clean(&self.brand)?,
        };
        is_last4.then(|| Self {
            brand,
            last4: self.last4.clone(),
            expires: self.expires.as_deref().and_then(clean),
        })
    }
}

fn clean(text: &str) -> Option<String> {
    one_line(text, TEXT_CHARS_MAX)
}

/// A link that is safe to click: http or https with a host, without a user name that could pose as one.
fn web_url(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let is_web = matches!(url.scheme(), "http" | "https") && url.has_host() && url.username().is_empty();
    let link = String::from(url);
    (is_web && link.len() <= URL_BYTES_MAX).then_some(link)
}

/// The link behind a support contact that is an email or a web address; a telephone number has none.
fn support_url(contact: &str) -> Option<String> {
    let is_address = contact.parse::<lettre::Address>().is_ok() && contact.is_ascii() && !contact.contains(['?', '"']);
    if is_address {
        Some(format!("mailto:{contact}"))
    } else {
        web_url(contact)
    }
}
