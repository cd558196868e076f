//! Templates, embedded at build time, and their rendering: strict, bounded, escaped by file name.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use jiff::civil::Date;
use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};
use mrml::prelude::render::RenderOptions;
use serde::Serialize;

use super::Picture;
use super::catalogue::Texts;
use super::context::{MailContext, View};
use super::digest::{self, Section, Writer};
use super::escape::write_escaped;
use super::locale::Locale;
use super::text::one_line;
use crate::domain::message::Message;
use crate::domain::report::digest::Digest;

/// The steps one template may take; ours take a few hundred.
const FUEL: u64 = 20_000;
/// The most bytes of one rendered body; ours stay below 16 KiB.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The most characters of a subject with a hostile company name.
const SUBJECT_CHARS_MAX: usize = 200;

/// All templates.
#[derive(Clone)]
pub struct Templates {
    layouts: Environment<'static>,
    /// The words of each language, in the order of `Locale::all`.
    words: Vec<OnceLock<Environment<'static>>>,
}

/// One message in one language, ready to be sent.
#[derive(Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, one line.
    pub subject: String,
    /// The body as plain text.
    pub text: String,
    /// The body as HTML.
    pub html: String,
    /// The pictures that the HTML shows.
    pub pictures: Vec<Picture>,
    /// The language tag it was written in.
    pub locale: &'static str,
}

/// A message could not be rendered; it must not be sent in parts.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// A template is faulty or names a variable that does not exist.
    #[error("template {name}: {source}")]
    Template {
        /// The template's path below `email-templates/`.
        name: String,
        /// What the template engine says.
        source: Box<minijinja::Error>,
    },
    /// A rendered body is longer than any message of ours.
    #[error("template {name} rendered more than {OUTPUT_BYTES_MAX} bytes")]
    TooLong {
        /// The template's path below `email-templates/`.
        name: String,
    },
    /// The layout is no MJML.
    #[error("email-templates/layout.mjml: {0}")]
    Layout(String),
    /// A language has no words for a message.
    #[error("there are no words for {0}")]
    NoWords(Message),
    /// There is no company name to sign with.
    #[error("the company name is empty")]
    NoCompanyName,
}

/// The page around every HTML body, in MJML: it becomes HTML with styles inlined once, when the templates are read.
const LAYOUT_MJML: &str = include_str!("../../email-templates/layout.mjml");
const LAYOUT_HTML: &str = "layout.html";
const LAYOUT_TXT: (&str, &str) = ("layout.txt", include_str!("../../email-templates/layout.txt"));
/// The forms of a body: the ending of a template's name decides what is escaped in it.
const FORMS: [&str; 2] = ["html", "txt"];
/// The template of what stands in every message.
const COMMON: &str = "common";
/// The template of the page behind the links in messages.
const PAGE: &str = "page";
/// The template of what the weekly digest calls its figures.
const DIGEST: &str = "digest";

/// What parts the texts of one template from each other. It cannot come from a fact, since no control character of one does.
const MARK: char = '\u{1e}';

impl Templates {
    /// Parses the layouts; fails where one is faulty. The words of a language are parsed when they are first asked for: a
    /// service writes in few of them.
    pub fn new() -> Result<Self, RenderError> {
        let mut layouts = environment()?;
        for (name, source) in [(LAYOUT_HTML, layout_page()?), (LAYOUT_TXT.0, LAYOUT_TXT.1.to_owned())] {
            add(&mut layouts, name, source)?;
        }
        let words = Locale::tags().map(|_| OnceLock::new()).collect();
        Ok(Self { layouts, words })
    }

    /// Parses the words of every language; fails on the first that is faulty.
    pub fn check(&self) -> Result<(), RenderError> {
        Locale::all().try_for_each(|locale| self.words_of(locale).map(drop))
    }

    /// Writes `message` in `locale` from `context`, as the `nth` of its kind in its case, counted from 0.
    pub fn render(
        &self,
        message: Message,
        nth: usize,
        locale: &Locale,
        context: &MailContext,
    ) -> Result<Rendered, RenderError> {
        let view = context.view(message, locale).ok_or(RenderError::NoCompanyName)?;
        let texts = locale
            .words
            .message
            .get(&message)
            .ok_or(RenderError::NoWords(message))?;
        let digest = context.digest.as_ref().filter(|_| message == Message::StaffDigest);
        let pictures = digest.map(digest::pictures).unwrap_or_default();
        let form = |form: &'static str| Page::new(self, locale, message, texts, &view, form);
        let (plain, html) = (form("txt")?, form("html")?);
        let subject = plain.part("subject", nth.min(texts.subjects.len() - 1));
        Ok(Rendered {
            subject: one_line(&subject, SUBJECT_CHARS_MAX).unwrap_or_default(),
            text: joined_paragraphs(&plain.body(LAYOUT_TXT.0, plain.sections(digest, &pictures)?)?),
            html: html.body(LAYOUT_HTML, html.sections(digest, &pictures)?)?,
            pictures,
            locale: locale.tag(),
        })
    }

    /// The texts of our page for a customer, as HTML, by their keys.
    pub fn page<'a>(
        &self,
        locale: &'a Locale,
        context: &MailContext,
        days: &PageDays,
    ) -> Result<BTreeMap<&'a str, String>, RenderError> {
        let view = context
            .view(Message::Reminder, locale)
            .ok_or(RenderError::NoCompanyName)?;
        let day = |day: Option<Date>| day.map(|day| locale.day(day));
        let facts = PageFacts {
            promise_from: day(days.promise_from),
            promise_until: day(days.promise_until),
            promised_on: day(days.promised_on),
            view: &view,
        };
        let name = format!("{PAGE}.html");
        let text = rendered(self.words_of(locale)?, &name, &Value::from(Serde(&facts)))?;
        let texts = text.split(MARK).map(|part| part.trim().to_owned());
        Ok(locale.words.page.keys().map(String::as_str).zip(texts).collect())
    }

    fn words_of(&self, locale: &Locale) -> Result<&Environment<'static>, RenderError> {
        let place = &self.words[locale.place()];
        if let Some(known) = place.get() {
            return Ok(known);
        }
        let mut words = environment()?;
        for (path, sources) in texts(locale) {
            let source = sources.join(&MARK.to_string());
            for form in FORMS {
                add(&mut words, &format!("{path}.{form}"), source.clone())?;
            }
        }
        Ok(place.get_or_init(|| words))
    }
}

fn rendered(environment: &Environment<'static>, name: &str, view: &Value) -> Result<String, RenderError> {
    let rendered = environment
        .get_template(name)
        .and_then(|template| template.render(view))
        .map_err(|error| fault(name, error))?;
    if rendered.len() > OUTPUT_BYTES_MAX {
        return Err(RenderError::TooLong { name: name.to_owned() });
    }
    Ok(rendered)
}

/// The days that our page for customers names.
#[derive(Clone, Copy, Debug, Default)]
pub struct PageDays {
    /// The first day that the customer may promise to pay on.
    pub promise_from: Option<Date>,
    /// The last one.
    pub promise_until: Option<Date>,
    /// The day that was promised.
    pub promised_on: Option<Date>,
}

#[derive(Serialize)]
struct PageFacts<'a> {
    promise_from: Option<String>,
    promise_until: Option<String>,
    promised_on: Option<String>,
    #[serde(flatten)]
    view: &'a View,
}

/// One message in one form while it is written.
struct Page<'a> {
    templates: &'a Templates,
    locale: &'a Locale,
    message: Message,
    texts: &'a Texts,
    view: &'a View,
    form: &'static str,
    /// The texts of the message, in the order of `Texts::all`.
    written: Vec<String>,
    /// What stands in every message.
    common: BTreeMap<&'a str, String>,
}

/// What the layouts show. In the HTML form every text is escaped already.
#[derive(Serialize)]
struct Body<'a> {
    title: Value,
    preheader: Value,
    greeting: Value,
    paragraphs: Vec<Value>,
    facts: Vec<Fact>,
    sections: Vec<Section>,
    after: Vec<Value>,
    button: Value,
    closing: Vec<Value>,
    help: Value,
    thanks: Value,
    team: Value,
    links: Vec<Link<'a>>,
    #[serde(flatten)]
    view: &'a View,
}

/// A row of the little table.
#[derive(Serialize)]
struct Fact {
    label: Value,
    value: Value,
}

/// A link below the message.
#[derive(Serialize)]
struct Link<'a> {
    label: Value,
    url: &'a str,
}

impl<'a> Page<'a> {
    fn new(
        templates: &'a Templates,
        locale: &'a Locale,
        message: Message,
        texts: &'a Texts,
        view: &'a View,
        form: &'static str,
    ) -> Result<Self, RenderError> {
        let words = templates.words_of(locale)?;
        let value = Value::from(Serde(view));
        let parts = |path: &str| -> Result<Vec<String>, RenderError> {
            let text = rendered(words, &format!("{path}.{form}"), &value)?;
            Ok(text.split(MARK).map(|part| part.trim().to_owned()).collect())
        };
        let keys = locale.words.common.keys().map(String::as_str);
        Ok(Self {
            templates,
            locale,
            message,
            texts,
            view,
            form,
            written: parts(message.as_str())?,
            common: keys.zip(parts(COMMON)?).collect(),
        })
    }

    fn body(&self, layout: &str, sections: Vec<Section>) -> Result<String, RenderError> {
        let links = [
            ("stop_reminders", &self.view.stop_url),
            ("unsubscribe", &self.view.unsubscribe_url),
        ];
        let links = links.into_iter().filter_map(|(key, url)| {
            let label = self.common(key);
            Some(Link {
                label,
                url: url.as_deref()?,
            })
        });
        let is_letter = !self.message.is_for_staff();
        let letter = |key: &str| if is_letter { self.common(key) } else { Value::from("") };
        let crossed = self.message.is_dunning().then(|| self.common("crossed"));
        let body = Body {
            title: self.ready(self.part("title", 0)),
            preheader: self.ready(self.part("preheader", 0)),
            greeting: letter("greeting"),
            paragraphs: self.parts("paragraph", self.texts.paragraphs.len()),
            facts: self.facts(),
            sections,
            after: self.parts("after", self.texts.after.len()),
            button: self.ready(self.part("button", 0)),
            closing: crossed.into_iter().collect(),
            help: self.common("help"),
            thanks: letter("thanks"),
            team: self.common("team"),
            links: links.collect(),
            view: self.view,
        };
        rendered(&self.templates.layouts, layout, &Value::from(Serde(&body)))
    }

    /// The sections of a digest; other messages have none.
    fn sections(&self, digest: Option<&Digest>, pictures: &[Picture]) -> Result<Vec<Section>, RenderError> {
        let Some(digest) = digest else {
            return Ok(Vec::new());
        };
        let name = format!("{DIGEST}.{}", self.form);
        let text = rendered(
            self.templates.words_of(self.locale)?,
            &name,
            &Value::from(Serde(self.view)),
        )?;
        let keys = self.locale.words.digest.keys().map(String::as_str);
        let words = keys.zip(text.split(MARK).map(|part| part.trim().to_owned())).collect();
        let writer = Writer {
            digest,
            locale: self.locale,
            words,
            ready: if self.form == "html" {
                Value::from_safe_string
            } else {
                |text| Value::from(text)
            },
            pictures,
        };
        Ok(writer.sections())
    }

    /// The little table: what is known, in the order in which people ask.
    fn facts(&self) -> Vec<Fact> {
        let view = self.view;
        if self.message == Message::StaffDigest {
            return Vec::new();
        }
        let ends = match self.message {
            Message::SubscriptionEnded => "ended",
            Message::SubscriptionPaused => "paused",
            _ => "ends",
        };
        // Who is invited to come back owes nothing.
        let amount = Some(view.amount.clone()).filter(|_| !self.message.is_promotional());
        let card = view.card.as_ref().filter(|_| !self.message.is_promotional());
        let expires = card.and_then(|card| card.expires.clone());
        let card = card.map(|_| self.common("card_ending"));
        // Who only hears that the charge is made again need not think of the end.
        let ends_on = view.ends_on.clone().filter(|_| self.message != Message::PaymentFailed);
        let known = [
            ("amount", amount.map(Value::from)),
            ("plan", view.plan.clone().map(Value::from)),
            ("card", card),
            ("expires", expires.map(Value::from)),
            ("next_attempt", view.next_retry_on.clone().map(Value::from)),
            (ends, ends_on.map(Value::from)),
            ("paid", view.paid_on.clone().map(Value::from)),
        ];
        let row = |(key, value): (&str, Option<Value>)| {
            let label = self.common(key);
            value.map(|value| Fact { label, value })
        };
        known.into_iter().filter_map(row).collect()
    }

    /// The texts of one kind; one that comes out empty falls away.
    fn parts(&self, kind: &str, count: usize) -> Vec<Value> {
        let all = (0..count).map(|nth| self.part(kind, nth));
        all.filter(|text| !text.is_empty())
            .map(|text| self.ready(text))
            .collect()
    }

    fn part(&self, kind: &str, nth: usize) -> String {
        let mut before = 0;
        for (name, texts) in self.texts.all() {
            if name == kind {
                return self.written.get(before + nth).cloned().unwrap_or_default();
            }
            before += texts.len();
        }
        String::new()
    }

    fn common(&self, key: &str) -> Value {
        self.ready(self.common.get(key).cloned().unwrap_or_default())
    }

    /// A rendered text as a value: in HTML it is escaped already.
    fn ready(&self, text: String) -> Value {
        if self.form == "html" {
            Value::from_safe_string(text)
        } else {
            Value::from(text)
        }
    }
}

/// Every template of a language: its path, and the texts that it is made of.
fn texts(locale: &Locale) -> Vec<(&'static str, Vec<String>)> {
    let words = &locale.words;
    let common = [(COMMON, &words.common), (PAGE, &words.page), (DIGEST, &words.digest)];
    let common = common.map(|(path, texts)| (path, texts.values().cloned().collect()));
    let message = |(message, texts): (&Message, &Texts)| {
        let all = texts.all().into_iter().flat_map(|(_, texts)| texts.to_vec());
        (message.as_str(), all.collect())
    };
    common.into_iter().chain(words.message.iter().map(message)).collect()
}

/// The layout as HTML whose places for variables are still open.
fn layout_page() -> Result<String, RenderError> {
    let refused = |error: String| RenderError::Layout(error);
    let parsed = mrml::parse(LAYOUT_MJML).map_err(|error| refused(error.to_string()))?;
    // Fonts would be fetched from elsewhere, and tell there who reads which mail.
    let options = RenderOptions {
        fonts: HashMap::default(),
        ..RenderOptions::default()
    };
    parsed
        .element
        .render(&options)
        .map_err(|error| refused(error.to_string()))
}

fn add(environment: &mut Environment<'static>, name: &str, source: String) -> Result<(), RenderError> {
    environment
        .add_template_owned(name.to_owned(), source)
        .map_err(|error| fault(name, error))
}

/// An environment without templates, with every limit set.
fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_formatter(write_escaped);
    environment.set_fuel(Some(FUEL));
    // The debug form of an error quotes the variables, which are personal data.
    environment.set_debug(false);
    // A block tag on a line of its own leaves no line behind.
    let syntax = SyntaxConfig::builder().trim_blocks(true).lstrip_blocks(true).build();
    environment.set_syntax(syntax.map_err(|error| fault("syntax", error))?);
    Ok(environment)
}

fn fault(name: &str, error: minijinja::Error) -> RenderError {
    RenderError::Template {
        name: name.to_owned(),
        source: Box::new(error),
    }
}

/// Paragraphs set apart by exactly one empty line: a part that falls away leaves its empty lines behind.
fn joined_paragraphs(text: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim_end) {
        if !line.is_empty() || lines.last().is_some_and(|last| !last.is_empty()) {
            lines.push(line);
        }
    }
    lines.join("\n").trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests;
