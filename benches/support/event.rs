//! Events as Stripe sends them, each with ids and a signature of its own. They are signed before anything is timed.

use std::sync::atomic::{AtomicU64, Ordering};

use hmac::{Hmac, KeyInit, Mac};
use recoup::clock::Clock;
use sha2::Sha256;

/// The secret that the service under test is given.
pub const SECRET: &str = "whsec_of_the_benchmarks";
/// An `invoice.payment_failed`; sixteen zeros stand wherever an id is counted up.
const TEMPLATE: &[u8] = include_bytes!("../invoice_payment_failed.json");
const DIGITS: usize = 16;

/// The template and the places in it where the number of an event stands.
pub struct Template {
    places: Vec<usize>,
}

impl Template {
    pub fn new() -> Self {
        let zeros = [b'0'; DIGITS];
        let at = TEMPLATE.windows(DIGITS).enumerate();
        let places = at.filter(|(_, window)| *window == zeros).map(|(at, _)| at).collect();
        Self { places }
    }

    /// How long each event is, in bytes.
    pub const fn bytes() -> usize {
        TEMPLATE.len()
    }

    /// Appends the body of event `number`.
    pub fn write(&self, number: u64, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(TEMPLATE);
        let digits = format!("{number:0DIGITS$x}");
        for place in &self.places {
            to[start + place..][..DIGITS].copy_from_slice(digits.as_bytes());
        }
    }
}

/// Signed events, handed out one by one to whoever sends them.
pub struct Signed {
    template: Template,
    head: String,
    first: u64,
    signatures: Vec<[u8; 64]>,
    next: AtomicU64,
    /// Whether the first comes again after the last.
    pub endless: bool,
}

impl Signed {
    /// Signs `count` events from number `first` on, as of now, to be posted to `path`.
    pub fn new(path: &str, first: u64, count: usize) -> Self {
        let template = Template::new();
        let signed_at = Clock::System.now().as_second();
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes a key of any length");
        let mut body = Vec::new();
        let numbers = first..first + count as u64;
        let signatures = numbers.map(|number| {
            body.clear();
            template.write(number, &mut body);
            let mut mac = key.clone();
            mac.update(format!("{signed_at}.").as_bytes());
            mac.update(&body);
            let mut text = [0; 64];
            hex::encode_to_slice(mac.finalize().into_bytes(), &mut text).expect("32 bytes are 64 digits");
            text
        });
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Stripe-Signature: t={signed_at},v1=",
            Template::bytes()
        );
        Self {
            signatures: signatures.collect(),
            template,
            head,
            first,
            next: AtomicU64::new(0),
            endless: false,
        }
    }

    /// Writes the next request in place of what is in `request`; `false` where there is none left.
    pub fn next(&self, request: &mut Vec<u8>) -> bool {
        let count = self.signatures.len() as u64;
        let mut index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= count {
            if !self.endless {
                return false;
            }
            index %= count;
        }
        request.clear();
        request.extend_from_slice(self.head.as_bytes());
        let signature = usize::try_from(index).expect("an index of a list fits");
        request.extend_from_slice(&self.signatures[signature]);
        request.extend_from_slice(b"\r\n\r\n");
        self.template.write(self.first + index, request);
        true
    }
}
