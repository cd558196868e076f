//! An identity provider on loopback, with keys of its own, which signs in at once whoever it is told to, and lies on demand.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use recoup::clock::{self, Clock};
use recoup::config::oidc::Oidc as Settings;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

pub const CLIENT: &str = "recoup:acme";
pub const CLIENT_SECRET: &str = "s3cret+of/the:tests";

type Query = web::Query<BTreeMap<String, String>>;
type Lie = Box<dyn Fn(&mut Value) + Send>;

/// How a token is sealed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Seal {
    /// By the newest key.
    Right,
    /// Not at all, and it says so.
    None,
    /// By the secret that the provider shares with the client, and it says so.
    Hs256,
    /// By a key of somebody else, under the name of the newest one.
    Strange,
}

/// A key of the provider.
pub enum Signer {
    Es256(Box<EcdsaKeyPair>),
    Rs256(Box<RsaKeyPair>),
}

impl Signer {
    /// A new key of P-256.
    pub fn es256() -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random);
        Self::Es256(Box::new(key.unwrap()))
    }

    /// The RSA key of the tests: making one takes long.
    pub fn rs256() -> Self {
        let pem = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/dkim/rsa.pem");
        let PrivateKeyDer::Pkcs8(der) = PrivateKeyDer::from_pem_slice(&fs::read(pem).unwrap()).unwrap() else {
            panic!("the key of the tests is PKCS #8");
        };
        Self::Rs256(Box::new(RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap()))
    }

    const fn alg(&self) -> &'static str {
        match self {
            Self::Es256(_) => "ES256",
            Self::Rs256(_) => "RS256",
        }
    }

    fn sign(&self, text: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Es256(key) => key.sign(&random, text).unwrap().as_ref().to_vec(),
            Self::Rs256(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, text, &mut signature).unwrap();
                signature
            }
        }
    }

    fn public(&self, kid: &str) -> Value {
        match self {
            Self::Es256(key) => {
                let point = key.public_key().as_ref();
                json!({"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "alg": "ES256",
                    "x": encoded(&point[1..33]), "y": encoded(&point[33..])})
            }
            Self::Rs256(key) => {
                let parts = PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": kid, "n": encoded(&parts.n), "e": encoded(&parts.e)})
            }
        }
    }
}

/// What the provider is made to do.
pub struct Mind {
    /// Who signs in: `sub`, `email`, `email_verified`.
    pub account: Value,
    /// How tokens are sealed.
    pub seal: Seal,
    /// What becomes of the claims of a token before it is sealed.
    pub lie: Lie,
    /// What becomes of the header of a token.
    pub head: Lie,
    /// What becomes of the document about the provider.
    pub document: Lie,
    /// Its keys by name; the last one signs.
    pub keys: Vec<(String, Signer)>,
    /// The error that it answers a sign-in with, in place of a code.
    pub error: Option<&'static str>,
    /// Whether it answers nothing but 503.
    pub down: bool,
    /// How often its document was read.
    pub reads: u32,
    /// How often somebody wanted a token.
    pub redeemed: u32,
    /// What is known of codes: the query of the sign-in that each is for.
    codes: BTreeMap<String, BTreeMap<String, String>>,
}

/// The provider.
pub struct Identity {
    pub issuer: String,
    mind: Arc<Mutex<Mind>>,
    server: actix_web::dev::ServerHandle,
}

struct Shared {
    issuer: String,
    mind: Arc<Mutex<Mind>>,
    clock: Clock,
}

impl Identity {
    /// Starts it, by that clock, with one key and one account: Bo's.
    pub fn start(clock: Clock) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = format!("http://{}/realms/acme", listener.local_addr().unwrap());
        let mind = Arc::new(Mutex::new(Mind {
            account: json!({"sub": "account-1", "email": "bo@acme.example", "email_verified": true}),
            seal: Seal::Right,
            lie: Box::new(|_| ()),
            head: Box::new(|_| ()),
            document: Box::new(|_| ()),
            keys: vec![("first".to_owned(), Signer::es256())],
            error: None,
            down: false,
            reads: 0,
            redeemed: 0,
            codes: BTreeMap::new(),
        }));
        let shared = web::Data::new(Shared {
            issuer: issuer.clone(),
            mind: Arc::clone(&mind),
            clock,
        });
        let server = HttpServer::new(move || {
            let realm = web::scope("/realms/acme")
                .route("/.well-known/openid-configuration", web::get().to(document))
                .route("/keys", web::get().to(keys))
                .route("/authorize", web::get().to(authorize))
                .route("/token", web::post().to(token));
            App::new().app_data(shared.clone()).service(realm)
        });
        let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
        let handle = server.handle();
        tokio::spawn(server);
        Self {
            issuer,
            mind,
            server: handle,
        }
    }

    pub fn mind(&self) -> MutexGuard<'_, Mind> {
        self.mind.lock().unwrap()
    }

    /// What Recoup is configured with.
    pub fn settings(&self) -> Settings {
        Settings {
            issuer: self.issuer.clone(),
            client_id: CLIENT.to_owned(),
            client_secret: CLIENT_SECRET.into(),
        }
    }

    pub async fn stop(&self) {
        self.server.stop(false).await;
    }
}

fn encoded(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

async fn document(shared: web::Data<Shared>) -> HttpResponse {
    let mut mind = shared.mind.lock().unwrap();
    if mind.down {
        return HttpResponse::ServiceUnavailable().finish();
    }
    mind.reads += 1;
    let issuer = &shared.issuer;
    let mut document = json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "authorization_response_iss_parameter_supported": true,
    });
    (mind.document)(&mut document);
    HttpResponse::Ok().json(document)
}

async fn keys(shared: web::Data<Shared>) -> HttpResponse {
    let mind = shared.mind.lock().unwrap();
    let mut keys: Vec<Value> = mind.keys.iter().map(|(kid, key)| key.public(kid)).collect();
    // Providers have keys for other things as well.
    keys.push(json!({"kty": "OKP", "crv": "X25519", "use": "enc", "kid": "other", "x": "AA"}));
    keys.push(json!({"no": "key"}));
    HttpResponse::Ok().json(json!({ "keys": keys }))
}

/// Signs in whoever the mind names, and leads back at once.
async fn authorize(shared: web::Data<Shared>, query: Query) -> HttpResponse {
    let mut mind = shared.mind.lock().unwrap();
    let mut back = url::Url::parse(&query["redirect_uri"]).unwrap();
    if let Some(error) = mind.error {
        back.query_pairs_mut().append_pair("error", error);
    } else {
        let code = format!("{:032x}", clock::entropy());
        back.query_pairs_mut().append_pair("code", &code);
        mind.codes.insert(code, query.0.clone());
    }
    back.query_pairs_mut()
        .append_pair("state", &query["state"])
        .append_pair("iss", &shared.issuer);
    HttpResponse::Found()
        .insert_header(("location", back.as_str()))
        .finish()
}

async fn token(
    shared: web::Data<Shared>,
    request: HttpRequest,
    form: web::Form<BTreeMap<String, String>>,
) -> HttpResponse {
    let mut mind = shared.mind.lock().unwrap();
    if mind.down {
        return HttpResponse::ServiceUnavailable().finish();
    }
    mind.redeemed += 1;
    let refused = |error: &str| HttpResponse::BadRequest().json(json!({"error": error, "error_description": "no"}));
    let encoded_form = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let basic = format!("{}:{}", encoded_form(CLIENT), encoded_form(CLIENT_SECRET));
    let basic = format!("Basic {}", BASE64_STANDARD.encode(basic));
    let given = request
        .headers()
        .get("authorization")
        .map(|value| value.to_str().unwrap());
    let in_body = form.get("client_secret").map(String::as_str) == Some(CLIENT_SECRET);
    if given != Some(basic.as_str()) && !in_body {
        return refused("invalid_client");
    }
    let Some(asked) = mind.codes.remove(&form["code"]) else {
        return refused("invalid_grant");
    };
    let challenge = encoded(&Sha256::digest(&form["code_verifier"]));
    let fits = challenge == asked["code_challenge"] && form["redirect_uri"] == asked["redirect_uri"];
    if !fits || form["grant_type"] != "authorization_code" {
        return refused("invalid_grant");
    }
    let now = shared.clock.now().as_second();
    let mut claims = json!({
        "iss": shared.issuer, "aud": asked["client_id"], "nonce": asked["nonce"],
        "iat": now, "exp": now + 300,
    });
    let own = mind.account.as_object().unwrap().clone();
    claims.as_object_mut().unwrap().extend(own);
    (mind.lie)(&mut claims);
    let answer = json!({"access_token": "x", "token_type": "Bearer", "id_token": sealed(&mind, &claims)});
    HttpResponse::Ok().json(answer)
}

fn sealed(mind: &Mind, claims: &Value) -> String {
    let (kid, key) = mind.keys.last().unwrap();
    let alg = match mind.seal {
        Seal::Right | Seal::Strange => key.alg(),
        Seal::None => "none",
        Seal::Hs256 => "HS256",
    };
    let mut header = json!({"alg": alg, "typ": "JWT", "kid": kid});
    (mind.head)(&mut header);
    let text = format!(
        "{}.{}",
        encoded(header.to_string().as_bytes()),
        encoded(claims.to_string().as_bytes())
    );
    let signature = match mind.seal {
        Seal::Right => key.sign(text.as_bytes()),
        Seal::None => Vec::new(),
        Seal::Hs256 => {
            let mut mac = Hmac::<Sha256>::new_from_slice(CLIENT_SECRET.as_bytes()).unwrap();
            mac.update(text.as_bytes());
            mac.finalize().into_bytes().to_vec()
        }
        Seal::Strange => Signer::es256().sign(text.as_bytes()),
    };
    format!("{text}.{}", encoded(&signature))
}
