//! Settings: what is understood, and that a bad one names its key and never the password.

use recoup::mailer::Mailer;
use secrecy::SecretString;

fn fault(url: Option<&str>, from: Option<&str>) -> String {
    let url = url.map(SecretString::from);
    match Mailer::new(url.as_ref(), from) {
        Ok(_) => "fine".to_owned(),
        Err(error) => format!("{error} {error:?}"),
    }
}

#[tokio::test]
async fn the_documented_forms_are_understood() {
    let from = Some("Larkspur Billing <billing@larkspur.example>");
    let forms = [
        "smtp://127.0.0.1:1025",
        "smtp://relay.example",
        "smtp://[::1]:25/",
        "smtps://u:p%40ss@relay.example:465",
        "smtp://u:p@relay.example:587?tls=required",
        "smtp://u:p@127.0.0.1:1025",
    ];
    for url in forms {
        assert_eq!(fault(Some(url), from), "fine", "{url}");
    }
    assert_eq!(fault(None, None), "fine");
    assert_eq!(fault(None, Some("billing@larkspur.example")), "fine");
}

#[tokio::test]
async fn a_bad_url_names_its_key_and_hides_the_password() {
    let urls = [
        "",
        "relay.example:25",
        "http://u:hunter2@relay.example",
        "smtp://u:hunter2@relay.example",
        "smtp://u:hunter2@127.0.0.1?tls=maybe",
        "smtps://u:hunter2@relay.example/inbox",
        "smtp://u@relay.example?tls=required",
        "smtps://:hunter2@relay.example",
        "smtp://",
        "smtp://u:hunter2@relay.example:99999?tls=required",
        "smtp://relay.example?tls=required&x=1",
        "smtps://u:%ffhunter2@relay.example",
        "smtp://relay.example#x",
    ];
    for url in urls {
        let fault = fault(Some(url), Some("billing@larkspur.example"));
        assert!(fault.starts_with("mail.smtp_url: "), "{url}: {fault}");
        assert!(
            !fault.contains("hunter2") && !fault.contains("relay.example"),
            "{url}: {fault}"
        );
    }
}

#[tokio::test]
async fn a_bad_sender_names_its_key() {
    for from in [
        "",
        "Billing",
        "a@b@c",
        "Billing <>",
        "Billing <billing@larkspur.example",
        "a@example.com, b@example.com",
    ] {
        assert!(fault(None, Some(from)).starts_with("mail.from is not"), "{from:?}");
    }
    assert!(fault(Some("smtp://127.0.0.1:25"), None).starts_with("mail.from is missing"));
    let hostile = fault(None, Some("Bill\r\nBcc: x <billing@larkspur.example>"));
    assert!(hostile == "fine" || hostile.starts_with("mail.from"), "{hostile}");
}
