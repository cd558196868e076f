//! Single sign-on: we ask an identity provider that speaks OpenID Connect who somebody is (authorization code flow with PKCE), and
//! believe it by its signature.
//!
//! What it says of itself and its keys is read when somebody signs in, and kept for an hour, so that a key that it withdrew is not
//! believed for long. A token that names a key which we do not know has them read again, once a minute at most.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::{Mutex, Semaphore};
use url::{Url, form_urlencoded};

use crate::config::oidc::Oidc as Settings;
use pending::Pending;
pub(crate) use token::Vouched;
use token::{Bad, Expected, Token};

pub(super) mod pending;
pub(super) mod person;
mod token;

/// Where the provider sends browsers back to, below our public address.
const CALLBACK: &str = "/dashboard/oidc/callback";
/// Where a provider tells of itself, below its issuer.
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// How long the connection to the provider may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one call to the provider may take: somebody waits for it.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// The most bytes of an answer of the provider.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How long what the provider says of itself is believed.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// How often it is asked again for the sake of a key that is not known.
const KEYS_EVERY: SignedDuration = SignedDuration::from_mins(1);
/// How long a provider that did not answer is left alone, so that those who wait in line do not each wait for it anew.
const REST: SignedDuration = SignedDuration::from_secs(10);
/// How many codes are redeemed at once. Anybody can come with a bad one, and each is a call to the provider.
const REDEEMED_AT_ONCE: usize = 16;
/// How many characters of an error code are logged.
const CODE_CHARS_MAX: usize = 40;

/// Why the provider vouched for nobody.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// It could not be asked.
    #[error("the identity provider's {0} cannot be read: {1}")]
    Away(&'static str, &'static str),
    /// It could not be asked just now, and is not asked again at once.
    #[error("the identity provider did not answer a moment ago, and is not asked again yet")]
    Resting,
    /// Too many others ask it at this moment.
    #[error("too many codes are being redeemed")]
    Busy,
    /// It says something of itself that cannot be.
    #[error("the identity provider's {0} is not what it should be: {1}")]
    Malformed(&'static str, &'static str),
    /// It does not take us for its client, or the code for one of its own.
    #[error("the identity provider refused the code: {0}")]
    Code(String),
    /// Its token is not good.
    #[error("the ID token is not taken: {0}")]
    Token(Bad),
    /// The answer is that of another provider.
    #[error("the answer is not from the issuer that was asked")]
    Issuer,
}

/// What the provider says of itself.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// The provider as it was read last.
struct Known {
    authorization: Url,
    token: Url,
    keys: Vec<token::Key>,
    /// Whether the secret goes into the body, because the provider takes it nowhere else.
    secret_in_body: bool,
    names_itself: bool,
    read_at: Timestamp,
}

#[derive(Default)]
struct Memory {
    known: Option<Arc<Known>>,
    failed_at: Option<Timestamp>,
}

/// The identity provider that vouches for people, and who we are to it.
pub struct Oidc {
    settings: Settings,
    host: String,
    redirect_uri: String,
    http: reqwest::Client,
    /// Held while the provider is read, so that it is read once however many wait for it.
    memory: Mutex<Memory>,
    redeeming: Semaphore,
}

impl fmt::Debug for Oidc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Oidc")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Oidc {
    /// The provider that the configuration names; nothing is called yet. Fails where HTTPS cannot be set up.
    pub fn new(settings: &Settings, public_url: &Url) -> Result<Self, reqwest::Error> {
        // Another part of the program may have installed a provider of ciphers already; any will do.
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .user_agent(concat!("recoup/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(CALL_TIMEOUT)
            .build()?;
        let host = Url::parse(&settings.issuer).ok();
        let host = host.as_ref().and_then(Url::host_str).unwrap_or_default();
        Ok(Self {
            settings: settings.clone(),
            host: host.to_owned(),
            redirect_uri: format!("{}{CALLBACK}", public_url.as_str().trim_end_matches('/')),
            http,
            memory: Mutex::default(),
            redeeming: Semaphore::new(REDEEMED_AT_ONCE),
        })
    }

    /// The provider's host, by which people know it.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    /// The name by which the provider's accounts are kept.
    pub(crate) fn issuer(&self) -> &str {
        &self.settings.issuer
    }

    /// Reads what the provider says of itself, and gives the number of its keys that can sign for us.
    pub(crate) async fn greet(&self, now: Timestamp) -> Result<usize, Fault> {
        Ok(self.read(now).await?.keys.len())
    }

    /// The page of the provider on which somebody signs in.
    pub(crate) async fn page(&self, pending: &Pending, now: Timestamp) -> Result<Url, Fault> {
        let mut url = self.known(now, KEPT).await?.authorization.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("response_mode", "query")
            .append_pair("client_id", &self.settings.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", "openid email")
            .append_pair("state", &pending.state())
            .append_pair("nonce", &pending.nonce())
            .append_pair("code_challenge", &pending.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Whom the provider vouches for by this code. `named` is the issuer that the answer names (RFC 9207).
    pub(crate) async fn redeem(
        &self,
        code: &str,
        named: Option<&str>,
        pending: &Pending,
        now: Timestamp,
    ) -> Result<Vouched, Fault> {
        let _one_of_few = self.redeeming.try_acquire().map_err(|_| Fault::Busy)?;
        let known = self.known(now, KEPT).await?;
        if named.map_or(known.names_itself, |named| named != self.settings.issuer) {
            return Err(Fault::Issuer);
        }
        let text = self.id_token(&known, code, pending).await?;
        let token = Token::read(text.expose_secret()).map_err(Fault::Token)?;
        let claims = match token.verified(&known.keys) {
            Err(Bad::UnknownKey) => token.verified(&self.known(now, KEYS_EVERY).await?.keys),
            answer => answer,
        };
        let expected = Expected {
            issuer: &self.settings.issuer,
            client_id: &self.settings.client_id,
            nonce: &pending.nonce(),
        };
        claims
            .and_then(|claims| claims.checked(&expected, now))
            .map_err(Fault::Token)
    }

    /// Gives the code away for the token.
    async fn id_token(&self, known: &Known, code: &str, pending: &Pending) -> Result<SecretString, Fault> {
        #[derive(Deserialize)]
        struct Answer {
            id_token: String,
        }
        #[derive(Deserialize)]
        struct Refusal {
            error: String,
        }
        let (id, secret) = (&self.settings.client_id, self.settings.client_secret.expose_secret());
        let verifier = pending.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_uri),
            ("code_verifier", &verifier),
        ];
        let mut request = self.http.post(known.token.clone());
        if known.secret_in_body {
            form.extend([("client_id", id.as_str()), ("client_secret", secret)]);
        } else {
            // Both are form-encoded before they are joined (RFC 6749, section 2.3.1).
            let encoded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            request = request.basic_auth(encoded(id), Some(encoded(secret)));
        }
        let what = "token endpoint";
        let (status, body) = answer(what, request.form(&form)).await?;
        if status.is_success() {
            let answer: Result<Answer, _> = serde_json::from_slice(&body);
            return match answer {
                Ok(answer) => Ok(answer.id_token.into()),
                Err(_) => Err(Fault::Malformed(what, "it gives no ID token")),
            };
        }
        let refusal: Refusal =
            serde_json::from_slice(&body).map_err(|_| Fault::Away(what, "it answers with an error"))?;
        Err(Fault::Code(code_of(&refusal.error)))
    }

    /// The provider, as it was read at most so long ago.
    async fn known(&self, now: Timestamp, age_max: SignedDuration) -> Result<Arc<Known>, Fault> {
        let mut memory = self.memory.lock().await;
        // A clock that was put back makes what was read in its future neither old nor new: then it is read again.
        let within = |at: Timestamp, span| (SignedDuration::ZERO..span).contains(&now.duration_since(at));
        if let Some(known) = memory.known.as_ref().filter(|known| within(known.read_at, age_max)) {
            return Ok(Arc::clone(known));
        }
        if memory.failed_at.is_some_and(|at| within(at, REST)) {
            return Err(Fault::Resting);
        }
        let read = self.read(now).await;
        memory.failed_at = read.is_err().then_some(now);
        let known = Arc::new(read?);
        memory.known = Some(Arc::clone(&known));
        Ok(known)
    }

    async fn read(&self, now: Timestamp) -> Result<Known, Fault> {
        let what = "discovery document";
        let base = self.settings.issuer.trim_end_matches('/');
        let body = self.get(what, &format!("{base}{DISCOVERY}")).await?;
        let document: Document =
            serde_json::from_slice(&body).map_err(|_| Fault::Malformed(what, "it lacks what is needed"))?;
        // Else it would be somebody else's word that is believed as this issuer's.
        if document.issuer != self.settings.issuer {
            return Err(Fault::Malformed(what, "its issuer is not the one of oidc.issuer"));
        }
        let jwks = self.endpoint(&document.jwks_uri)?;
        let keys = token::keys(&self.get("keys", jwks.as_str()).await?);
        let methods = document.token_endpoint_auth_methods_supported.unwrap_or_default();
        let takes = |method: &str| methods.iter().any(|known| known == method);
        Ok(Known {
            authorization: self.endpoint(&document.authorization_endpoint)?,
            token: self.endpoint(&document.token_endpoint)?,
            keys: keys.ok_or(Fault::Malformed("keys", "they are no key set"))?,
            secret_in_body: takes("client_secret_post") && !takes("client_secret_basic"),
            names_itself: document.authorization_response_iss_parameter_supported,
            read_at: now,
        })
    }

    /// An address that the provider names: as safe as its own.
    fn endpoint(&self, text: &str) -> Result<Url, Fault> {
        let url = Url::parse(text).ok();
        // The configuration lets an issuer be reached over plain http on this machine only.
        let plain = self.settings.issuer.starts_with("http://");
        let ours = |url: &Url| plain && url.scheme() == "http" && url.host_str() == Some(&self.host);
        let safe = url.filter(|url| url.scheme() == "https" || ours(url));
        safe.ok_or(Fault::Malformed(
            "discovery document",
            "it names an address that is not https",
        ))
    }

    async fn get(&self, what: &'static str, url: &str) -> Result<Vec<u8>, Fault> {
        match answer(what, self.http.get(url)).await? {
            (StatusCode::OK, body) => Ok(body),
            _ => Err(Fault::Away(what, "it answers with another status than 200")),
        }
    }
}

/// A code of an error, as it may stand in a log: what is no such word is left out.
pub(crate) fn code_of(text: &str) -> String {
    let word = text.chars().filter(|c| c.is_ascii_lowercase() || *c == '_');
    word.take(CODE_CHARS_MAX).collect()
}

/// Status and body of the answer to a request.
async fn answer(what: &'static str, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Fault> {
    let lost = |error: reqwest::Error| {
        let why = if error.is_connect() {
            "could not connect"
        } else if error.is_timeout() {
            "timed out"
        } else {
            "the connection broke"
        };
        Fault::Away(what, why)
    };
    let mut response = request
        .header("Accept", "application/json")
        .send()
        .await
        .map_err(lost)?;
    let status = response.status();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(Fault::Away(what, "the answer is too large"));
        }
        body.extend_from_slice(&chunk);
    }
    Ok((status, body))
}
