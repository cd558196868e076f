//! What the adapter needs to start, and that its secrets stay inside.

use recoup::providers::stripe::{Stripe, StripeSettings};
use recoup::providers::{ChargeRequest, Provider};
use serde_json::json;

use super::fake::{Fake, Reply};
use super::{API_KEY, WEBHOOK_SECRET, stripe_at};

fn settings(base: &str, key: &str, secret: &str) -> StripeSettings {
    StripeSettings {
        api_base: base.parse().unwrap(),
        api_key: key.into(),
        webhook_secrets: vec![secret.into()],
    }
}

#[test]
fn unusable_settings_are_refused_by_name() {
    for (base, key, secret, named) in [
        ("ftp://127.0.0.1", API_KEY, WEBHOOK_SECRET, "base"),
        ("http://user:pass@127.0.0.1", API_KEY, WEBHOOK_SECRET, "base"),
        ("http://127.0.0.1/?x=1", API_KEY, WEBHOOK_SECRET, "base"),
        ("data:text", API_KEY, WEBHOOK_SECRET, "base"),
        ("http://127.0.0.1", "", WEBHOOK_SECRET, "API key"),
        ("http://127.0.0.1", "sk_test_canary\n", WEBHOOK_SECRET, "API key"),
        ("http://127.0.0.1", API_KEY, "", "webhook secret"),
    ] {
        let error = Stripe::new(settings(base, key, secret)).unwrap_err().to_string();
        assert!(error.contains(named), "{base}: {error}");
        assert!(!error.contains("canary") && !error.contains("pass@"), "{error}");
    }
}

#[test]
fn the_key_says_whether_money_is_real() {
    for (key, livemode) in [
        ("sk_live_1", Some(true)),
        ("rk_live_1", Some(true)),
        ("sk_test_1", Some(false)),
        ("rk_test_live_1", Some(false)),
        ("sandbox", None),
    ] {
        let stripe = Stripe::new(settings("http://127.0.0.1:1", key, WEBHOOK_SECRET)).unwrap();
        assert_eq!(stripe.capabilities().livemode, livemode, "{key}");
    }
}

#[test]
fn plain_http_needs_no_certificates() {
    // The test runs itself where no certificate can be found; the inner run only builds the adapter.
    if std::env::var_os("RECOUP_TEST_WITHOUT_CERTIFICATES").is_some() {
        assert!(Stripe::new(settings("http://127.0.0.1:1", API_KEY, WEBHOOK_SECRET)).is_ok());
        let refused = Stripe::new(settings("https://127.0.0.1:1", API_KEY, WEBHOOK_SECRET)).unwrap_err();
        assert!(refused.to_string().contains("ca-certificates"), "{refused}");
        return;
    }
    let inner = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "stripe::set_up::plain_http_needs_no_certificates"])
        .env("RECOUP_TEST_WITHOUT_CERTIFICATES", "1")
        .env("SSL_CERT_FILE", "/nonexistent")
        .env("SSL_CERT_DIR", "/nonexistent")
        .output()
        .unwrap();
    assert!(inner.status.success(), "{}", String::from_utf8_lossy(&inner.stdout));
    assert!(String::from_utf8_lossy(&inner.stdout).contains("1 passed"));
}

#[tokio::test]
async fn secrets_stay_inside() {
    let leaky = json!({ "type": "invalid_request_error", "code": "Ada ada@example.com",
        "message": format!("Invalid API Key provided: {API_KEY} for ada@example.com") });
    let fake = Fake::start([
        ("GET /v1/invoices/in_1", Reply::error(400, &leaky)),
        ("POST /v1/invoices/in_1/pay", Reply::error(400, &leaky)),
        ("POST /v1/billing_portal/sessions", Reply::error(500, &leaky)),
    ])
    .await;
    let stripe = stripe_at(&fake.base);
    let request = ChargeRequest {
        invoice_id: "in_1".to_owned(),
        key: "att_1".to_owned(),
        amount: recoup::domain::money::Money::new(1, "EUR".parse().unwrap()),
        payment_method: None,
    };
    let nowhere = stripe_at(&"http://127.0.0.1:1".parse().unwrap());
    let told = [
        format!("{stripe:?}"),
        format!("{:?}", settings("http://127.0.0.1:1", API_KEY, WEBHOOK_SECRET)),
        format!("{:?}", stripe.charge(&request).await),
        format!("{:?}", stripe.snapshot("in_1").await),
        format!("{:?}", stripe.update_link("cus_1", "lnk_1").await),
        format!("{:?}", nowhere.charge(&request).await),
        format!("{:?}", stripe.normalize(b"ada@example.com")),
        format!(
            "{:?}",
            stripe.verify(Some("t=1,v1=ada@example.com"), b"", jiff::Timestamp::UNIX_EPOCH)
        ),
    ];
    for text in told {
        for secret in [API_KEY, WEBHOOK_SECRET, "ada@", "Ada"] {
            assert!(!text.contains(secret), "{text}");
        }
    }
}
