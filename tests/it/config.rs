//! The configuration: precedence, faults that name their key, secrets that stay unseen.

use std::path::{Path, PathBuf};

use recoup::config::clock::Mode;
use recoup::config::{Config, ConfigErrors, Fault, Origin};
use recoup::domain::case::Collector;
use recoup::return_path::OWN_CHARS_MAX;
use secrecy::ExposeSecret;

const API_KEY: &str = "RECOUP__STRIPE__API_KEY";
const WEBHOOK_SECRETS: &str = "RECOUP__STRIPE__WEBHOOK_SECRETS";

/// A configuration file in a folder of its own, gone with the value.
struct File {
    folder: tempfile::TempDir,
}

impl File {
    fn with(text: &str) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        std::fs::write(file.path(), text).unwrap();
        file
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("recoup.toml")
    }

    fn load(&self, env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
        Config::load(Some(&self.path()), owned(env))
    }
}

fn owned(env: &[(&str, &str)]) -> impl Iterator<Item = (String, String)> {
    env.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
}

fn from_env(env: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    // A file that is empty, so that a recoup.toml left in the tree has no say.
    File::with("").load(env)
}

/// The one fault of a configuration by environment alone.
fn fault(env: &[(&str, &str)]) -> Fault {
    let ConfigErrors(mut faults) = from_env(env).expect_err("a fault");
    assert_eq!(faults.len(), 1, "{faults:?}");
    faults.remove(0)
}

#[test]
fn the_environment_is_above_the_file_and_the_file_above_the_defaults() {
    let file = File::with(
        "[http]\nlisten = \"127.0.0.1:1\"\n[stripe]\ncollector = \"provider\"\n[database]\nmigrate = false\n",
    );
    let config = file.load(&[
        ("RECOUP__HTTP__LISTEN", "127.0.0.1:2"),
        ("HOME", "/"),
        ("RECOUP_TEST_POSTGRES", "x"),
    ]);
    let config = config.unwrap();
    assert_eq!(config.http.listen.port(), 2);
    assert!(!config.database.migrate);
    assert_eq!(config.database.url.expose_secret(), "sqlite://recoup.db");
    assert_eq!(config.clock.mode, Mode::System);
    assert!(config.stripe.is_none());
}

#[test]
fn a_whole_file_is_read() {
    let text = "[database]\nurl = 'postgres:///recoup'\n[http]\npublic_url = 'https://pay.example.com'\n\
        [clock]\nmode = 'test'\nstart = 2026-03-01T00:00:00Z\n\
        [stripe]\napi_base = 'http://127.0.0.1:9'\napi_key = 'sk_test_1'\nwebhook_secrets = 'whsec_new0, whsec_old0'\n\
        collector = 'provider'\ntimezone = 'Europe/Paris'\nlocale = 'pt-BR'\n\
        [mail]\nsmtp_url = 'smtp://localhost:25?tls=required'\nfrom = 'Acme <pay@acme.example>'\nbrand = 'Acme'\nsupport = 'help@acme.example'\n\
        smtp_ca_file = '/etc/ca.pem'\nper_domain_per_minute = 40\n\
        [admin]\nbootstrap_key = '0123456789abcdef'\n[log]\nformat = 'json'\n";
    let config = File::with(text).load(&[]).unwrap();
    let stripe = config.stripe.unwrap();
    let secrets: Vec<&str> = stripe.webhook_secrets.iter().map(ExposeSecret::expose_secret).collect();
    assert_eq!(secrets, ["whsec_new0", "whsec_old0"]);
    assert_eq!(stripe.collector, Collector::Provider);
    assert_eq!(stripe.timezone.iana_name(), Some("Europe/Paris"));
    assert_eq!(config.clock.start, Some("2026-03-01T00:00:00Z".parse().unwrap()));
    assert_eq!(config.mail.smtp_ca_file.as_deref(), Some(Path::new("/etc/ca.pem")));
    assert_eq!(config.mail.per_domain_per_minute, 40);
    assert_eq!(config.mail.from.unwrap().email.to_string(), "pay@acme.example");
}

#[test]
fn an_unknown_key_is_named_with_its_place_and_with_the_known_ones() {
    let file = File::with("[stripe]\n\napi_kee = 'x'\n[strype]\n[mail.extra]\nx = 1\n");
    let told = file
        .load(&[("RECOUP__HTTP__LISTN", "1"), ("RECOUP__HTTP__LISTEN_FILE", "/x")])
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("recoup.toml:3) is not a known key; remove it, or take one of [stripe]: api_base, api_key"),
        "{told}"
    );
    for part in [
        "stripe.api_kee (",
        "strype (",
        "mail.extra (",
        "http.listn (RECOUP__HTTP__LISTN)",
        "http.listen_file (",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    assert!(told.starts_with("the configuration has 5 faults:\n  - "), "{told}");
}

#[test]
fn each_bad_value_stops_the_start_and_names_its_key() {
    let rows = [
        ("DATABASE__URL", "mysql://localhost/x"),
        ("DATABASE__URL", "sqlite:///"),
        ("DATABASE__URL", "postgres://user:pa:ss@[/x"),
        ("DATABASE__MIGRATE", "maybe"),
        ("HTTP__LISTEN", "localhost:8080"),
        ("HTTP__LISTEN", ""),
        ("HTTP__PUBLIC_URL", "ftp://example.com"),
        ("HTTP__PUBLIC_URL", "https://example.com/?a=b"),
        ("CLOCK__MODE", "frozen"),
        ("CLOCK__START", "yesterday"),
        ("STRIPE__API_BASE", "http://stripe.example"),
        ("STRIPE__API_BASE", "http://127.0.0.1.example"),
        ("STRIPE__COLLECTOR", "both"),
        ("STRIPE__TIMEZONE", "Mars/Olympus"),
        ("STRIPE__LOCALE", "english please"),
        ("MAIL__FROM", "nobody"),
        ("MAIL__BRAND", "Acme\nBcc: x@y.z"),
        ("MAIL__SUPPORT", "\u{7}"),
        ("MAIL__PER_DOMAIN_PER_MINUTE", "-1"),
        ("MAIL__PER_DOMAIN_PER_MINUTE", "lots"),
        ("ADMIN__BOOTSTRAP_KEY", "tiny"),
        ("ADMIN__BOOTSTRAP_KEY", "sixteen and more, with spaces"),
        ("CAMPAIGNS__DIR", "/no/such/folder"),
        ("LOG__FORMAT", "xml"),
    ];
    for (name, value) in rows {
        let name = format!("RECOUP__{name}");
        let fault = fault(&[(&name, value)]);
        assert_eq!(fault.key, name["RECOUP__".len()..].replace("__", ".").to_lowercase());
        assert_eq!(fault.origin, Origin::Env(name));
        assert!(fault.problem.contains("; "), "no remedy: {fault}");
        assert!(
            value.is_empty() || !fault.to_string().contains(value),
            "quotes the value: {fault}"
        );
    }
}

#[test]
fn a_bad_mail_server_is_refused_and_one_needs_a_sender() {
    let from = ("RECOUP__MAIL__FROM", "pay@acme.example");
    for url in [
        "localhost:25",
        "http://localhost",
        "smtp://localhost?tls=maybe",
        "smtp://localhost?tls=opportunistic",
        "smtp://localhost?starttls=required",
    ] {
        assert_eq!(
            fault(&[("RECOUP__MAIL__SMTP_URL", url), from]).key,
            "mail.smtp_url",
            "{url}"
        );
    }
    assert_eq!(
        fault(&[("RECOUP__MAIL__SMTP_URL", "smtp://localhost:25")]).key,
        "mail.from"
    );
    assert!(from_env(&[("RECOUP__MAIL__SMTP_URL", "smtps://u:p@mail.example:465"), from]).is_ok());
}

#[test]
fn a_key_and_its_webhook_secrets_go_together() {
    assert_eq!(fault(&[(API_KEY, "sk_test_1")]).key, "stripe.webhook_secrets");
    assert_eq!(fault(&[(WEBHOOK_SECRETS, "whsec_12345")]).key, "stripe.api_key");
    assert_eq!(
        fault(&[(API_KEY, "sk_test_1"), (WEBHOOK_SECRETS, "whsec_12345,,")]).key,
        "stripe.webhook_secrets"
    );
    assert_eq!(
        fault(&[(API_KEY, "sk_test_1"), (WEBHOOK_SECRETS, "1234567")]).key,
        "stripe.webhook_secrets"
    );
    assert_eq!(
        fault(&[(API_KEY, " "), (WEBHOOK_SECRETS, "whsec_12345")]).key,
        "stripe.api_key"
    );
}

#[test]
fn a_live_key_refuses_the_test_clock() {
    for key in ["sk_live_1", "rk_live_1"] {
        let rest = [(API_KEY, key), (WEBHOOK_SECRETS, "whsec_12345")];
        assert!(from_env(&rest).unwrap().stripe.unwrap().is_live());
        assert_eq!(
            fault(&[rest[0], rest[1], ("RECOUP__CLOCK__MODE", "test")]).key,
            "clock.mode"
        );
    }
    let test = [
        (API_KEY, "rk_test_1"),
        (WEBHOOK_SECRETS, "whsec_12345"),
        ("RECOUP__CLOCK__MODE", "test"),
    ];
    assert!(!from_env(&test).unwrap().stripe.unwrap().is_live());
}

#[test]
fn a_secret_may_come_from_a_file() {
    let secret = File::with("  0123456789abcdef\n");
    let path = secret.path();
    let path = path.to_str().unwrap();
    let config = from_env(&[("RECOUP__ADMIN__BOOTSTRAP_KEY_FILE", path)]).unwrap();
    assert_eq!(config.admin.bootstrap_key.unwrap().expose_secret(), "0123456789abcdef");

    let both = [
        ("RECOUP__ADMIN__BOOTSTRAP_KEY_FILE", path),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", "0123456789abcdef"),
    ];
    assert!(
        fault(&both)
            .to_string()
            .contains("is set twice, also at RECOUP__ADMIN__BOOTSTRAP_KEY;")
    );

    let below = File::with("[admin]\nbootstrap_key = 'fedcba9876543210'\n");
    let config = below.load(&both[..1]).unwrap();
    assert_eq!(config.admin.bootstrap_key.unwrap().expose_secret(), "0123456789abcdef");

    let gone = fault(&[("RECOUP__ADMIN__BOOTSTRAP_KEY_FILE", "/no/such/file")]);
    assert_eq!(gone.key, "admin.bootstrap_key_file");
    let empty = File::with(" \n");
    let empty = fault(&[("RECOUP__ADMIN__BOOTSTRAP_KEY_FILE", empty.path().to_str().unwrap())]);
    assert!(empty.problem.contains("empty file"), "{empty}");
}

#[test]
fn all_faults_are_listed_at_once() {
    let file =
        File::with("listen = 1\n[http]\nlisten = 8080\n[log]\nformat = 'xml'\nformat = 'json'\n[mail]\nbrand = 'x\n");
    let env = [
        ("RECOUP__CLOCK__MODE", "test"),
        (API_KEY, "sk_live_1"),
        ("RECOUP__NO__SUCH", "1"),
        ("RECOUP__", ""),
    ];
    let ConfigErrors(faults) = file.load(&env).unwrap_err();
    let keys: Vec<&str> = faults.iter().map(|fault| fault.key.as_str()).collect();
    for key in [
        "listen",
        "http.listen",
        "syntax",
        "log.format",
        "no.such",
        "stripe.webhook_secrets",
        "clock.mode",
    ] {
        assert!(keys.contains(&key), "{key} in {keys:?}");
    }
}

#[test]
fn a_named_file_that_is_not_there_is_a_fault() {
    let told = Config::load(Some(&PathBuf::from("/no/such.toml")), owned(&[]))
        .unwrap_err()
        .to_string();
    assert!(
        told.contains("/no/such.toml") && told.contains("cannot be read"),
        "{told}"
    );
}

#[test]
fn secrets_show_neither_in_debug_nor_in_faults() {
    let canaries = [
        ("RECOUP__DATABASE__URL", "postgres://u:CANARY@localhost/x"),
        (API_KEY, "sk_test_CANARY"),
        (WEBHOOK_SECRETS, "whsec_CANARY,whsec_CANARY2"),
        ("RECOUP__MAIL__SMTP_URL", "smtp://u:CANARY@localhost"),
        ("RECOUP__MAIL__FROM", "pay@acme.example"),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", "CANARY-CANARY-CANARY"),
        ("RECOUP__HTTP__PUBLIC_URL", "https://pay.example.com"),
        ("RECOUP__OIDC__ISSUER", "https://accounts.example.com"),
        ("RECOUP__OIDC__CLIENT_ID", "recoup"),
        ("RECOUP__OIDC__CLIENT_SECRET", "CANARY"),
    ];
    let debug = format!("{:?}", from_env(&canaries).unwrap());
    assert!(!debug.contains("CANARY") && debug.contains("REDACTED"), "{debug}");

    let bad = [
        ("RECOUP__DATABASE__URL", "CANARY://u:CANARY@localhost/x"),
        (API_KEY, "sk CANARY"),
        (WEBHOOK_SECRETS, "CANARY,whsec_12345"),
        ("RECOUP__MAIL__SMTP_URL", "smtp://u:CANARY@["),
        ("RECOUP__ADMIN__BOOTSTRAP_KEY", "CANARY"),
        ("RECOUP__OIDC__ISSUER", "CANARY"),
        ("RECOUP__OIDC__CLIENT_SECRET", "the CANARY"),
        ("RECOUP__HTTP__LISTEN", "CANARY"),
        ("RECOUP__LOG__FORMAT", "CANARY"),
    ];
    let file =
        File::with("[stripe]\napi_key = 'CANARY\nwebhook_secrets = CANARY\n[admin]\nbootstrap_key = ['CANARY']\n");
    let errors = file.load(&bad).unwrap_err();
    assert!(
        errors.0.len() >= bad.len() && !format!("{errors} {errors:?}").contains("CANARY"),
        "{errors}"
    );
}

#[test]
fn dkim_is_set_whole_and_for_the_domain_that_mails_are_from() {
    const DOMAIN: (&str, &str) = ("RECOUP__MAIL__DKIM_DOMAIN", "acme.example");
    const SELECTOR: (&str, &str) = ("RECOUP__MAIL__DKIM_SELECTOR", "2026a");
    const KEY: (&str, &str) = ("RECOUP__MAIL__DKIM_KEY", "hunter2");
    const FROM: (&str, &str) = ("RECOUP__MAIL__FROM", "Acme <billing@mail.acme.example>");
    for part in [&[DOMAIN, SELECTOR][..], &[DOMAIN, KEY], &[SELECTOR, KEY]] {
        let fault = fault(&[part, &[FROM]].concat());
        assert!(fault.key.starts_with("mail.dkim_"), "{fault:?}");
        assert!(fault.problem.contains("all three, or none"), "{fault:?}");
    }
    for domain in [
        "acme.example",
        "mail.acme.example",
        "MAIL.Acme.example",
        "x.mail.acme.example",
    ] {
        let config = from_env(&[(DOMAIN.0, domain), SELECTOR, KEY, FROM]).unwrap();
        assert_eq!(config.mail.dkim.unwrap().domain, domain);
    }
    for domain in ["other.example", "me.example", "xmail.acme.example"] {
        assert_eq!(
            fault(&[(DOMAIN.0, domain), SELECTOR, KEY, FROM]).key,
            "mail.dkim_domain",
            "{domain}"
        );
    }
    assert_eq!(
        fault(&[DOMAIN, (SELECTOR.0, "a b"), KEY, FROM]).key,
        "mail.dkim_selector"
    );
    let text = format!("{:?}", from_env(&[DOMAIN, SELECTOR, KEY, FROM]).unwrap());
    assert!(!text.contains("hunter2"));
}

#[test]
fn a_return_path_leaves_room_for_a_token() {
    let path = |text: &str| [("RECOUP__MAIL__RETURN_PATH", text.to_owned())];
    let read = |text: &str| {
        let env = path(text);
        from_env(&[(env[0].0, env[0].1.as_str())])
    };
    let long = "b".repeat(OWN_CHARS_MAX);
    for good in ["bounces@mail.acme.example", &format!("{long}@acme.example")] {
        assert_eq!(read(good).unwrap().mail.return_path.unwrap().to_string(), *good);
    }
    for bad in [
        "bounces",
        "bounces+x@acme.example",
        "@acme.example",
        &format!("b{long}@acme.example"),
    ] {
        let ConfigErrors(faults) = read(bad).unwrap_err();
        assert_eq!(faults[0].key, "mail.return_path", "{bad}");
    }
}

#[test]
fn secrets_of_mail_events_are_read_newest_first() {
    let name = "RECOUP__MAIL__EVENTS_SECRETS";
    let config = from_env(&[(name, "new-secret, old-secret")]).unwrap();
    let secrets: Vec<&str> = config
        .mail
        .events_secrets
        .iter()
        .map(ExposeSecret::expose_secret)
        .collect();
    assert_eq!(secrets, ["new-secret", "old-secret"]);
    assert_eq!(fault(&[(name, "new-secret,short")]).key, "mail.events_secrets");
    assert!(from_env(&[]).unwrap().mail.events_secrets.is_empty());
}

#[test]
fn single_sign_on_is_set_whole_with_an_address_to_come_back_to() {
    const ISSUER: (&str, &str) = ("RECOUP__OIDC__ISSUER", "https://accounts.example.com/");
    const CLIENT: (&str, &str) = ("RECOUP__OIDC__CLIENT_ID", "recoup");
    const SECRET: (&str, &str) = ("RECOUP__OIDC__CLIENT_SECRET", "hunter2");
    const PUBLIC: (&str, &str) = ("RECOUP__HTTP__PUBLIC_URL", "https://pay.example.com");
    assert!(from_env(&[PUBLIC]).unwrap().oidc.is_none());
    let oidc = from_env(&[ISSUER, CLIENT, SECRET, PUBLIC]).unwrap().oidc.unwrap();
    assert_eq!((oidc.issuer.as_str(), oidc.client_id.as_str()), (ISSUER.1, CLIENT.1));
    assert_eq!(oidc.client_secret.expose_secret(), SECRET.1);
    for (key, parts) in [
        ("oidc.issuer", [CLIENT, SECRET]),
        ("oidc.client_id", [ISSUER, SECRET]),
        ("oidc.client_secret", [ISSUER, CLIENT]),
    ] {
        let fault = fault(&[&parts[..], &[PUBLIC]].concat());
        assert_eq!(fault.key, key);
        assert!(fault.problem.contains("all three, or none"), "{fault}");
    }
    let homeless = fault(&[ISSUER, CLIENT, SECRET]);
    assert_eq!(homeless.key, "http.public_url");
    assert!(homeless.problem.contains("[oidc]"), "{homeless}");
    for bad in [
        "http://accounts.example.com",
        "http://127.0.0.1.example",
        "accounts.example.com",
        "https://user@accounts.example.com",
        "https://accounts.example.com/?realm=a",
    ] {
        let fault = fault(&[(ISSUER.0, bad), CLIENT, SECRET, PUBLIC]);
        assert!(
            fault.key == "oidc.issuer" && !fault.to_string().contains(bad),
            "{fault}"
        );
    }
    assert!(from_env(&[(ISSUER.0, "http://localhost:9000/realms/a"), CLIENT, SECRET, PUBLIC]).is_ok());
}
