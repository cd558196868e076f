//! Whether the provider, the mail relay and the identity provider can be reached, with one or two cheap calls each and no mail.

use super::{Findings, Verdict};
use crate::app::{connections, identity_provider, mailer};
use crate::clock::Clock;
use crate::config::Config;
use crate::config::clock::Mode;
use crate::providers::ReadError;

/// Our clock and the provider's may differ by so much.
const SKEW_SECS: i64 = 60;

pub(super) async fn check(config: &Config, findings: &mut Findings) {
    provider(config, findings).await;
    relay(config, findings).await;
    sign_on(config, findings).await;
}

async fn provider(config: &Config, findings: &mut Findings) {
    let connections = match connections(config) {
        Ok(connections) => connections,
        Err(error) => {
            findings.tell(
                "provider",
                Verdict::Bad,
                format!("{error:#}"),
                "check the section [stripe]",
            );
            return;
        }
    };
    if connections.is_empty() {
        let mend = "set stripe.api_key and stripe.webhook_secrets";
        findings.tell("provider", Verdict::Note, "none is configured", mend);
    }
    for connection in connections {
        let name = &connection.name;
        match connection.provider.greet().await {
            Ok(theirs) => {
                findings.tell(
                    "provider",
                    Verdict::Good,
                    format!("{name} answers and takes the key"),
                    "",
                );
                if let (Some(theirs), Mode::System) = (theirs, config.clock.mode) {
                    let apart = Clock::System.now().duration_since(theirs).as_secs();
                    let verdict = if apart.abs() > SKEW_SECS {
                        Verdict::Bad
                    } else {
                        Verdict::Good
                    };
                    let says = format!("our clock is {apart} s ahead of {name}'s");
                    findings.tell("provider clock", verdict, says, "set our clock by NTP");
                }
            }
            Err(error) => {
                let mend = match error {
                    ReadError::Refused(_) => "check stripe.api_key and the rights of the key",
                    ReadError::NotFound | ReadError::Unavailable { .. } => {
                        "check stripe.api_base, the network, and the provider's status page"
                    }
                };
                findings.tell("provider", Verdict::Bad, format!("{name}: {error}"), mend);
            }
        }
    }
}

async fn relay(config: &Config, findings: &mut Findings) {
    let mailer = match mailer(config) {
        Ok(mailer) => mailer,
        Err(error) => {
            findings.tell("mail", Verdict::Bad, error.to_string(), "check the section [mail]");
            return;
        }
    };
    match mailer.greet().await {
        Ok(true) => findings.tell("mail", Verdict::Good, "the relay answers", ""),
        Ok(false) => {
            let mend = "set mail.smtp_url and mail.from";
            findings.tell(
                "mail",
                Verdict::Note,
                "mails are kept in the database and not sent",
                mend,
            );
        }
        Err(reason) => findings.tell("mail", Verdict::Bad, reason, "check mail.smtp_url and the relay's log"),
    }
}

/// Nothing is said where nobody asked for single sign-on: passwords do without.
async fn sign_on(config: &Config, findings: &mut Findings) {
    let mut tell = |verdict, says: String, mend| findings.tell("single sign-on", verdict, says, mend);
    let provider = match identity_provider(config) {
        Ok(Some(provider)) => provider,
        Ok(None) => return,
        Err(error) => {
            return tell(
                Verdict::Bad,
                format!("{error:#}"),
                "check the certificates of this machine",
            );
        }
    };
    let host = provider.host();
    match provider.greet(Clock::System.now()).await {
        Ok(0) => {
            let mend = "have it sign ID tokens by RS256 or ES256";
            tell(
                Verdict::Bad,
                format!("{host} has no key that could sign for Recoup"),
                mend,
            );
        }
        Ok(keys) => {
            let says = format!("{host} answers, calls itself what oidc.issuer says, and has {keys} keys");
            tell(Verdict::Good, says, "");
        }
        Err(fault) => {
            let mend = "check oidc.issuer, letter by letter, and the network";
            tell(Verdict::Bad, format!("{host}: {fault}"), mend);
        }
    }
}
