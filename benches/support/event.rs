//! Events as Stripe sends them, each with ids and a signature of its own. They are signed before anything is timed.

use std::sync::atomic::{AtomicUsize, Ordering};

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

    /// Appends the body of an event.
    pub fn write(&self, event: Event, to: &mut Vec<u8>) {
        let start = to.len();
        to.extend_from_slice(TEMPLATE);
        // The event names itself first.
        let numbers = std::iter::once(event.number).chain(std::iter::repeat(event.invoice));
        for (place, number) in self.places.iter().zip(numbers) {
            let digits = format!("{number:0DIGITS$x}");
            to[start + place..][..DIGITS].copy_from_slice(digits.as_bytes());
        }
        if event.broken {
            to[start] = b'?';
        }
    }
}

/// One event: its own number, that of the invoice it tells of, and whether its body is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub number: u64,
    pub invoice: u64,
    pub broken: bool,
}

impl Event {
    /// The only event of an invoice.
    pub const fn of(number: u64) -> Self {
        Self {
            number,
            invoice: number,
            broken: false,
        }
    }
}

/// Signed events, handed out one by one to whoever sends them.
pub struct Signed {
    template: Template,
    head: String,
    events: Vec<(Event, [u8; 64])>,
    next: AtomicUsize,
    /// Whether the first comes again after the last.
    pub endless: bool,
}

impl Signed {
    /// Signs `count` events from number `first` on, as of now, to be posted to `path`.
    pub fn new(path: &str, first: u64, count: usize) -> Self {
        Self::of(path, (first..first + count as u64).map(Event::of))
    }

    /// Signs events as of now, to be posted to `path` in this order.
    pub fn of(path: &str, events: impl IntoIterator<Item = Event>) -> Self {
        let template = Template::new();
        let signed_at = Clock::System.now().as_second();
        let key = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("HMAC takes a key of any length");
        let mut body = Vec::new();
        let signed = events.into_iter().map(|event| {
            body.clear();
            template.write(event, &mut body);
            let mut mac = key.clone();
            mac.update(format!("{signed_at}.").as_bytes());
            mac.update(&body);
            let mut text = [0; 64];
            hex::encode_to_slice(mac.finalize().into_bytes(), &mut text).expect("32 bytes are 64 digits");
            (event, text)
        });
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Stripe-Signature: t={signed_at},v1=",
            Template::bytes()
        );
        Self {
            events: signed.collect(),
            template,
            head,
            next: AtomicUsize::new(0),
            endless: false,
        }
    }

    /// Writes the next request in place of what is in `request`; `false` where there is none left.
    pub fn next(&self, request: &mut Vec<u8>) -> bool {
        let mut index = self.next.fetch_add(1, Ordering::Relaxed);
        if index >= self.events.len() {
            if !self.endless {
                return false;
            }
            index %= self.events.len();
        }
        let (event, signature) = &self.events[index];
        request.clear();
        request.extend_from_slice(self.head.as_bytes());
        request.extend_from_slice(signature);
        request.extend_from_slice(b"\r\n\r\n");
        self.template.write(*event, request);
        true
    }
}
