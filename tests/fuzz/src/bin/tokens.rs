//! Keys and sessions as a request carries them: whoever gets in holds a living one, and who holds one gets in.
//!
//! Parts: `k` for the header of a key, `c` for a cookie, `r` for the id of a request; then the value, byte by byte. In it
//! `{A}`, `{V}` and `{R}` become the keys of an admin, of a viewer and one that was revoked, `{B}` the key of the start, and
//! `{S}` and `{E}` a session and one that ended.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use recoup::domain::role::Role;
use recoup_fuzz::parts::{parts, text};
use recoup_fuzz::service::{Answer, BOOTSTRAP, Service};
use serde_json::Value;

struct World {
    service: Service,
    admin: String,
    viewer: String,
    revoked: String,
    session: String,
    ended: String,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let service = Service::start();
    let revoked = service.key(3, Role::Admin);
    service.revoke(&revoked);
    let (session, ended) = (log_in(&service), log_in(&service));
    let answer = service.exchange(form("logout", &format!("Cookie: recoup_session={ended}\r\n"), "").as_bytes());
    assert_eq!(answer.status, 303);
    World {
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
    let whole = [b"recoup_session=", WORLD.session.as_bytes()].concat();
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

/// Logs in with the key of the start and gives the text of the session.
fn log_in(service: &Service) -> String {
    let answer = service.exchange(form("login", "", &format!("key={BOOTSTRAP}")).as_bytes());
    assert_eq!(answer.status, 303, "{}", text(&answer.body));
    let cookie = answer
        .header("set-cookie")
        .and_then(|cookie| cookie.strip_prefix("recoup_session="));
    cookie.and_then(|cookie| cookie.split(';').next()).unwrap().to_owned()
}

fn form(action: &str, header: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "POST /dashboard/{action} HTTP/1.1\r\nHost: recoup.example\r\nSec-Fetch-Site: same-origin\r\n{header}\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}
