//! The test of the test: faults built in on purpose, each of which must break a law within so many seeds.

#[cfg(feature = "mutants")]
pub use recoup::domain::mutant::choose;

/// Without the feature there is no fault to choose.
#[cfg(not(feature = "mutants"))]
pub fn choose(name: Option<&'static str>) {
    assert_eq!(name, None, "build with `--features mutants`");
}

/// Every deliberate fault, and what it breaks.
pub const ALL: &[(&str, &str)] = &[
    ("new_key_on_resend", "a charge is sent again under a new key"),
    ("silence_is_a_no", "a call without an answer counts as not carried out"),
    ("old_key_again", "a key is sent again after its life"),
    ("no_deadline_before_the_send", "who slept sends a key however old it is"),
    ("new_attempt_in_doubt", "a doubt is taken for a no at once"),
    ("not_sent_in_doubt", "a second sending that fails denies the first"),
    ("uncertain_is_done", "a commit without an answer counts as done"),
    ("paid_not_seen", "a paid invoice is charged"),
    ("cancel_not_seen", "who left is charged"),
    ("end_without_look", "the end does not look whether money came"),
    ("staff_stops_a_charge", "staff may close a case with an open attempt"),
    ("no_ceiling", "nothing stands above campaign and staff"),
    ("steps_in_a_burst", "overdue messages are all sent"),
    ("mail_without_gate", "a message leaves without another look"),
    ("unknown_mail_again", "a message that may have left is sent again"),
    ("stranded_mails_stay", "nobody buries the messages of the dead"),
    ("no_sweep", "what no webhook brought is never known"),
    ("event_ended_first", "an event ends before its change is committed"),
    ("failed_event_dropped", "an event that fails once is ignored"),
    ("no_lease", "a claim keeps nobody else off"),
    ("released_by_anybody", "a claim is given back by who lost it"),
    ("mail_starts_again", "a message is started by two"),
    ("no_row_lock", "a change is decided over what was read before the lock"),
];
