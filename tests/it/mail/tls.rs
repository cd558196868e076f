//! TLS with a relay: whom it trusts, what leaves before it, and that nothing of it is written to the log.

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use recoup::mailer::{Email, Mailer, SendOutcome};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use secrecy::SecretString;
use tempfile::TempDir;
use tokio_rustls::TlsAcceptor;

use super::{email, now};
use crate::support::dialogue::{Book, Dialogue, Script, Step};

const FROM: &str = "Larkspur <billing@larkspur.example>";
const USER: &str = "canary-user";
const PASSWORD: &str = "canary-password-of-the-relay";
/// The two of them as AUTH PLAIN sends them, and the password as AUTH LOGIN does.
const AUTH: [&str; 2] = [
    "AGNhbmFyeS11c2VyAGNhbmFyeS1wYXNzd29yZC1vZi10aGUtcmVsYXk=",
    "Y2FuYXJ5LXBhc3N3b3JkLW9mLXRoZS1yZWxheQ==",
];
const FORMS: [&str; 2] = ["smtps://USER:PASSWORD@ADDR", "smtp://USER:PASSWORD@ADDR?tls=required"];

/// An authority, and the relay's certificate from it.
struct Authority {
    folder: TempDir,
    acceptor: TlsAcceptor,
}

impl Authority {
    /// The relay's certificate is for `name`.
    fn with_relay(name: &str) -> Self {
        let (key, relay_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let root = params.self_signed(&key).unwrap();
        let relay = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let relay = relay.signed_by(&relay_key, &Issuer::new(params, key)).unwrap();
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![relay.der().clone()],
                PrivateKeyDer::try_from(relay_key.serialize_der()).unwrap(),
            );
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), root.pem()).unwrap();
        Self {
            folder,
            acceptor: TlsAcceptor::from(Arc::new(config.unwrap())),
        }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    /// A relay with this certificate, for one of the forms.
    async fn relay(&self, form: &str, says: &[(Step, &'static str)]) -> Dialogue {
        Dialogue::start(Script {
            says: says.to_vec(),
            tls: Some(self.acceptor.clone()),
            tls_at_once: form.starts_with("smtps"),
            ..Script::default()
        })
        .await
    }
}

fn url(form: &str, relay: &Dialogue) -> SecretString {
    let url = form.replace("USER", USER).replace("PASSWORD", PASSWORD);
    url.replace("ADDR", &relay.addr.to_string()).into()
}

/// Nothing left that needs the TLS that was promised.
fn nothing_left(book: &Book, outcome: &SendOutcome, what: &str) {
    assert!(matches!(outcome, SendOutcome::Transient(_)), "{what}: {outcome:?}");
    assert!(book.taken.is_empty(), "{what}");
    let early: Vec<&String> = book.lines.iter().filter(|line| !line.starts_with("EHLO")).collect();
    assert!(early.is_empty() || early == ["STARTTLS"], "{what}: {early:?}");
}

#[tokio::test]
async fn a_relay_that_leads_to_the_ca_file_gets_the_mail_and_the_login_only_inside_tls() {
    let authority = Authority::with_relay("127.0.0.1");
    for form in FORMS {
        let relay = authority.relay(form, &[]).await;
        let mailer = Mailer::trusting(Some(&authority.file()), Some(&url(form, &relay)), Some(FROM)).unwrap();
        for _ in 0..2 {
            assert_eq!(
                mailer.send(&email("jo@example.com"), now()).await,
                SendOutcome::Sent,
                "{form}"
            );
        }
        let book = relay.book();
        assert_eq!((book.taken.len(), book.connections), (2, 1), "{form}");
        let verbs: Vec<&str> = book.lines.iter().filter_map(|line| line.split(' ').next()).collect();
        let greeting: &[&str] = if form.starts_with("smtps") {
            &["EHLO"]
        } else {
            &["EHLO", "STARTTLS", "EHLO"]
        };
        let mail = ["MAIL", "RCPT", "DATA"];
        assert_eq!(verbs, [greeting, &["AUTH"], &mail, &["NOOP"], &mail].concat(), "{form}");
    }
}

#[tokio::test]
async fn a_certificate_that_leads_elsewhere_or_names_another_gets_nothing() {
    let (ours, other) = (Authority::with_relay("127.0.0.1"), Authority::with_relay("127.0.0.1"));
    let misnamed = Authority::with_relay("relay.example");
    for form in FORMS {
        let rows = [
            ("another authority", &ours, Some(other.file())),
            ("no authority that the machine knows", &ours, None),
            ("another name", &misnamed, Some(misnamed.file())),
        ];
        for (what, authority, ca_file) in rows {
            let relay = authority.relay(form, &[]).await;
            let mailer = Mailer::trusting(ca_file.as_deref(), Some(&url(form, &relay)), Some(FROM)).unwrap();
            let outcome = mailer.send(&email("jo@example.com"), now()).await;
            nothing_left(&relay.book(), &outcome, &format!("{form}, {what}"));
        }
    }
}

/// Somebody on the line takes STARTTLS away, refuses it, or says in clear what is to be taken for said inside TLS.
#[tokio::test]
async fn nothing_leaves_where_somebody_meddles_with_starttls() {
    let authority = Authority::with_relay("127.0.0.1");
    let rows: [(Step, &str); 5] = [
        (Step::Hello, "250-relay\r\n250 AUTH PLAIN"),
        (Step::Hello, "250-relay\r\n250 XSTARTTLS"),
        (Step::StartTls, "454 not now"),
        (Step::StartTls, "502 what"),
        (Step::StartTls, "220 go on\r\n250-relay\r\n250 AUTH PLAIN"),
    ];
    for (step, said) in rows {
        let relay = authority.relay(FORMS[1], &[(step, said)]).await;
        let mailer = Mailer::trusting(Some(&authority.file()), Some(&url(FORMS[1], &relay)), Some(FROM)).unwrap();
        let outcome = mailer.send(&email("jo@example.com"), now()).await;
        nothing_left(&relay.book(), &outcome, said);
    }
}

#[test]
fn a_ca_file_that_cannot_be_used_is_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name)
    };
    let rows = [
        (folder.path().join("missing"), FORMS[0], "it cannot be read"),
        (file("empty", ""), FORMS[1], "it holds no certificate"),
        (file("text", "hello"), FORMS[0], "it holds no certificate"),
        (
            file("broken", "-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n"),
            FORMS[0],
            "it is not PEM",
        ),
        (
            file(
                "no-certificate",
                "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n",
            ),
            FORMS[0],
            "it holds a certificate that cannot be used",
        ),
        (
            file("unused", ""),
            "smtp://127.0.0.1:25",
            "it is set, and mail.smtp_url has no TLS",
        ),
    ];
    for (path, form, reason) in rows {
        let url = form.replace("ADDR", "127.0.0.1:25").into();
        let error = Mailer::trusting(Some(&path), Some(&url), Some(FROM)).err().unwrap();
        assert_eq!(error.to_string(), format!("mail.smtp_ca_file: {reason}"));
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Everything is listened to, the libraries below included, at the finest level; a good login and a bad one.
#[tokio::test]
async fn no_log_at_any_level_shows_the_dialogue() {
    let log = Log::default();
    let sink = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || sink.clone())
        .init();
    let authority = Authority::with_relay("127.0.0.1");
    let mail = Email {
        text: "Pay here: https://pay.larkspur.example/canary-link\n".to_owned(),
        subject: "canary-subject".to_owned(),
        ..email("canary.customer@customers.example")
    };
    let logins: [&[(Step, &'static str)]; 3] = [
        &[],
        &[
            (Step::Hello, "250-relay\r\n250 AUTH LOGIN"),
            (Step::Login, "334 VXNlcm5hbWU6"),
            (Step::Login, "334 UGFzc3dvcmQ6"),
        ],
        &[(Step::Recipient, "550 5.1.1 <canary.customer@customers.example> unknown")],
    ];
    for says in logins {
        let relay = authority.relay(FORMS[0], says).await;
        let mailer = Mailer::trusting(Some(&authority.file()), Some(&url(FORMS[0], &relay)), Some(FROM)).unwrap();
        let outcome = mailer.send(&mail, now()).await;
        let taken = relay.book().taken.len();
        assert_eq!(taken, usize::from(outcome == SendOutcome::Sent), "{outcome:?}");
        let said = relay.book().lines.join("\n");
        assert!(
            AUTH.iter().any(|auth| said.contains(auth)),
            "the login was held: {said}"
        );
        tracing::trace!("the subscriber listens: {outcome:?}");
    }
    let written = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert_eq!(written.matches("the subscriber listens").count(), 3, "{written}");
    assert!(
        written.contains("rustls"),
        "the libraries are listened to, too: {written}"
    );
    let canaries = [
        USER,
        PASSWORD,
        "canary.customer",
        "canary-link",
        "canary-subject",
        "RCPT",
    ];
    for canary in canaries.iter().chain(&AUTH) {
        assert!(!written.contains(canary), "{canary} is in the log:\n{written}");
    }
}
