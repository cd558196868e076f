//! Marketing sees no personal data anywhere: every page and every answer, walked over a database full of it.

use std::collections::{BTreeSet, VecDeque};

use recoup::domain::role::Role;
use recoup::http::{DASHBOARD_ROUTES, rules};
use serde_json::{Value, json};

use super::browser::{Browser, address, joined, later, led_to};
use super::contract::operations;
use super::{Seen, Stage, stage};

/// Stands in every name, address and remark.
const MARK: &str = "mxrk";
/// More pages than there are.
const PAGES_MAX: usize = 300;
/// What marketing may ask for, and is not there: this campaign has no shadow.
const NOT_THERE: &str = "/v1/campaigns/{name}/shadow";

/// What must not be seen, and by what single things are asked for.
struct World {
    secrets: Vec<String>,
    customer: String,
    case: String,
    mail: String,
}

impl World {
    fn filled(&self, pattern: &str) -> String {
        pattern
            .replace("/campaigns/{name}", "/campaigns/default")
            .replace("{name}", "payment_failed")
            .replace("{customer_id}", &self.customer)
            .replace("{id}", &self.case)
            .replace("{mail}", &self.mail)
            .replace("{token}", "none")
    }

    /// The secrets that an answer shows; what was asked for is no news to who asked.
    fn shown(&self, seen: &Seen, path: &str) -> Vec<&str> {
        let asked = path.split('?').next().unwrap();
        let text = format!("{} {:?}", seen.text, seen.headers)
            .replace(asked, "")
            .to_lowercase();
        let secrets = self.secrets.iter().map(String::as_str);
        secrets.filter(|secret| text.contains(&secret.to_lowercase())).collect()
    }
}

/// A case that was charged and written about, and everything else that names somebody.
async fn world(stage: &Stage) -> World {
    let customer = stage
        .sandbox
        .add_customer("Mxrk Customerin", "mxrk.customer@customers.example");
    let price = recoup::domain::money::Money::new(1_999, "EUR".parse().unwrap());
    let subscription = stage
        .sandbox
        .add_subscription(&customer, price, super::at("2026-04-01T10:00:00Z"));
    let invoice = stage.sandbox.open_invoice(&subscription, "insufficient_funds");
    stage.sandbox.deliver_webhooks().await;
    stage.engine.tick().await.unwrap();
    let start = stage.clock.now();
    for hours in [6, 24, 48, 96] {
        stage.clock.advance_to(later(start, hours * 60)).unwrap();
        stage.engine.tick().await.unwrap();
    }
    let cases = stage.get(&format!("/v1/cases?invoice_id={invoice}")).await.json();
    let case = cases["data"][0]["id"].as_str().unwrap().to_owned();
    let note = stage
        .post(&format!("/v1/cases/{case}/notes"), &json!({"comment": "Mxrk called"}))
        .await;
    assert_eq!(note.status, 200, "{}", note.text);
    let list = json!({"address": "mxrk.other@customers.example", "scope": "all", "comment": "mxrk asked"});
    assert_eq!(stage.post("/v1/suppressions", &list).await.status, 200);
    let key = json!({"name": "mxrk laptop", "role": "viewer"});
    assert_eq!(stage.post("/v1/keys", &key).await.status, 201);
    let admin = joined(stage, "Mxrk Admin", Role::Admin).await;
    admin.get("/dashboard/cases").await;
    let view = [("name", "Mxrk view"), ("list", "q=mxrk.customer%40customers.example")];
    assert_eq!(admin.post("/dashboard/views", &view).await.status, 303);
    let failed = Browser::new(stage);
    assert_eq!(
        failed
            .try_password(&address("Mxrk Admin"), "mxrk mxrk mxrk")
            .await
            .status,
        401
    );
    let mails = stage.get(&format!("/v1/notifications?case_id={case}")).await.json();
    let mail = mails["data"]
        .as_array()
        .unwrap()
        .iter()
        .find(|mail| mail["subject"].is_string());
    let mail = mail.expect("a mail left")["id"].as_str().unwrap().to_owned();
    let secrets = [MARK, &customer, &case, &invoice, &subscription, &mail];
    World {
        secrets: secrets.map(str::to_owned).to_vec(),
        customer,
        case,
        mail,
    }
}

/// The address of an operation, as it is and with each value that one of its parameters can have.
fn addresses(world: &World, pattern: &str, operation: &Value) -> Vec<String> {
    let path = world.filled(pattern);
    let mut all = vec![path.clone()];
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let name = parameter["name"].as_str().unwrap();
        let values = parameter["schema"]["enum"].as_array().into_iter().flatten();
        all.extend(values.map(|value| format!("{path}?{name}={}", value.as_str().unwrap())));
        match name {
            "locale" => all.push(format!("{path}?locale=de")),
            "customer_id" if parameter["in"] == "query" => all.push(format!("{path}?{name}={}", world.customer)),
            "case_id" => all.push(format!("{path}?{name}={}", world.case)),
            _ => {}
        }
    }
    all
}

/// Asks for every GET route with a key; gives the secrets that were seen.
async fn walk_api(stage: &Stage, world: &World, role: Role) -> BTreeSet<String> {
    let key = stage.key(role).await;
    let mut told = BTreeSet::new();
    for (method, pattern, operation) in operations() {
        if method != "GET" {
            continue;
        }
        let allowed = rules::needed(&"GET".parse().unwrap(), &pattern).is_none_or(|needed| role.allows(needed));
        for path in addresses(world, &pattern, &operation) {
            for accept in ["application/json", "text/csv"] {
                let request = stage.client.get(stage.url(&path)).bearer_auth(&key);
                let seen = stage.send(request.header("accept", accept)).await;
                let there = pattern != NOT_THERE && pattern != "/v1/cases/{id}/forecast";
                assert_eq!(seen.status == 403, !allowed, "{role} {path}: {}", seen.text);
                if role == Role::Marketing && allowed && there {
                    assert!(
                        matches!(seen.status, 200 | 303),
                        "{path}: {} {}",
                        seen.status,
                        seen.text
                    );
                }
                let shown = world.shown(&seen, &path);
                assert!(
                    role == Role::Admin || shown.is_empty(),
                    "{path} shows {shown:?}: {}",
                    seen.text
                );
                told.extend(shown.into_iter().map(str::to_owned));
            }
        }
    }
    told
}

/// Opens every page of the dashboard and follows every link; gives the secrets that were seen and the pages that opened.
async fn walk_pages(browser: &Browser<'_>, world: &World, role: Role) -> (BTreeSet<String>, BTreeSet<String>) {
    let pages = DASHBOARD_ROUTES.iter().filter(|(_, methods)| methods.contains(&"GET"));
    let mut todo: VecDeque<String> = pages.map(|(pattern, _)| world.filled(pattern)).collect();
    let (mut known, mut told, mut open) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    while let Some(path) = todo.pop_front() {
        // A feed has no end to wait for; whom it names has a test of its own.
        let endless = path == "/dashboard/feed" && role.allows(Role::Viewer);
        if endless || !known.insert(path.clone()) {
            continue;
        }
        assert!(known.len() < PAGES_MAX, "the walk does not end");
        let seen = browser.get(&path).await;
        assert!(
            seen.status < 500 && seen.header("location") != "/dashboard/login",
            "{path}: {}",
            seen.text
        );
        let shown = world.shown(&seen, &path);
        assert!(
            role == Role::Admin || shown.is_empty(),
            "{path} shows {shown:?}: {}",
            seen.text
        );
        told.extend(shown.into_iter().map(str::to_owned));
        if seen.status == 200 {
            open.insert(path.clone());
        }
        for mark in ["href=\"", "src=\""] {
            let links = seen.text.split(mark).skip(1);
            let links = links
                .filter_map(|rest| rest.split('"').next())
                .filter(|link| link.starts_with('/'));
            todo.extend(links.map(|link| link.replace("&#x2f;", "/").replace("&amp;", "&")));
        }
    }
    (told, open)
}

#[test]
fn marketing_meets_nobody_on_any_page_or_route() {
    stage(async |stage| {
        let world = world(stage).await;
        let browser = joined(stage, "Mila", Role::Marketing).await;
        let (_, open) = walk_pages(&browser, &world, Role::Marketing).await;
        for page in [
            "/dashboard",
            "/dashboard/learning",
            "/dashboard/messages",
            "/dashboard/me",
        ] {
            assert!(open.contains(page), "{open:?}");
        }
        let by_key = Browser::new(stage);
        led_to(&by_key.try_key(&stage.key(Role::Marketing).await).await, "/dashboard");
        walk_pages(&by_key, &world, Role::Marketing).await;
        walk_api(stage, &world, Role::Marketing).await;

        // An admin meets all of it: a walk that finds nothing proves something only where there is something.
        let all: BTreeSet<String> = world.secrets.iter().cloned().collect();
        let admin = joined(stage, "Ada", Role::Admin).await;
        let (told, open) = walk_pages(&admin, &world, Role::Admin).await;
        assert_eq!(told, all, "{open:?}");
        assert_eq!(walk_api(stage, &world, Role::Admin).await, all);
    });
}
