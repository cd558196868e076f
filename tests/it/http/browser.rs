//! A browser as the dashboard meets it: one cookie, the proof of the last page, forms from our own origin.

use std::cell::RefCell;

use jiff::Timestamp;
use recoup::domain::role::Role;
use recoup::http::people::{self, Link, NewPerson};

use super::{Seen, Stage};

pub const PASSWORD: &str = "four words are enough";

pub struct Browser<'a> {
    stage: &'a Stage,
    /// Name and value of its cookie.
    pub cookie: RefCell<String>,
    /// What the forms of the page shown last carry.
    pub csrf: RefCell<String>,
}

impl<'a> Browser<'a> {
    pub fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            cookie: RefCell::default(),
            csrf: RefCell::default(),
        }
    }

    pub async fn get(&self, path: &str) -> Seen {
        let request = self.stage.client.get(self.stage.url(path));
        let request = request.header("cookie", self.cookie.borrow().as_str());
        self.take(self.stage.send(request).await)
    }

    /// Sends a form as the page shown last would.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Seen {
        let csrf = self.csrf.borrow().clone();
        self.forge(path, &self.stage.base, &csrf, fields).await
    }

    /// Sends a form from this origin with this proof.
    pub async fn forge(&self, path: &str, origin: &str, csrf: &str, fields: &[(&str, &str)]) -> Seen {
        let fields = [fields, &[("csrf", csrf)]].concat();
        let request = self.stage.client.post(self.stage.url(path)).header("origin", origin);
        let request = request.header("cookie", self.cookie.borrow().as_str()).form(&fields);
        self.take(self.stage.send(request).await)
    }

    fn take(&self, seen: Seen) -> Seen {
        if let Some(set) = seen
            .header("set-cookie")
            .split(';')
            .next()
            .filter(|set| !set.is_empty())
        {
            self.cookie.replace(set.to_owned());
        }
        if let Some((_, rest)) = seen.text.split_once("name=\"csrf\" value=\"") {
            self.csrf.replace(rest.split('"').next().unwrap().to_owned());
        }
        seen
    }

    pub async fn try_key(&self, key: &str) -> Seen {
        self.get("/dashboard/login").await;
        self.post("/dashboard/login", &[("key", key)]).await
    }

    pub async fn try_password(&self, email: &str, password: &str) -> Seen {
        self.get("/dashboard/login").await;
        let fields = [("email", email), ("password", password)];
        self.post("/dashboard/login", &fields).await
    }

    /// Chooses a password by a link.
    pub async fn join(&self, link: &str, fields: &[(&str, &str)]) -> Seen {
        let path = link.strip_prefix(&self.stage.base).unwrap_or(link);
        let seen = self.get(path).await;
        assert_eq!(seen.status, 200, "{}", seen.text);
        self.post(path, fields).await
    }

    /// Whether somebody is signed in here.
    pub async fn is_in(&self) -> bool {
        let seen = self.get("/dashboard").await;
        assert!(matches!(seen.status, 200 | 303), "{}", seen.text);
        seen.status == 200
    }
}

/// Fails unless a sign-in or a form led on to that page.
pub fn led_to(seen: &Seen, path: &str) {
    assert_eq!((seen.status, seen.header("location")), (303, path), "{}", seen.text);
}

/// The path of a link.
pub fn path_of(link: &Link) -> String {
    link.url("")
}

/// Invites somebody of that role and lets them choose [`PASSWORD`]; gives their browser, signed in.
pub async fn joined<'a>(stage: &'a Stage, name: &str, role: Role) -> Browser<'a> {
    let new = NewPerson {
        name: name.to_owned(),
        email: address(name),
        role,
    };
    let (_, link) = people::invite(&stage.store, "tests", new, stage.clock.now())
        .await
        .unwrap();
    let browser = Browser::new(stage);
    led_to(
        &browser.join(&path_of(&link), &[("password", PASSWORD)]).await,
        "/dashboard",
    );
    browser
}

/// The mail address of somebody of that name.
pub fn address(name: &str) -> String {
    format!("{}@acme.example", name.to_lowercase().replace(' ', "."))
}

/// The id of whoever has that address.
pub async fn id_of(stage: &Stage, email: &str) -> String {
    let people = stage.get("/v1/people").await.json();
    let all = people["data"].as_array().unwrap();
    let found = all.iter().find(|person| person["email"] == email).unwrap();
    found["id"].as_str().unwrap().to_owned()
}

pub fn later(now: Timestamp, minutes: i64) -> Timestamp {
    now + jiff::SignedDuration::from_mins(minutes)
}
