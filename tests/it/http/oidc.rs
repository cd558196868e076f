//! Single sign-on: who is let in by the word of an identity provider, and who is not.

mod answers;
mod people;
mod tokens;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use recoup::clock::Clock;
use recoup::domain::role::Role;
use recoup::http::Options;
use recoup::http::oidc::Oidc;
use recoup::http::people::{self as invited, Link, NewPerson};
use recoup::store::people::PersonRow;
use serde_json::Value;

use super::browser::led_to;
use super::{BOOTSTRAP, Seen, Stage, at};
use crate::support::databases::each_database;
use crate::support::identity::Identity;

const PUBLIC: &str = "https://billing.acme.example";
const PENDING: &str = "__Host-recoup_oidc";

/// Plays a story on a service that an identity provider vouches to, once per kind of database.
#[expect(
    clippy::needless_pass_by_value,
    reason = "a closure written in place reads best without an ampersand"
)]
fn with_identity(story: impl AsyncFn(&Stage, &Identity)) {
    each_database(async |store| {
        let clock = Clock::test(at("2026-03-02T10:00:00Z"));
        let identity = Identity::start(clock.clone());
        let public_url = PUBLIC.parse().unwrap();
        let provider = Oidc::new(&identity.settings(), &public_url).unwrap();
        let options = Options {
            bootstrap_key: Some(BOOTSTRAP.into()),
            public_url: Some(public_url),
            oidc: Some(Arc::new(provider)),
            ..Options::default()
        };
        let stage = Stage::new(store, clock, options).await;
        story(&stage, &identity).await;
        stage.end().await;
        identity.stop().await;
    });
}

/// A browser that keeps all its cookies and follows links to the provider and back.
struct Tab<'a> {
    stage: &'a Stage,
    cookies: RefCell<BTreeMap<String, String>>,
}

impl<'a> Tab<'a> {
    fn new(stage: &'a Stage) -> Self {
        Self {
            stage,
            cookies: RefCell::default(),
        }
    }

    async fn get(&self, path: &str) -> Seen {
        let pairs = self.cookies.borrow().clone().into_iter();
        let cookies: Vec<String> = pairs.map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.stage.client.get(self.stage.url(path));
        let seen = self.stage.send(request.header("cookie", cookies.join("; "))).await;
        for set in seen.headers.get_all("set-cookie") {
            let set = set.to_str().unwrap();
            let (name, value) = set.split(';').next().unwrap().split_once('=').unwrap();
            if set.contains("Max-Age=0") {
                self.cookies.borrow_mut().remove(name);
            } else {
                self.cookies.borrow_mut().insert(name.to_owned(), value.to_owned());
            }
        }
        seen
    }

    /// Begins, signs in at the provider, and gives the path and query of ours that it leads back to.
    async fn to_provider(&self) -> String {
        let begun = self.get("/dashboard/oidc/start").await;
        assert_eq!(begun.status, 303, "{}", begun.text);
        let there = self.stage.client.get(begun.header("location"));
        let back = self.stage.send(there).await;
        let back = back.header("location").to_owned();
        back.strip_prefix(PUBLIC).expect("it leads back to us").to_owned()
    }

    /// The whole way.
    async fn sign_on(&self) -> Seen {
        let back = self.to_provider().await;
        self.get(&back).await
    }

    async fn is_in(&self) -> bool {
        self.get("/dashboard").await.status == 200
    }
}

/// Fails unless nobody was let in, and the page of the sign-in says so.
#[track_caller]
fn turned_away(seen: &Seen, why: &str) {
    led_to(seen, &format!("/dashboard/login?sso={why}"));
    let set: Vec<_> = seen.headers.get_all("set-cookie").iter().collect();
    assert!(
        set.iter().all(|set| set.to_str().unwrap().contains("Max-Age=0")),
        "{set:?}"
    );
}

/// Invites somebody with that address.
async fn invite(stage: &Stage, name: &str, email: &str) -> (PersonRow, Link) {
    let new = NewPerson {
        name: name.to_owned(),
        email: email.to_owned(),
        role: Role::Billing,
    };
    let now = stage.clock.now();
    invited::invite(&stage.store, "tests", new, now).await.unwrap()
}

/// The entries of the audit log with that action.
async fn audited(stage: &Stage, action: &str) -> Vec<Value> {
    let audit = stage.get("/v1/audit?limit=200").await.json();
    let all = audit["data"].as_array().unwrap().clone();
    all.into_iter().filter(|entry| entry["action"] == action).collect()
}
