//! Keys and sessions as a request carries them: whoever gets in holds a living one, and who holds one gets in.
//!
//! Parts: `k` for the header of a key, `c` for a cookie, `r` for the id of a request, `p` for the link of a customer; then the
//! value, byte by byte. In it `{A}`, `{V}` and `{R}` become the keys of an admin, of a viewer and one that was revoked, `{B}` the key
//! of the start, `{S}` and `{E}` a session and one that ended, `{P}` and `{T}` a link to the whole page and one only to stop reminders,
//! `{X}` and `{F}` a link that is too old and one of another signer.

#![no_main]

use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use libfuzzer_sys::fuzz_target;
use recoup::domain::campaign::Campaign;
use recoup::domain::case::Case;
use recoup::domain::decline::DeclineKind;
use recoup::domain::role::Role;
use recoup::links::{Links, Purpose};
use recoup::store::cases::insert;
use recoup::store::changes::CaseChange;
use recoup_fuzz::cases;
use recoup_fuzz::parts::{parts, text};
use recoup_fuzz::service::{Answer, BOOTSTRAP, Service, links, now};
use serde_json::Value;

struct World {
    service: Service,
    admin: String,
    viewer: String,
    revoked: String,
    session: String,
    ended: String,
    tokens: Tokens,
    /// The page of every link that opens nothing.
    gone: Vec<u8>,
}

/// Links of one case.
struct Tokens {
    page: String,
    stop: String,
    old: String,
    forged: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let service = Service::start();
    let revoked = service.key(3, Role::Admin);
    service.revoke(&revoked);
    let (session, ended) = (log_in(&service), log_in(&service));
    let shown = service.exchange(page_with("me", &ended).as_bytes());
    let answer = service.exchange(form("logout", &ended, &proof(&shown)).as_bytes());
    assert_eq!(answer.status, 303);
    let gone = service.exchange(b"GET /p/0 HTTP/1.1\r\nHost: recoup.example\r\n\r\n");
    assert_eq!(gone.status, 404);
    World {
        tokens: tokens(&service),
        gone: gone.body,
        admin: service.key(1, Role::Admin),
        viewer: service.key(2, Role::Viewer),
        revoked,
        session,
        ended,
        service,
    }
});

fuzz_target!(|input: &[u8]| {
    let [kind, value] = parts(input);
    let value = filled(value);
    match kind {
        b"c" => cookie(&value),
        b"r" => request_id(&value),
        b"p" => page(&value),
        _ => key(&value),
    }
});

/// The value with the names of keys and sessions replaced, and without what would end a header.
fn filled(value: &[u8]) -> Vec<u8> {
    let world = &*WORLD;
    let known = [
        ("{A}", world.admin.as_str()),
        ("{V}", &world.viewer),
        ("{R}", &world.revoked),
        ("{B}", BOOTSTRAP),
        ("{S}", &world.session),
        ("{E}", &world.ended),
        ("{P}", &world.tokens.page),
        ("{T}", &world.tokens.stop),
        ("{X}", &world.tokens.old),
        ("{F}", &world.tokens.forged),
    ];
    let mut filled = Vec::new();
    let mut rest = value;
    while let Some(byte) = rest.first() {
        if let Some((name, text)) = known.iter().find(|(name, _)| rest.starts_with(name.as_bytes())) {
            filled.extend_from_slice(text.as_bytes());
            rest = &rest[name.len()..];
        } else {
            filled.extend((!b"\r\n".contains(byte)).then_some(byte));
            rest = &rest[1..];
        }
    }
    filled
}

fn ask(path: &str, name: &str, value: &[u8]) -> Answer {
    let head = format!("GET {path} HTTP/1.1\r\nHost: recoup.example\r\n{name}: ");
    let answer = WORLD.service.exchange(&[head.as_bytes(), value, b"\r\n\r\n"].concat());
    assert!(answer.status < 500, "{answer:?}");
    // The id of a request is given back.
    if name == "X-Request-Id" {
        return answer;
    }
    for secret in [&WORLD.admin, &WORLD.viewer, &WORLD.session, BOOTSTRAP] {
        assert!(
            !text(&answer.body).contains(secret) && !answer.head.contains(secret),
            "an answer tells a secret"
        );
    }
    answer
}

fn key(value: &[u8]) {
    // Only an admin may read the audit trail.
    let answer = ask("/v1/audit", "Authorization", value);
    if answer.status == 400 {
        assert!(
            value.iter().any(|byte| *byte < b' ' && *byte != b'\t' || *byte == 0x7f),
            "{:?}",
            text(value)
        );
        return;
    }
    let text = text(value);
    let token = text
        .trim_matches([' ', '\t'])
        .split_at_checked(7)
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer "));
    let token = token
        .map(|(_, token)| token.trim_matches([' ', '\t']))
        .unwrap_or_default();
    let (status, code) = match token {
        token if [&WORLD.admin, BOOTSTRAP].contains(&token) => (200, None),
        token if WORLD.viewer == token => (403, Some("forbidden")),
        _ => (401, Some("unauthorized")),
    };
    assert_eq!(answer.status, status, "{text:?}");
    if let Some(code) = code {
        let problem: Value = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&code.into(), &status.into()));
    }
}

fn cookie(value: &[u8]) {
    let answer = ask("/dashboard", "Cookie", value);
    let whole = [b"recoup=", WORLD.session.as_bytes()].concat();
    if value == whole {
        assert_eq!(answer.status, 200);
    }
    match answer.status {
        200 => assert!(text(&decoded(value)).contains(&WORLD.session), "{:?}", text(value)),
        303 => assert_eq!(answer.header("location"), Some("/dashboard/login")),
        status => assert_eq!(status, 400, "{:?}", text(value)),
    }
}

/// The value with its percent signs resolved.
fn decoded(value: &[u8]) -> Vec<u8> {
    // A form would end at the first of these two.
    let blank = |byte: &u8| if b"&+".contains(byte) { b' ' } else { *byte };
    let form: Vec<u8> = b"x=".iter().chain(value).map(blank).collect();
    let fields = url::form_urlencoded::parse(&form);
    fields.flat_map(|(_, value)| value.into_owned().into_bytes()).collect()
}

fn request_id(value: &[u8]) {
    let answer = ask("/healthz", "X-Request-Id", value);
    let given = text(value);
    let given = given.trim_matches([' ', '\t']);
    let plain =
        (1..=64).contains(&given.len()) && given.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if answer.status == 200 {
        let id = answer.header("x-request-id").unwrap();
        assert!(
            if plain {
                id == given
            } else {
                id.starts_with("req_") && id.len() == 36
            },
            "{given:?} became {id:?}"
        );
    } else {
        assert!(answer.status == 400 && !plain, "{answer:?}");
    }
}

/// Whoever holds a link that was signed here and is not too old sees the case, and does what the link is for. All others see one page.
fn page(value: &[u8]) {
    let world = &*WORLD;
    let known = [(&world.tokens.page, true), (&world.tokens.stop, false)];
    let known = known
        .into_iter()
        .find(|(token, _)| token.as_bytes().eq_ignore_ascii_case(value));
    let escaped: String = value
        .iter()
        .map(|byte| {
            if byte.is_ascii_alphanumeric() {
                char::from(*byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        })
        .collect();
    let send = |request: String| world.service.exchange(request.as_bytes());
    let shown = send(format!("GET /p/{escaped} HTTP/1.1\r\nHost: recoup.example\r\n\r\n"));
    let body = "answer=other";
    let done = send(format!(
        "POST /p/{escaped}/answer HTTP/1.1\r\nHost: recoup.example\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    match known {
        Some((_, whole)) => {
            assert_eq!(
                (shown.status, done.status),
                (200, if whole { 303 } else { 404 }),
                "{escaped}"
            );
            let html = text(&shown.body);
            assert!(html.contains("19.99") && html.contains("/answer\"") == whole, "{html}");
        }
        // Without a token there is no such route.
        None if value.is_empty() => assert_eq!((shown.status, done.status), (404, 404)),
        None => {
            for answer in [shown, done] {
                assert_eq!(answer.status, 404, "{escaped}");
                assert!(answer.body == world.gone, "{}", text(&answer.body));
            }
        }
    }
}

/// Keeps a case and gives its links.
fn tokens(service: &Service) -> Tokens {
    let case = cases::open(1, &Campaign::embedded(), DeclineKind::InsufficientFunds, "UTC", now());
    keep(service, &case);
    let token = |links: &Links, purpose, at: Timestamp| {
        let url = links.url(purpose, &case.id, at).unwrap();
        url.rsplit('/').next().unwrap().to_owned()
    };
    let other = Links::new("https://recoup.example".parse().unwrap(), [2; 32]);
    Tokens {
        page: token(&links(), Purpose::Page, now()),
        stop: token(&links(), Purpose::Stop, now()),
        old: token(&links(), Purpose::Page, now() - SignedDuration::from_hours(14 * 24)),
        forged: token(&other, Purpose::Page, now()),
    }
}

fn keep(service: &Service, case: &Case) {
    let opened = CaseChange {
        case: case.clone(),
        restated: true,
        lines: Vec::new(),
        rows: Vec::new(),
        audit: Vec::new(),
        release: None,
        at: now(),
    };
    service.runtime.block_on(async {
        let tx = service.store.begin().await.unwrap();
        assert!(insert(&tx, &[&opened]).await.unwrap().contains(&case.id));
        tx.commit().await.unwrap();
    });
}

/// Signs in with the key of the start and gives the text of the session.
fn log_in(service: &Service) -> String {
    let shown = service.exchange(page_with("login", "").as_bytes());
    let fields = format!("{}&key={BOOTSTRAP}", proof(&shown));
    let answer = service.exchange(form("login", &cookie_of(&shown), &fields).as_bytes());
    assert_eq!(answer.status, 303, "{}", text(&answer.body));
    cookie_of(&answer)
}

/// The text of the cookie that an answer sets.
fn cookie_of(answer: &Answer) -> String {
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.strip_prefix("recoup="));
    cookie.and_then(|cookie| cookie.split(';').next()).unwrap().to_owned()
}

/// The field by which the forms of a page prove where they are from.
fn proof(answer: &Answer) -> String {
    let page = text(&answer.body);
    let (_, rest) = page.split_once("name=\"csrf\" value=\"").unwrap();
    format!("csrf={}", rest.split('"').next().unwrap())
}

fn page_with(page: &str, cookie: &str) -> String {
    format!("GET /dashboard/{page} HTTP/1.1\r\nHost: recoup.example\r\nCookie: recoup={cookie}\r\n\r\n")
}

fn form(action: &str, cookie: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /dashboard/{action} HTTP/1.1\r\nHost: recoup.example\r\nSec-Fetch-Site: same-origin\r\n\
         Cookie: recoup={cookie}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
