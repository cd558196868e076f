//! Templates, embedded at build time, and their rendering: strict, bounded, escaped by file name.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::Serde;
use minijinja::{Environment, UndefinedBehavior, Value};

use super::context::{MailContext, View};
use super::locale::Locale;
use super::text::one_line;
use crate::domain::message::Message;

/// The steps one template may take; ours take a few hundred.
const FUEL: u64 = 20_000;
/// The most bytes of one rendered body; ours stay below 16 KiB.
const OUTPUT_BYTES_MAX: usize = 64 * 1024;
/// The most characters of a subject with a hostile company name.
const SUBJECT_CHARS_MAX: usize = 200;

/// All templates, parsed.
#[derive(Clone)]
pub struct Templates {
    environment: Environment<'static>,
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
    /// There is no company name to sign with.
    #[error("the company name is empty")]
    NoCompanyName,
}

macro_rules! files {
    ($($path:literal),+ $(,)?) => {
        [$(($path, include_str!(concat!("../../email-templates/", $path)))),+]
    };
}

macro_rules! trios {
    ($locale:literal: $($message:literal),+) => {
        [$(
            (concat!($locale, "/", $message, ".subject.txt"), include_str!(concat!("../../email-templates/", $locale, "/", $message, ".subject.txt"))),
            (concat!($locale, "/", $message, ".body.txt"), include_str!(concat!("../../email-templates/", $locale, "/", $message, ".body.txt"))),
            (concat!($locale, "/", $message, ".body.html"), include_str!(concat!("../../email-templates/", $locale, "/", $message, ".body.html"))),
        )+]
    };
}

macro_rules! locale {
    ($locale:literal) => {
        trios!($locale: "payment_failed", "update_payment_method", "confirm_payment", "reminder", "final_notice",
            "subscription_ended", "payment_received")
    };
}

type Source = (&'static str, &'static str);

const SHARED: [Source; 13] = files![
    "layout.html",
    "en/greeting.txt",
    "en/greeting.html",
    "en/facts.txt",
    "en/facts.html",
    "en/closing.txt",
    "en/closing.html",
    "de/greeting.txt",
    "de/greeting.html",
    "de/facts.txt",
    "de/facts.html",
    "de/closing.txt",
    "de/closing.html",
];
const MESSAGES: [[Source; 21]; 2] = [locale!("en"), locale!("de")];

impl Templates {
    /// Parses every embedded template; fails on the first that is faulty.
    pub fn new() -> Result<Self, RenderError> {
        let mut environment = environment()?;
        for (name, source) in SHARED.iter().chain(MESSAGES.as_flattened()) {
            environment
                .add_template(name, source)
                .map_err(|error| fault(name, error))?;
        }
        Ok(Self { environment })
    }

    /// Writes `message` in `locale` from `context`.
    pub fn render(&self, message: Message, locale: &Locale, context: &MailContext) -> Result<Rendered, RenderError> {
        let view = context.view(message, locale).ok_or(RenderError::NoCompanyName)?;
        let part = |kind: &str| self.part(&format!("{}/{message}.{kind}", locale.tag()), &view);
        let subject = part("subject.txt")?;
        Ok(Rendered {
            subject: one_line(&subject, SUBJECT_CHARS_MAX).unwrap_or_default(),
            text: joined_paragraphs(&part("body.txt")?),
            html: part("body.html")?,
            locale: locale.tag(),
        })
    }

    fn part(&self, name: &str, view: &View) -> Result<String, RenderError> {
        let rendered = self
            .environment
            .get_template(name)
            .and_then(|template| template.render(Value::from(Serde(view))))
            .map_err(|error| fault(name, error))?;
        if rendered.len() > OUTPUT_BYTES_MAX {
            return Err(RenderError::TooLong { name: name.to_owned() });
        }
        Ok(rendered)
    }
}

/// An environment without templates, with every limit set.
fn environment() -> Result<Environment<'static>, RenderError> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
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
mod tests {
    use super::*;

    fn outcome(name: &'static str, source: &'static str) -> Result<String, String> {
        let mut environment = environment().unwrap();
        environment.add_template(name, source).unwrap();
        let templates = Templates { environment };
        let mut context = MailContext::samples(Message::Reminder).remove(0);
        "<Larkspur>".clone_into(&mut context.company_name);
        let view = context.view(Message::Reminder, Locale::all()[0]).unwrap();
        templates
            .part(name, &view)
            .map_err(|error| format!("{error} {error:?}"))
    }

    #[test]
    fn a_missing_variable_is_an_error_that_tells_no_facts() {
        let error = outcome("x.txt", "Dear {{ first_name }},").unwrap_err();
        assert!(error.contains("x.txt") && !error.contains("Marlene"), "{error}");
        assert!(outcome("x.txt", "{% if first_name %}Dear{% endif %}").is_err());
    }

    #[test]
    fn a_template_that_runs_away_is_stopped() {
        let endless = "{% for a in range(9999) %}{% for b in range(9999) %}x{% endfor %}{% endfor %}";
        assert!(outcome("x.txt", endless).unwrap_err().contains("fuel"));
        let long = "{% for a in range(2000) %}0123456789012345678901234567890123456789{% endfor %}";
        assert!(outcome("x.txt", long).unwrap_err().contains("more than"));
    }

    /// Fuel bounds the steps and not the memory: text that doubles in a loop ends the process before the fuel does. The
    /// templates are built in, nobody gives others, and none of ours could do it.
    #[test]
    fn no_template_joins_text_in_a_loop() {
        for (name, source) in SHARED.iter().chain(MESSAGES.as_flattened()) {
            for word in ["{% for", "{%- for", "{% set", "{%- set", "{% macro", "{%- macro"] {
                assert!(!source.contains(word), "{name}: {word}");
            }
        }
        assert!(Templates::new().is_ok_and(|templates| templates.environment.fuel() == Some(FUEL)));
    }

    #[test]
    fn the_file_name_decides_what_is_escaped() {
        assert_eq!(outcome("x.html", "{{ company }}").unwrap(), "&lt;Larkspur&gt;");
        assert_eq!(outcome("x.txt", "{{ company }}").unwrap(), "<Larkspur>");
    }
}
