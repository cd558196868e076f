//! F1: logs, metrics, and what is masked in both.
//!
//! A log line is a message and fields, among them `case_id` and `attempt_id`; never an address, a token or a body.

pub mod metric;

use std::io;

use tracing::Subscriber;
use tracing_subscriber::filter::{EnvFilter, ParseError};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// What is logged unless the operator asks otherwise. The libraries stay at warnings: at lower levels they would
/// write statements and addresses.
pub const FILTER: &str = "info,sqlx=warn,sea_orm=warn,lettre=warn,hyper=warn,reqwest=warn";

/// Why logging could not start.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The filter that the operator gave cannot be read.
    #[error("the log filter cannot be read; write it like {FILTER}")]
    Filter(#[from] ParseError),
    /// This process already logs.
    #[error("logging was started twice")]
    Started(#[from] TryInitError),
}

/// The two forms of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people, with colours only on a terminal.
    Text {
        /// Whether escape sequences for colours may be written.
        colours: bool,
    },
    /// For machines: one JSON object a line.
    Json,
}

/// Starts logging to stderr, once a process. `filter` replaces [`FILTER`], in the syntax of `tracing`'s filters.
pub fn start(form: Form, filter: Option<&str>) -> Result<(), LogError> {
    Ok(subscriber(form, filter, io::stderr)?.try_init()?)
}

/// Builds the subscriber that [`start`] installs, writing to `writer`.
pub fn subscriber<W>(form: Form, filter: Option<&str>, writer: W) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = EnvFilter::builder().parse(filter.unwrap_or(FILTER))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let registry = tracing_subscriber::registry().with(filter);
    Ok(match form {
        Form::Text { colours } => Box::new(registry.with(lines.with_ansi(colours))),
        Form::Json => Box::new(registry.with(lines.json().flatten_event(true).with_span_list(false))),
    })
}

/// A mail address of which only the first letter and the domain are left: `b***@x.org`.
pub fn mask_email(address: &str) -> String {
    let Some((name, domain)) = address.rsplit_once('@') else {
        return "***".to_owned();
    };
    let first: String = name.chars().take(1).collect();
    format!("{first}***@{domain}")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Form, act: impl FnOnce()) -> String {
        let sink = Sink::default();
        let writer = sink.clone();
        let subscriber = subscriber(form, None, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        String::from_utf8(sink.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_json_line_carries_the_ids_of_the_event_and_of_its_span() {
        let text = logged(Form::Json, || {
            let span = tracing::info_span!("charge", case_id = "case_1");
            span.in_scope(|| tracing::info!(attempt_id = "att_1", "charge declined"));
        });
        let line: serde_json::Value = serde_json::from_str(text.trim()).unwrap();
        assert_eq!(line["message"], "charge declined");
        assert_eq!(line["attempt_id"], "att_1");
        assert_eq!(line["span"]["case_id"], "case_1");
    }

    #[test]
    fn libraries_stay_at_warnings() {
        let text = logged(Form::Text { colours: false }, || {
            tracing::info!(target: "sqlx::query", "a statement");
            tracing::info!(target: "lettre", "an address");
            tracing::warn!(target: "sqlx::query", "slow");
        });
        assert!(
            text.contains("slow") && !text.contains("a statement") && !text.contains("an address"),
            "{text}"
        );
    }

    #[test]
    fn a_bad_filter_is_an_error() {
        assert!(matches!(
            subscriber(Form::Json, Some("recoup=loud"), io::sink),
            Err(LogError::Filter(_))
        ));
    }

    #[test]
    fn an_address_keeps_its_first_letter_and_its_domain() {
        assert_eq!(mask_email("bob@x.org"), "b***@x.org");
        assert_eq!(mask_email("\"a@b\"@x.org"), "\"***@x.org");
        assert_eq!(mask_email("élise@x.org"), "é***@x.org");
        assert_eq!(mask_email("@x.org"), "***@x.org");
        assert_eq!(mask_email("not an address"), "***");
    }
}
