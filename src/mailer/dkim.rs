//! DKIM (RFC 6376, and RFC 8463 for Ed25519): a signature over what the relay is given, so that whoever receives the message can tell
//! that the domain stands behind it.
//!
//! Canonicalisation is relaxed/relaxed, which survives that a relay folds headers anew or drops blanks at the ends of lines. The lines
//! are cut as they go over the wire, before dots are doubled.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::MailerError;
use super::wire::lines;

/// How many characters of the signature stand on one line.
const LINE_CHARS: usize = 72;

/// A domain that signs, under the selector where its public key is found.
pub struct Dkim {
    domain: String,
    selector: String,
    key: Key,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ed25519(Ed25519KeyPair),
}

impl Dkim {
    /// A signer from the settings `mail.dkim_domain`, `mail.dkim_selector` and `mail.dkim_key`, a private key as PEM. The error never
    /// quotes the key.
    pub fn new(domain: &str, selector: &str, key: &SecretString) -> Result<Self, MailerError> {
        let fault = MailerError::DkimKey;
        let der = PrivateKeyDer::from_pem_slice(key.expose_secret().as_bytes())
            .map_err(|_| fault("not a private key in PEM, as `openssl genrsa 2048` makes one"))?;
        let unfit = fault("neither an RSA key of 2048 to 4096 bits nor an Ed25519 key");
        let key = match &der {
            PrivateKeyDer::Pkcs1(der) => RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(Key::rsa),
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let ed25519 = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok().map(Key::Ed25519);
                ed25519.or_else(|| RsaKeyPair::from_pkcs8(der).ok().map(Key::rsa))
            }
            _ => None,
        };
        Ok(Self {
            domain: domain.to_owned(),
            selector: selector.to_owned(),
            key: key.ok_or(unfit)?,
        })
    }

    /// The message with its signature before it, made at `now`.
    pub(super) fn signed(&self, message: &[u8], now: Timestamp) -> Result<Vec<u8>, &'static str> {
        let (headers, body) = parts(message);
        let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        // Named once more than it is there: so nobody can add a second one.
        names.push("from");
        let algorithm = match self.key {
            Key::Rsa(_) => "rsa-sha256",
            Key::Ed25519(_) => "ed25519-sha256",
        };
        let value = format!(
            "v=1; a={algorithm}; c=relaxed/relaxed; d={}; s={};\r\n\tt={}; h={};\r\n\tbh={};\r\n\tb=",
            self.domain,
            self.selector,
            now.as_second().max(0),
            names.join(":"),
            BASE64_STANDARD.encode(Sha256::digest(body)),
        );
        let mut data = String::new();
        for (name, value) in &headers {
            for part in [name.as_str(), ":", value.as_str(), "\r\n"] {
                data.push_str(part);
            }
        }
        data.push_str("dkim-signature:");
        data.push_str(&relaxed(&value));
        let signature = BASE64_STANDARD.encode(self.key.sign(data.as_bytes())?);
        let mut out = format!("DKIM-Signature: {value}").into_bytes();
        for (nth, line) in signature.as_bytes().chunks(LINE_CHARS).enumerate() {
            if nth > 0 {
                out.extend_from_slice(b"\r\n\t");
            }
            out.extend_from_slice(line);
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(message);
        Ok(out)
    }
}

impl Key {
    fn rsa(pair: RsaKeyPair) -> Self {
        Self::Rsa(Box::new(pair))
    }

    fn sign(&self, data: &[u8]) -> Result<Vec<u8>, &'static str> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), data, &mut signature)
                    .map_err(|_| "the message could not be signed")?;
                Ok(signature)
            }
            Self::Ed25519(pair) => Ok(pair.sign(&Sha256::digest(data)).as_ref().to_vec()),
        }
    }
}

/// The headers of a message by their names in small letters, and its body, all in relaxed form.
fn parts(message: &[u8]) -> (Vec<(String, String)>, Vec<u8>) {
    let mut headers: Vec<String> = Vec::new();
    let mut rest = lines(message);
    for line in rest.by_ref().take_while(|line| !line.is_empty()) {
        let line = String::from_utf8_lossy(line);
        match headers.last_mut() {
            Some(header) if line.starts_with([' ', '\t']) => header.push_str(&line),
            _ => headers.push(line.into_owned()),
        }
    }
    let header = |header: &String| {
        let (name, value) = header.split_once(':')?;
        Some((name.trim().to_ascii_lowercase(), relaxed(value)))
    };
    (headers.iter().filter_map(header).collect(), relaxed_body(rest))
}

/// Runs of blanks and line breaks as one blank, and none at the ends.
fn relaxed(text: &str) -> String {
    text.split_ascii_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs of blanks as one blank, none at the ends of lines, and no empty lines at the end.
fn relaxed_body<'a>(lines: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut body = Vec::new();
    let mut empty = 0;
    for line in lines {
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
        let mut relaxed: Vec<u8> = Vec::with_capacity(line.len());
        for byte in line {
            match (is_blank(byte), relaxed.last()) {
                (true, Some(b' ')) => {}
                (true, _) => relaxed.push(b' '),
                (false, _) => relaxed.push(*byte),
            }
        }
        if relaxed.last() == Some(&b' ') {
            relaxed.pop();
        }
        if relaxed.is_empty() {
            empty += 1;
            continue;
        }
        body.extend(b"\r\n".repeat(empty));
        empty = 0;
        body.extend(relaxed);
        body.extend_from_slice(b"\r\n");
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6376, section 3.4.5.
    #[test]
    fn the_example_of_the_standard_comes_out_relaxed() {
        let (headers, body) = parts(b"A: X\r\nB : Y\t\r\n\tZ  \r\n\r\n C \r\nD \t E\r\n\r\n\r\n");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(headers, [pair("a", "X"), pair("b", "Y Z")]);
        assert_eq!(body, b" C\r\nD E\r\n");
    }

    #[test]
    fn a_body_of_nothing_is_nothing() {
        for message in ["A: b\r\n\r\n", "A: b\r\n\r\n\r\n\r\n", "A: b\r\n"] {
            assert!(parts(message.as_bytes()).1.is_empty(), "{message:?}");
        }
    }
}
