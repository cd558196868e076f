//! ID tokens: whose signature is taken, and which claims make one good for this sign-in.
//!
//! Only the two algorithms are taken that providers use for ID tokens, and the key decides which of them it is: a token that names none,
//! or a symmetric one with the public key or the client's secret as its secret, finds no key at all.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use serde::Deserialize;
use serde::de::IgnoredAny;
use subtle::ConstantTimeEq;

/// The provider's clock and ours may differ by so much.
const LEEWAY_SECS: i64 = 60;
/// How long the name of an account may be, by OpenID Connect Core 1.0, section 2.
const SUBJECT_CHARS_MAX: usize = 255;
/// How many bytes a coordinate of P-256 has.
const COORDINATE_BYTES: usize = 32;
/// How many keys of a provider are kept.
const KEYS_MAX: usize = 32;

/// Why a token is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Bad {
    /// It does not decode.
    #[error("it is no signed token")]
    Form,
    /// Its algorithm is none of ours.
    #[error("it is signed neither by RS256 nor by ES256")]
    Algorithm,
    /// It asks for something that we would have to understand.
    #[error("it wants extensions that are not known here")]
    Extensions,
    /// The provider has no such key.
    #[error("it is signed by a key that the provider does not name")]
    UnknownKey,
    /// The signature does not fit.
    #[error("its signature does not fit")]
    Signature,
    /// Somebody else made it.
    #[error("it is from another issuer")]
    Issuer,
    /// It is for somebody else.
    #[error("it is not for this client")]
    Audience,
    /// It is too old.
    #[error("it has expired")]
    Expired,
    /// It is from the future.
    #[error("it is not good yet, by our clock")]
    Early,
    /// It belongs to another sign-in.
    #[error("its nonce is not that of this sign-in")]
    Nonce,
    /// It does not say who signed in.
    #[error("it does not name the account")]
    Subject,
}

/// A public key of the provider.
pub(super) struct Key {
    id: Option<String>,
    kind: Kind,
}

/// What a key is made of, which says by what it signs.
enum Kind {
    /// Modulus and exponent.
    Rs256(Vec<u8>, Vec<u8>),
    /// A point of P-256, uncompressed.
    Es256(Vec<u8>),
}

/// A key as providers write it.
#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

#[derive(Deserialize)]
struct Jwks {
    keys: Vec<serde_json::Value>,
}

/// The keys of a document that can check a token of ours; those of other kinds are passed over, for a provider may have any.
pub(super) fn keys(document: &[u8]) -> Option<Vec<Key>> {
    let document: Jwks = serde_json::from_slice(document).ok()?;
    let readable = document
        .keys
        .into_iter()
        .filter_map(|key| serde_json::from_value(key).ok());
    Some(readable.filter_map(key).take(KEYS_MAX).collect())
}

fn key(jwk: Jwk) -> Option<Key> {
    let part = |text: &Option<String>| BASE64_URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let (alg, kind) = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => ("RS256", Kind::Rs256(part(&jwk.n)?, part(&jwk.e)?)),
        ("EC", Some("P-256")) => {
            let (x, y) = (part(&jwk.x)?, part(&jwk.y)?);
            let whole = x.len() == COORDINATE_BYTES && y.len() == COORDINATE_BYTES;
            whole.then(|| ("ES256", Kind::Es256([&[4], &x[..], &y[..]].concat())))?
        }
        _ => return None,
    };
    let signs = jwk.purpose.is_none_or(|purpose| purpose == "sig") && jwk.alg.is_none_or(|named| named == alg);
    signs.then_some(Key { id: jwk.kid, kind })
}

impl Key {
    fn fits(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Rs256(n, e) => {
                let n = &n[n.iter().take_while(|byte| **byte == 0).count()..];
                let key = RsaPublicKeyComponents { n, e };
                key.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
            Kind::Es256(point) => {
                let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point);
                key.verify(signed, signature).is_ok()
            }
        }
    }

    const fn alg(&self) -> &'static str {
        match self.kind {
            Kind::Rs256(..) => "RS256",
            Kind::Es256(_) => "ES256",
        }
    }
}

#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    crit: Option<IgnoredAny>,
}

/// A token whose signature was not looked at yet.
pub(super) struct Token<'t> {
    header: Header,
    signed: &'t str,
    claims: Vec<u8>,
    signature: Vec<u8>,
}

impl<'t> Token<'t> {
    /// Takes a token apart.
    pub(super) fn read(text: &'t str) -> Result<Self, Bad> {
        let (signed, signature) = text.rsplit_once('.').ok_or(Bad::Form)?;
        let (header, claims) = signed.split_once('.').ok_or(Bad::Form)?;
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Bad::Form);
        let header: Header = serde_json::from_slice(&decoded(header)?).map_err(|_| Bad::Form)?;
        if !matches!(header.alg.as_str(), "RS256" | "ES256") {
            return Err(Bad::Algorithm);
        }
        if header.crit.is_some() {
            return Err(Bad::Extensions);
        }
        Ok(Self {
            header,
            signed,
            claims: decoded(claims)?,
            signature: decoded(signature)?,
        })
    }

    /// What it claims, where one of the keys signed it. A token that names no key is checked by the only one there is.
    pub(super) fn verified(&self, keys: &[Key]) -> Result<Claims, Bad> {
        let mut able = keys.iter().filter(|key| key.alg() == self.header.alg);
        let key = match &self.header.kid {
            Some(kid) => able.find(|key| key.id.as_ref() == Some(kid)),
            None => able.next().filter(|_| able.next().is_none()),
        };
        if !key
            .ok_or(Bad::UnknownKey)?
            .fits(self.signed.as_bytes(), &self.signature)
        {
            return Err(Bad::Signature);
        }
        serde_json::from_slice(&self.claims).map_err(|_| Bad::Form)
    }
}

/// What a token says.
#[derive(Deserialize)]
pub(super) struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    email: Option<String>,
    // A provider that writes something else than a truth value says nothing by it, and still names the account.
    email_verified: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

/// What a token has to say.
pub(super) struct Expected<'e> {
    pub(super) issuer: &'e str,
    pub(super) client_id: &'e str,
    pub(super) nonce: &'e str,
}

/// Who signed in, by the word of the provider.
pub(crate) struct Vouched {
    /// What the provider calls the account, for ever.
    pub(crate) subject: String,
    /// The address that the provider knows to be theirs.
    pub(crate) email: Option<String>,
}

impl Claims {
    /// Who signed in, where all that it says is as it has to be.
    pub(super) fn checked(self, expected: &Expected<'_>, now: Timestamp) -> Result<Vouched, Bad> {
        if self.iss != expected.issuer {
            return Err(Bad::Issuer);
        }
        let ours = |name: &String| name == expected.client_id;
        let meant = match &self.aud {
            Audience::One(name) => ours(name),
            // Where it is for several, it has to say that it was us who asked for it.
            Audience::Several(names) => names.iter().any(ours) && (names.len() == 1 || self.azp.is_some()),
        };
        if !meant || !self.azp.as_ref().is_none_or(ours) {
            return Err(Bad::Audience);
        }
        let now = now.as_second();
        if self.exp.saturating_add(LEEWAY_SECS) <= now {
            return Err(Bad::Expired);
        }
        if self.iat.max(self.nbf.unwrap_or(self.iat)) > now + LEEWAY_SECS {
            return Err(Bad::Early);
        }
        let nonce = self.nonce.unwrap_or_default();
        if !bool::from(nonce.as_bytes().ct_eq(expected.nonce.as_bytes())) {
            return Err(Bad::Nonce);
        }
        if self.sub.is_empty() || self.sub.chars().count() > SUBJECT_CHARS_MAX || self.sub.contains('\0') {
            return Err(Bad::Subject);
        }
        let verified = self.email_verified == Some(serde_json::Value::Bool(true));
        Ok(Vouched {
            subject: self.sub,
            email: self.email.filter(|_| verified),
        })
    }
}
