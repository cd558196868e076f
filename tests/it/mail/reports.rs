//! Reports of mail servers, as they write them.

use recoup::mailer::report::{Fate, Report, read};

const POSTFIX: &str = include_str!("../../fixtures/reports/postfix-550.eml");
const OPENSMTPD: &str = include_str!("../../fixtures/reports/opensmtpd-550.eml");
const COMPLAINT: &str = include_str!("../../fixtures/reports/complaint.eml");

fn one(text: &str) -> Report {
    let mut all = read(text.replace('\n', "\r\n").as_bytes());
    assert_eq!(all.len(), 1, "{text}");
    let report = all.remove(0);
    // Some hand reports on with line feeds alone.
    assert_eq!(read(text.as_bytes()), std::slice::from_ref(&report));
    report
}

#[test]
fn each_kind_of_report_tells_what_became_of_which_message() {
    for (text, fate, detail) in [
        (POSTFIX, Fate::Bounced, "5.1.1"),
        (OPENSMTPD, Fate::Bounced, "5.0.0"),
        (COMPLAINT, Fate::Complained, "abuse"),
    ] {
        let report = one(text);
        assert_eq!((report.fate, report.detail.as_deref()), (fate, Some(detail)));
        assert_eq!(report.recipient.as_deref(), Some("erika0@kunde.example"));
        assert_eq!(report.message_id.as_deref(), Some("NOTIFICATION@acme.example"));
        let paths = &report.return_paths;
        assert!(
            !paths.is_empty() && paths.iter().all(|path| path == "bounces+TOKEN@mail.acme.example"),
            "{paths:?}"
        );
    }
}

#[test]
fn only_what_is_said_of_the_address_is_held_against_it() {
    let with = |action: &str, status: &str, said: &str| {
        let text = POSTFIX
            .replace("Action: failed", &format!("Action: {action}"))
            .replace("Status: 5.1.1", &format!("Status: {status}"))
            .replace(
                "Diagnostic-Code: smtp; 550 5.1.1",
                &format!("Diagnostic-Code: smtp; {said}"),
            );
        read(text.as_bytes())
            .into_iter()
            .map(|report| report.fate)
            .collect::<Vec<_>>()
    };
    let rows = [
        (("failed", "5.1.1", "550 5.1.1"), &[Fate::Bounced][..]),
        (("Failed", "5.2.1", "550"), &[Fate::Bounced]),
        (("failed", "5.4.4", "550"), &[Fate::Bounced]),
        (("failed", "5.0.0", "550 unknown user"), &[Fate::Bounced]),
        (("failed", "5.0.0", "550 5.7.1 spam"), &[Fate::Refused]),
        (("failed", "5.0.0", "554 spam"), &[Fate::Refused]),
        (("failed", "5.7.26", "550 5.7.26"), &[Fate::Refused]),
        (("failed", "5.2.2", "552"), &[Fate::Refused]),
        (("failed", "4.4.7", "451"), &[Fate::Delayed]),
        (("delayed", "4.4.1", "451"), &[Fate::Delayed]),
        (("delivered", "2.0.0", "250"), &[Fate::Delivered]),
        (("relayed", "2.0.0", "250"), &[]),
        (("expanded", "2.0.0", "250"), &[]),
        (("odd", "5.1.1", "550"), &[]),
    ];
    for ((action, status, said), fates) in rows {
        assert_eq!(with(action, status, said), fates, "{action} {status} {said}");
    }
}

#[test]
fn what_is_no_report_says_nothing() {
    let note =
        "From: jo@example.com\r\nTo: bounces+TOKEN@mail.acme.example\r\nSubject: Away\r\n\r\nI am on holiday.\r\n";
    let quoted = format!("{note}\r\nAction: failed\r\nStatus: 5.1.1\r\nFinal-Recipient: rfc822; jo@example.com\r\n");
    let cut = &POSTFIX[..POSTFIX.find("Content-Description: Delivery report").unwrap()];
    let spared = COMPLAINT.replace("Feedback-Type: abuse", "Feedback-Type: not-spam");
    for text in ["", "\0", note, &quoted, cut, &spared] {
        assert!(read(text.as_bytes()).is_empty(), "{text}");
    }
}

#[test]
fn what_is_said_twice_counts_as_it_was_said_first() {
    let twice = POSTFIX.replace("Action: failed", "Action: delayed\nAction: failed");
    assert_eq!(one(&twice).fate, Fate::Delayed);
}
