//! What the desk watches: the overview with its feed, the inbox, the audit log, health, campaigns.

use std::time::Duration;

use recoup::domain::campaign::EMBEDDED;
use recoup::domain::ids::InboxId;
use recoup::domain::role::Role;
use recoup::store::inbox::{self, InboxStatus, NewInbox};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::browser::{Browser, joined, later, led_to};
use super::{BOOTSTRAP, Stage, stage};

/// An event that was given up.
async fn dead_event(stage: &Stage) -> InboxId {
    let now = stage.clock.now();
    let id = InboxId::new(now.as_millisecond(), 7);
    let event = NewInbox {
        id: id.clone(),
        connection: "stripe".to_owned(),
        event_id: "evt_dead".to_owned(),
        kind: "invoice.payment_failed".to_owned(),
        body: br#"{"id":"evt_dead","note":"<b>bold</b>"}"#.to_vec(),
        received_at: now,
        status: InboxStatus::Pending,
        reason: None,
    };
    inbox::insert(&stage.store, &event).await.unwrap();
    let sql = format!(
        "UPDATE inbox SET status = 'dead', reason = 'no such invoice', ended_at = {} WHERE id = '{id}'",
        now.as_millisecond()
    );
    stage.store.conn().execute_unprepared(&sql).await.unwrap();
    id
}

#[test]
fn a_dead_event_is_read_and_run_again_by_billing_staff() {
    stage(async |stage| {
        let id = dead_event(stage).await;
        let staff = joined(stage, "Bea", Role::Billing).await;
        let overview = staff.get("/dashboard").await.text;
        assert!(overview.contains("/dashboard/inbox?status=dead"), "{overview}");
        let list = staff.get("/dashboard/inbox?status=dead").await.text;
        assert!(list.contains("no such invoice") && list.contains(id.as_str()), "{list}");
        assert!(
            !staff
                .get("/dashboard/inbox?status=pending")
                .await
                .text
                .contains(id.as_str())
        );
        let path = format!("/dashboard/inbox/{id}");
        let event = staff.get(&path).await.text;
        assert!(event.contains("evt_dead") && event.contains("&lt;b&gt;bold"), "{event}");
        led_to(
            &staff.post(&format!("{path}/rerun"), &[]).await,
            &format!("{path}?done=rerun"),
        );
        let waits = staff.get(&format!("{path}?done=rerun")).await.text;
        assert!(waits.contains("It waits to be worked on."), "{waits}");
        led_to(
            &staff.post(&format!("{path}/rerun"), &[]).await,
            &format!("{path}?refused=not_dead"),
        );
        let audit = stage.get(&format!("/v1/audit?object={id}")).await.json();
        assert_eq!(audit["data"][0]["action"], "inbox.rerun");
        assert_eq!(audit["data"][0]["actor"], "Bea");
        assert_eq!(staff.get("/dashboard/inbox/none").await.status, 404);
        for (name, role) in [("Vic", Role::Viewer), ("Mila", Role::Marketing)] {
            let other = joined(stage, name, role).await;
            for page in ["/dashboard/inbox".to_owned(), path.clone()] {
                assert_eq!(other.get(&page).await.status, 403, "{role} {page}");
            }
            other.get("/dashboard").await;
            assert_eq!(other.post(&format!("{path}/rerun"), &[]).await.status, 403, "{role}");
        }
    });
}

#[test]
fn the_audit_log_is_read_by_who_by_what_and_by_case() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let note = json!({"comment": "called <us>"});
        assert_eq!(stage.post(&format!("/v1/cases/{id}/notes"), &note).await.status, 200);
        // Entries of one instant have no order among each other.
        stage.clock.advance_to(later(stage.clock.now(), 1)).unwrap();
        let ada = joined(stage, "Ada", Role::Admin).await;
        for query in [
            String::new(),
            format!("?object={id}"),
            "?actor=bootstrap&action=".to_owned(),
            "?action=notes".to_owned(),
        ] {
            let page = ada.get(&format!("/dashboard/audit{query}")).await;
            assert!(
                page.status == 200 && page.text.contains("called &lt;us&gt;"),
                "{query}: {}",
                page.text
            );
        }
        for query in ["?actor=nobody", "?action=stop", "?object=case_none"] {
            assert!(
                !ada.get(&format!("/dashboard/audit{query}"))
                    .await
                    .text
                    .contains("called"),
                "{query}"
            );
        }
        let first = stage.get("/v1/audit?limit=1").await.json();
        let rest = format!("/dashboard/audit?cursor={}", first["next_cursor"].as_str().unwrap());
        let newest = first["data"][0]["action"].as_str().unwrap().to_owned();
        let page = ada.get(&rest).await.text;
        assert!(page.contains("called") && newest != "notes", "{page}");
        assert_eq!(ada.get("/dashboard/audit?cursor=x").await.status, 400);
        let staff = joined(stage, "Bea", Role::Billing).await;
        assert_eq!(staff.get("/dashboard/audit").await.status, 403);
    });
}

#[test]
fn health_tells_of_queues_connections_and_the_schema() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let viewer = joined(stage, "Vic", Role::Viewer).await;
        let page = viewer.get("/dashboard/health").await;
        assert_eq!(page.status, 200, "{}", page.text);
        for part in [
            "ready",
            env!("CARGO_PKG_VERSION"),
            "up to date",
            "stripe",
            "arrive",
            "steps",
        ] {
            assert!(page.text.contains(part), "{part}: {}", page.text);
        }
        assert!(!page.text.contains("chip declined"), "all is well: {}", page.text);
        // A day on, nobody having worked: the case's step stands still.
        stage.clock.advance_to(later(stage.clock.now(), 10 * 24 * 60)).unwrap();
        let late = joined(stage, "Val", Role::Viewer)
            .await
            .get("/dashboard/health")
            .await
            .text;
        assert!(late.contains("chip declined"), "{late}");
        let marketing = joined(stage, "Mila", Role::Marketing).await;
        assert_eq!(marketing.get("/dashboard/health").await.status, 403);
    });
}

const DAY_MINUTES: i64 = 24 * 60;

#[test]
fn the_overview_names_what_needs_a_person_and_how_the_month_goes() {
    stage(async |stage| {
        let staff = Browser::new(stage);
        led_to(&staff.try_key(BOOTSTRAP).await, "/dashboard");
        let quiet = staff.get("/dashboard").await.text;
        assert!(
            quiet.contains("Nothing waits for you.") && quiet.contains("Nothing in the last seven days."),
            "{quiet}"
        );
        let id = stage.open_case("insufficient_funds").await;
        let other = stage.open_case("insufficient_funds").await;
        let warn = format!("UPDATE cases SET warnings = '[\"mail_bounced\"]' WHERE id = '{id}'");
        stage.store.conn().execute_unprepared(&warn).await.unwrap();
        stage.clock.advance_to(later(stage.clock.now(), 2)).unwrap();
        let page = staff.get("/dashboard").await.text;
        let todo = page
            .split("class=\"todo\"")
            .nth(1)
            .unwrap()
            .split("</ul>")
            .next()
            .unwrap();
        assert!(
            todo.contains(&id) && !todo.contains(&other) && todo.contains("mail bounced"),
            "{todo}"
        );
        let month = "This month beside the last at the same age";
        assert!(!page.contains(month), "today is not over: {page}");
        let lines = page.split("id=\"feed\"").nth(1).unwrap().split("</ol>").next().unwrap();
        assert!(lines.contains(&other), "{lines}");
        assert_eq!(
            stage.get("/v1/cases?needs_person=true").await.json()["data"][0]["id"],
            id
        );
        stage.clock.advance_to(later(stage.clock.now(), DAY_MINUTES)).unwrap();
        let staff = Browser::new(stage);
        led_to(&staff.try_key(BOOTSTRAP).await, "/dashboard");
        let page = staff.get("/dashboard").await.text;
        let beside = page.rsplit(month).next().unwrap().split("</table>").next().unwrap();
        assert!(beside.contains("EUR") && beside.contains(">2</td>"), "{beside}");
    });
}

/// The lines that a feed sent until it told of a case.
async fn told_of(feed: &mut reqwest::Response, case: &str) -> Vec<Value> {
    let mut text = String::new();
    while !text.contains(case) || !text.ends_with("\n\n") {
        let some = feed.chunk().await.unwrap().expect("the feed goes on");
        text.push_str(std::str::from_utf8(&some).unwrap());
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|json| serde_json::from_str(json).unwrap()).collect()
}

#[test]
fn the_feed_tells_new_lines_to_who_sees_cases_and_ends_with_the_process() {
    stage(async |stage| {
        let before = stage.open_case("insufficient_funds").await;
        stage.clock.advance_to(later(stage.clock.now(), 5)).unwrap();
        let viewer = joined(stage, "Vic", Role::Viewer).await;
        let page = viewer.get("/dashboard").await;
        let policy = page.header("content-security-policy");
        assert!(
            policy.contains("script-src 'self'; connect-src 'self'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert!(
            page.text.contains("<script src=\"/dashboard/feed.js\" defer></script>"),
            "{}",
            page.text
        );
        let script = viewer.get("/dashboard/feed.js").await;
        assert!(script.status == 200 && script.header("content-type").starts_with("text/javascript"));
        let open = async |browser: &Browser<'_>| {
            let request = stage.client.get(stage.url("/dashboard/feed"));
            let cookie = browser.cookie.borrow().clone();
            request.header("cookie", cookie).send().await.unwrap()
        };
        let mut feed = open(&viewer).await;
        assert_eq!(feed.status().as_u16(), 200);
        assert_eq!(feed.headers()["content-type"], "text/event-stream");
        let case = stage.open_case("expired_card").await;
        let lines = told_of(&mut feed, &case).await;
        assert!(
            lines.iter().all(|line| line["case"] != before.as_str()),
            "only what is new: {lines:?}"
        );
        let text = format!("{lines:?}").to_lowercase();
        assert!(!text.contains("ada") && !text.contains('@'), "nobody is named: {text}");

        let marketing = joined(stage, "Mila", Role::Marketing).await;
        assert_eq!(open(&marketing).await.status().as_u16(), 403);
        let nobody = stage.send(stage.client.get(stage.url("/dashboard/feed"))).await;
        assert_eq!(nobody.header("location"), "/dashboard/login");
        // As many as there is room for, and no more.
        let mut seats = Vec::new();
        let full = loop {
            let feed = open(&viewer).await;
            if feed.status().as_u16() != 200 {
                break feed;
            }
            seats.push(feed);
            assert!(seats.len() < 100, "there is no end of seats");
        };
        assert_eq!(full.status().as_u16(), 503);
        stage.draining.store(true, std::sync::atomic::Ordering::SeqCst);
        for mut feed in seats {
            while feed.chunk().await.unwrap().is_some() {}
        }
    });
}

#[test]
fn the_feed_misses_nothing_while_the_clock_stands() {
    stage(async |stage| {
        let case = stage.open_case("insufficient_funds").await;
        let note = async |n: u32| {
            let said = json!({"comment": format!("note number {n}.")});
            let told = stage.post(&format!("/v1/cases/{case}/notes"), &said).await;
            assert!(told.status < 300, "{}", told.text);
        };
        for n in 0..30 {
            note(n).await;
        }
        let viewer = joined(stage, "Vic", Role::Viewer).await;
        let cookie = viewer.cookie.borrow().clone();
        let request = stage.client.get(stage.url("/dashboard/feed")).header("cookie", cookie);
        let mut feed = request.send().await.unwrap();
        let mut seen = told_of(&mut feed, &case).await.len();
        for n in 30..36 {
            note(n).await;
            let told = tokio::time::timeout(Duration::from_secs(30), told_of(&mut feed, &case)).await;
            seen += told
                .unwrap_or_else(|_| panic!("note {n} is not told of after {seen} lines"))
                .len();
        }
        assert_eq!(seen, 12 + 6, "the newest when it opens, and each line once");
    });
}

#[test]
fn a_campaign_is_read_compared_looked_over_and_published() {
    stage(async |stage| {
        let ada = joined(stage, "Ada", Role::Admin).await;
        let publish = json!({"text": EMBEDDED});
        assert_eq!(stage.post("/v1/campaigns", &publish).await.status, 201);
        let list = ada.get("/dashboard/campaigns").await.text;
        assert!(list.contains("default@2"), "{list}");
        let shown = ada.get("/dashboard/campaigns?version=default@2").await.text;
        assert!(
            shown.contains("open cases have it") && shown.contains("The campaign of every case"),
            "{shown}"
        );
        assert_eq!(ada.get("/dashboard/campaigns?version=default@99").await.status, 404);

        ada.get("/dashboard/campaigns/write?version=default@2").await;
        let wrong = EMBEDDED.replace("version = 2\n", "version = 0\n");
        let seen = ada
            .post("/dashboard/campaigns/write", &[("text", &wrong), ("act", "publish")])
            .await;
        assert!(
            seen.status == 422 && seen.text.contains("id=\"line-1\""),
            "{}",
            seen.text
        );
        let changed = EMBEDDED.replace("version = 2\n", "version = 3\n").replace('\n', "\r\n");
        let seen = ada
            .post("/dashboard/campaigns/write", &[("text", &changed), ("act", "look")])
            .await;
        assert!(
            seen.status == 200 && seen.text.contains("default@3 has no fault."),
            "{}",
            seen.text
        );
        assert!(
            seen.text.contains("+version = 3") && seen.text.contains("-version = 2"),
            "{}",
            seen.text
        );
        let known = stage.get("/v1/campaigns/default?version=3").await;
        assert_eq!(known.status, 404, "looking over stores nothing");

        let viewer = joined(stage, "Vic", Role::Viewer).await;
        let seen = viewer.get("/dashboard/campaigns/write").await;
        assert!(seen.status == 200 && !seen.text.contains("value=\"publish\""));
        let fields = [("text", changed.as_str()), ("act", "publish")];
        assert_eq!(viewer.post("/dashboard/campaigns/write", &fields).await.status, 403);
        let done = ada.post("/dashboard/campaigns/write", &fields).await;
        led_to(&done, "/dashboard/campaigns?version=default@3&done=published");
        let diff = ada
            .get("/dashboard/campaigns?version=default@3&against=default@2")
            .await
            .text;
        assert!(diff.contains("+version = 3"), "{diff}");
        let other = changed.replace("name = \"default\"", "name = \"default\" # again");
        let seen = ada
            .post("/dashboard/campaigns/write", &[("text", &other), ("act", "publish")])
            .await;
        assert!(matches!(seen.status, 303 | 409), "{}", seen.text);
        let audit = stage.get("/v1/audit?action=campaigns.create&actor=Ada").await.json();
        assert_eq!(audit["data"][0]["object"], "default@3");
        let marketing = joined(stage, "Mila", Role::Marketing).await;
        assert_eq!(marketing.get("/dashboard/campaigns").await.status, 403);
    });
}
