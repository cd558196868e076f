//! Every metric by name. Labels come only from enums of the domain, so that the number of series is bounded and no
//! customer, invoice or address ever becomes one.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Webhook events that arrived, by `result`.
pub const EVENTS_RECEIVED: &str = "recoup_events_received_total";
/// Webhook events that were signed with another secret than the newest.
pub const OLD_SECRET: &str = "recoup_old_secret_total";
/// Events of the inbox that reached an end, by `end`: processed, ignored, dead.
pub const EVENTS_FINISHED: &str = "recoup_events_finished_total";
/// Events that the sweep of the provider's list found and no webhook had brought.
pub const EVENTS_SWEPT: &str = "recoup_events_swept_total";
/// Cases opened.
pub const CASES_OPENED: &str = "recoup_cases_opened_total";
/// Cases closed, by `outcome`.
pub const CASES_CLOSED: &str = "recoup_cases_closed_total";
/// Attempts to charge that ended, by `by` and `result`.
pub const ATTEMPTS: &str = "recoup_attempts_total";
/// Charges that the ceiling did not allow, by `rule`.
pub const BLOCKED_CHARGES: &str = "recoup_blocked_charges_total";
/// Codes of declines that no file of codes has, by `section`.
pub const UNKNOWN_CODES: &str = "recoup_unknown_codes_total";
/// Notifications that ended, by `message` and `result`.
pub const NOTIFICATIONS: &str = "recoup_notifications_total";
/// Reports of what became of mails, by `fate` and `result`.
pub const MAIL_REPORTS: &str = "recoup_mail_reports_total";
/// Effects that were due and not carried out; the timeline says why.
pub const STOOD_BACK: &str = "recoup_stood_back_total";
/// Calls to the provider that it refused for want of permission.
pub const PROVIDER_REFUSED: &str = "recoup_provider_refused_total";
/// What reconciliation found that no event had told of, by `job`.
pub const DRIFT_FOUND: &str = "recoup_drift_found_total";
/// Charges that brought money for an invoice that was paid already.
pub const OVERPAYMENTS: &str = "recoup_overpayments_total";
/// Seconds a call to the provider took, by `call` and `result`.
pub const PROVIDER_CALL: &str = "recoup_provider_call_seconds";
/// Seconds handing a mail to the mail server took, by `result`.
pub const MAIL_SEND: &str = "recoup_mail_send_seconds";
/// Seconds a request took, by `method` and `status` class.
pub const HTTP_REQUEST: &str = "recoup_http_request_seconds";
/// Seconds one tick of the engine took.
pub const TICK: &str = "recoup_tick_seconds";
/// Events in the inbox that wait or were given up, by `status`.
pub const INBOX_WAITING: &str = "recoup_inbox_waiting";
/// Open cases, by `state`: those in doubt and those that need a person are what to watch.
pub const CASES_OPEN: &str = "recoup_cases_open";

/// Whether this process reconciles before it charges or sends: 1 while it does.
pub const RECONCILING: &str = "recoup_reconciling";
/// Seconds our clock is ahead of the database's; beyond a minute either way nothing is charged or sent.
pub const CLOCK_SKEW: &str = "recoup_clock_skew_secs";

/// Upper bounds of the buckets of every histogram, in seconds.
const BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0];

const COUNTERS: [(&str, &str); 15] = [
    (EVENTS_RECEIVED, "Webhook events that arrived, by result."),
    (
        OLD_SECRET,
        "Webhook events that were signed with another secret than the newest.",
    ),
    (EVENTS_FINISHED, "Events of the inbox that reached an end."),
    (EVENTS_SWEPT, "Events that the sweep found and no webhook had brought."),
    (CASES_OPENED, "Cases opened."),
    (CASES_CLOSED, "Cases closed, by outcome."),
    (ATTEMPTS, "Attempts to charge that ended, by who made them and result."),
    (BLOCKED_CHARGES, "Charges that the ceiling refused or put off, by rule."),
    (UNKNOWN_CODES, "Codes of declines that nobody knows, by section."),
    (NOTIFICATIONS, "Notifications that ended, by message and result."),
    (MAIL_REPORTS, "Reports of what became of mails, by fate and result."),
    (STOOD_BACK, "Effects that were due and not carried out."),
    (
        PROVIDER_REFUSED,
        "Calls that the provider refused for want of permission.",
    ),
    (
        DRIFT_FOUND,
        "What reconciliation found that no event had told of, by job.",
    ),
    (
        OVERPAYMENTS,
        "Charges that brought money for an invoice that was paid already.",
    ),
];

const HISTOGRAMS: [(&str, &str); 4] = [
    (PROVIDER_CALL, "Seconds a call to the provider took."),
    (MAIL_SEND, "Seconds handing a mail to the mail server took."),
    (HTTP_REQUEST, "Seconds a request took."),
    (TICK, "Seconds one tick of the engine took."),
];

const GAUGES: [(&str, &str); 4] = [
    (
        INBOX_WAITING,
        "Events in the inbox that wait or were given up, by status.",
    ),
    (CASES_OPEN, "Open cases, by state."),
    (
        RECONCILING,
        "Whether this process reconciles before it charges or sends.",
    ),
    (CLOCK_SKEW, "Seconds our clock is ahead of the database's."),
];

/// The recorder of this process, installed on the first call; its `render` is the text of `/metrics`.
pub fn recorder() -> &'static PrometheusHandle {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &BUCKETS)
            .expect("the buckets are not empty");
        let handle = builder
            .install_recorder()
            .expect("nothing else in this process installs a recorder");
        describe();
        handle
    })
}

/// Tells the recorder what each metric means.
fn describe() {
    for (name, help) in COUNTERS {
        metrics::describe_counter!(name, help);
    }
    for (name, help) in HISTOGRAMS {
        metrics::describe_histogram!(name, metrics::Unit::Seconds, help);
    }
    for (name, help) in GAUGES {
        metrics::describe_gauge!(name, help);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_the_exposition_format() {
        assert!(
            COUNTERS
                .iter()
                .all(|(name, _)| name.starts_with("recoup_") && name.ends_with("_total"))
        );
        assert!(
            HISTOGRAMS
                .iter()
                .all(|(name, _)| name.starts_with("recoup_") && name.ends_with("_seconds"))
        );
        assert!(
            GAUGES
                .iter()
                .all(|(name, _)| name.starts_with("recoup_") && !name.ends_with("_total"))
        );
    }

    #[test]
    fn the_recorder_is_installed_once_and_renders_what_was_counted() {
        assert!(std::ptr::eq(recorder(), recorder()));
        metrics::counter!(PROVIDER_REFUSED).increment(2);
        metrics::histogram!(TICK).record(0.02);
        let text = recorder().render();
        assert!(
            text.contains("# TYPE recoup_provider_refused_total counter\nrecoup_provider_refused_total 2"),
            "{text}"
        );
        assert!(text.contains("recoup_tick_seconds_bucket{le=\"0.025\"} 1"), "{text}");
    }
}
