//! The desk of billing staff: cases found, kept as views, and acted on together, at the API and on its pages.

use recoup::domain::money::Money;
use recoup::domain::role::Role;
use serde_json::{Value, json};

use super::browser::{Browser, joined, later, led_to};
use super::desk_page::once;
use super::{BOOTSTRAP, Stage, at, stage};

/// A case of somebody new: who owes how much, and why the charge failed. Gives its id and the ids of customer and invoice.
async fn owes(stage: &Stage, email: &str, owed: (i64, &str), decline_code: &str) -> [String; 3] {
    // Cases of one instant have no order among each other.
    stage.clock.advance_to(later(stage.clock.now(), 1)).unwrap();
    let customer = stage.sandbox.add_customer("Ada Albers", email);
    let price = Money::new(owed.0, owed.1.parse().unwrap());
    let subscription = stage
        .sandbox
        .add_subscription(&customer, price, at("2026-04-01T10:00:00Z"));
    let invoice = stage.sandbox.open_invoice(&subscription, decline_code);
    stage.sandbox.deliver_webhooks().await;
    stage.engine.tick().await.unwrap();
    let found = stage.get(&format!("/v1/cases?invoice_id={invoice}")).await.json();
    let id = found["data"][0]["id"].as_str().unwrap().to_owned();
    [id, customer, invoice]
}

/// The ids of the cases that a query lists, in its order.
async fn ids(stage: &Stage, query: &str) -> Vec<String> {
    let seen = stage.get(&format!("/v1/cases?{query}")).await;
    assert_eq!(seen.status, 200, "{query}: {}", seen.text);
    let data = seen.json()["data"].as_array().unwrap().clone();
    let id = |case: &Value| case["id"].as_str().unwrap().to_owned();
    data.iter().map(id).collect()
}

#[test]
fn a_case_is_found_by_what_staff_know_of_it() {
    stage(async |stage| {
        let [cents, customer, invoice] =
            owes(stage, "Ada@Customers.example", (1_999, "EUR"), "insufficient_funds").await;
        let [yen, _, _] = owes(stage, "bo@customers.example", (1_999, "JPY"), "expired_card").await;
        let [dollars, _, _] = owes(stage, "cy@customers.example", (424_200, "USD"), "lost_card").await;
        let subscription = stage.get(&format!("/v1/cases/{cents}")).await.json()["subscription_id"].clone();
        let subscription = subscription.as_str().unwrap().to_owned();
        for known in [
            &cents,
            &customer,
            &invoice,
            &subscription,
            "ada%40customers.EXAMPLE",
            "19.99",
            "19%2C99+EUR",
        ] {
            assert_eq!(ids(stage, &format!("q={known}")).await, [cents.as_str()], "{known}");
        }
        assert_eq!(ids(stage, "q=1999+JPY").await, [yen.as_str()]);
        assert_eq!(ids(stage, "q=4242.00").await, [dollars.as_str()]);
        for unknown in ["19.98", "ada", "ada%40customers", "19.99+USD", "in_none", "%25", "%27"] {
            assert_eq!(ids(stage, &format!("q={unknown}")).await, [""; 0], "{unknown}");
        }
        let card = stage.sandbox.world(|world| {
            let card = world
                .customer(&customer)
                .unwrap()
                .default_payment_method
                .clone()
                .unwrap();
            world.card(&card).unwrap().last4.clone()
        });
        let by_card = ids(stage, &format!("q={card}")).await;
        assert!(by_card.contains(&cents), "{card}: {by_card:?}");
    });
}

#[test]
fn cases_are_filtered_and_put_in_order_by_what_the_address_says() {
    stage(async |stage| {
        let [cents, ..] = owes(stage, "ada@customers.example", (1_999, "EUR"), "insufficient_funds").await;
        let [yen, ..] = owes(stage, "bo@customers.example", (1_999, "JPY"), "expired_card").await;
        let [dollars, ..] = owes(stage, "cy@customers.example", (424_200, "USD"), "lost_card").await;
        assert_eq!(ids(stage, "decline_kind=expired").await, [yen.as_str()]);
        assert_eq!(ids(stage, "amount_from=100+USD").await, [dollars.as_str()]);
        assert_eq!(ids(stage, "amount_from=20&amount_to=2000").await, [yen.as_str()]);
        let all = [dollars.clone(), yen.clone(), cents.clone()];
        assert_eq!(ids(stage, "opened_from=2026-03-02&opened_to=2026-03-02").await, all);
        assert_eq!(ids(stage, "opened_to=2026-03-01").await, [""; 0]);
        assert_eq!(
            ids(stage, "sort=oldest").await,
            [cents.clone(), yen.clone(), dollars.clone()]
        );
        for (sort, sorted) in [
            ("largest", [&dollars, &yen, &cents]),
            ("smallest", [&cents, &yen, &dollars]),
        ] {
            let page = stage.get(&format!("/v1/cases?sort={sort}&limit=2")).await.json();
            let rest = format!("sort={sort}&cursor={}", page["next_cursor"].as_str().unwrap());
            let mut read: Vec<String> = (0..2)
                .map(|at| page["data"][at]["id"].as_str().unwrap().to_owned())
                .collect();
            read.extend(ids(stage, &rest).await);
            assert_eq!(read.iter().collect::<Vec<_>>(), sorted, "{sort}");
        }
        let next = ids(stage, "sort=next").await;
        let at = async |id: &str| stage.get(&format!("/v1/cases/{id}")).await.json()["next_action"]["at"].to_string();
        let mut times = Vec::new();
        for id in &next {
            times.push(at(id).await);
        }
        assert!(next.len() == 3 && times.is_sorted(), "{times:?}");
        for odd in [
            "state=asleep",
            "opened_from=yesterday",
            "amount_from=much",
            "sort=random",
            "what=ever",
        ] {
            let seen = stage.get(&format!("/v1/cases?{odd}")).await;
            assert_eq!((seen.status, seen.code().as_str()), (400, "bad_query"), "{odd}");
        }
    });
}

#[test]
fn many_cases_are_acted_on_after_a_look_at_what_would_happen() {
    stage(async |stage| {
        let mut all = Vec::new();
        for who in ["ada", "bo", "cy"] {
            let [id, ..] = owes(
                stage,
                &format!("{who}@customers.example"),
                (1_999, "EUR"),
                "insufficient_funds",
            )
            .await;
            all.push(id);
        }
        let stop = json!({"comment": "called us"});
        assert_eq!(
            stage.post(&format!("/v1/cases/{}/stop", all[0]), &stop).await.status,
            200
        );
        let until = "2026-03-09T10:00:00Z";
        let ask = |dry_run: bool| {
            let ids = [all.as_slice(), &["case_none".to_owned()]].concat();
            json!({"action": "pause", "until": until, "comment": "holidays", "ids": ids, "dry_run": dry_run})
        };
        let told = stage.post("/v1/cases/bulk", &ask(true)).await.json();
        let results = |told: &Value| -> Vec<(String, String)> {
            let one = |item: &Value| (item["result"].as_str().unwrap().to_owned(), item["code"].to_string());
            told["results"].as_array().unwrap().iter().map(one).collect()
        };
        let expected = [
            ("refused".to_owned(), "\"case_closed\"".to_owned()),
            ("done".to_owned(), "null".to_owned()),
            ("done".to_owned(), "null".to_owned()),
            ("missing".to_owned(), "null".to_owned()),
        ];
        assert_eq!(results(&told), expected, "{told}");
        assert_eq!((told["cases"].clone(), told["done"].clone()), (json!(4), json!(2)));
        assert_eq!(told["results"][1]["state"], "paused");
        assert_eq!(ids(stage, "state=paused").await, [""; 0], "nothing was done");

        let done = stage.post("/v1/cases/bulk", &ask(false)).await.json();
        assert_eq!(results(&done), expected, "{done}");
        assert_eq!(done["results"][1]["next_action"], told["results"][1]["next_action"]);
        assert_eq!(ids(stage, "state=paused").await, [all[2].clone(), all[1].clone()]);
        let story = stage.get(&format!("/v1/cases/{}/timeline", all[1])).await.text;
        assert!(story.contains("holidays"), "{story}");

        let resume = json!({"action": "resume", "matching": "status=open&cursor="});
        let done = stage.post("/v1/cases/bulk", &resume).await.json();
        assert_eq!(
            (done["cases"].clone(), done["done"].clone()),
            (json!(2), json!(2)),
            "{done}"
        );
        assert_eq!(ids(stage, "status=stopped").await, [all[0].clone()]);
    });
}

#[test]
fn what_cannot_be_done_to_many_cases_is_refused_whole() {
    stage(async |stage| {
        let [ada, ..] = owes(stage, "ada@customers.example", (1_999, "EUR"), "insufficient_funds").await;
        let (all, until) = ([ada.clone()], "2026-03-09T10:00:00Z");
        for (odd, code) in [
            (json!({"action": "pause", "ids": all}), "bad_field"),
            (json!({"action": "note", "ids": all}), "bad_field"),
            (json!({"action": "write_off", "ids": all}), "bad_field"),
            (json!({"action": "stop"}), "bad_field"),
            (json!({"action": "stop", "ids": all, "matching": ""}), "bad_field"),
            (json!({"action": "stop", "until": until, "ids": all}), "bad_field"),
            (
                json!({"action": "stop", "ids": (0..501).map(|n| format!("case_{n}")).collect::<Vec<_>>()}),
                "too_many_cases",
            ),
        ] {
            let seen = stage.post("/v1/cases/bulk", &odd).await;
            assert_eq!((seen.status, seen.code().as_str()), (422, code), "{odd}: {}", seen.text);
        }
        let seen = stage
            .post("/v1/cases/bulk", &json!({"action": "stop", "matching": "state=asleep"}))
            .await;
        assert_eq!(seen.code(), "bad_query");
        assert_eq!(ids(stage, "status=open").await, [ada]);
    });
}

/// The ids that the page offers to act on.
fn offered(page: &str) -> Vec<String> {
    let marks = page.split("name=\"id\" value=\"").skip(1);
    marks.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

#[test]
fn the_list_shows_what_would_happen_before_it_does_it() {
    stage(async |stage| {
        let [ada, ..] = owes(stage, "ada@customers.example", (1_999, "EUR"), "insufficient_funds").await;
        let [bo, ..] = owes(stage, "bo@customers.example", (2_999, "EUR"), "insufficient_funds").await;
        let staff = joined(stage, "Bea", Role::Billing).await;
        let list = staff
            .get("/dashboard/cases?q=&status=open&sort=newest&amount_to=")
            .await;
        assert_eq!(
            (list.status, offered(&list.text)),
            (200, vec![bo.clone(), ada.clone()]),
            "{}",
            list.text
        );
        let nothing = [("list", ""), ("action", "stop"), ("scope", "chosen")];
        let seen = staff.post("/dashboard/bulk", &nothing).await;
        assert!(
            seen.status == 400 && seen.text.contains("choose at least one case"),
            "{}",
            seen.text
        );

        staff.get("/dashboard/cases").await;
        let fields = [
            ("list", "status=open"),
            ("scope", "all"),
            ("action", "pause"),
            ("until", "2026-03-09T10:00"),
            ("comment", "holidays"),
        ];
        let told = staff.post("/dashboard/bulk", &fields).await;
        assert!(
            told.status == 200 && told.text.contains("Nothing is done yet"),
            "{}",
            told.text
        );
        assert_eq!(offered(&told.text), [bo.clone(), ada.clone()]);
        assert_eq!(ids(stage, "state=paused").await, [""; 0]);
        // Meanwhile somebody stops one of them: it is not done to it, and said so.
        assert_eq!(
            stage.post(&format!("/v1/cases/{bo}/stop"), &json!({})).await.status,
            200
        );
        let once = once(&told.text);
        let sure = [
            ("list", "status=open"),
            ("action", "pause"),
            ("until", "2026-03-09T10:00:00Z"),
            ("comment", "holidays"),
            ("sure", "yes"),
            ("once", &once),
            ("id", &bo),
            ("id", &ada),
        ];
        let result = format!("/dashboard/bulk?once={once}");
        led_to(&staff.post("/dashboard/bulk", &sure).await, &result);
        let done = staff.get(&result).await;
        assert!(
            done.text.contains("Done to 1 of 2 cases")
                && done.text.contains("case closed")
                && done.text.contains("holidays")
                && done.text.contains("?status=open"),
            "{}",
            done.text
        );
        assert_eq!(ids(stage, "state=paused").await, [ada]);
    });
}

#[test]
fn who_only_sees_cases_is_offered_no_act_on_them() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let viewer = joined(stage, "Vic", Role::Viewer).await;
        let list = viewer.get("/dashboard/cases").await;
        assert!(list.status == 200 && offered(&list.text).is_empty(), "{}", list.text);
        let sure = [("action", "stop"), ("sure", "yes"), ("id", id.as_str())];
        assert_eq!(viewer.post("/dashboard/bulk", &sure).await.status, 403);
        assert_eq!(ids(stage, "status=open").await, [id]);
        let odd = viewer.get("/dashboard/cases?amount_from=much").await;
        assert!(
            odd.status == 400 && odd.text.contains("must be an amount"),
            "{}",
            odd.text
        );
    });
}

#[test]
fn a_view_is_kept_by_its_owner_and_opened_by_its_link() {
    stage(async |stage| {
        let ada = joined(stage, "Ada", Role::Viewer).await;
        let bo = joined(stage, "Bo", Role::Viewer).await;
        ada.get("/dashboard/cases?status=open").await;
        let keep = [("name", "Mine & open"), ("list", "status=open&cursor=00")];
        led_to(
            &ada.post("/dashboard/views", &keep).await,
            "/dashboard/cases?status=open&done=view_kept",
        );
        let page = ada.get("/dashboard/cases").await.text;
        assert!(page.contains("Mine &amp; open"), "{page}");
        let id = page
            .split("/dashboard/views/")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let link = format!("/dashboard/views/{id}");
        led_to(&bo.get(&link).await, "/dashboard/cases?status=open");
        assert!(
            !bo.get("/dashboard/cases").await.text.contains("Mine"),
            "a view is of its owner"
        );
        assert_eq!(bo.post(&format!("{link}/forget"), &[]).await.status, 404);

        // The same name again is the same view, so its link shows what it shows now.
        ada.get("/dashboard/cases").await;
        let again = [("name", "Mine & open"), ("list", "status=stopped")];
        assert_eq!(ada.post("/dashboard/views", &again).await.status, 303);
        led_to(&bo.get(&link).await, "/dashboard/cases?status=stopped");
        for odd in [[("name", ""), ("list", "")], [("name", "x"), ("list", "state=asleep")]] {
            assert_eq!(ada.post("/dashboard/views", &odd).await.status, 400, "{odd:?}");
        }
        let own = ada.get("/dashboard/cases?status=stopped").await.text;
        assert!(own.contains(&format!("{link}/forget")), "{own}");
        led_to(
            &ada.post(&format!("{link}/forget"), &[]).await,
            "/dashboard/cases?done=view_forgotten",
        );
        assert_eq!(bo.get(&link).await.status, 404);
        let marketing = joined(stage, "Mila", Role::Marketing).await;
        assert_eq!(marketing.get(&link).await.status, 403);
    });
}

#[test]
fn the_dashboard_speaks_german_to_who_asks_for_it() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let browser = Browser::new(stage);
        led_to(&browser.try_key(BOOTSTRAP).await, "/dashboard");
        let session = browser.cookie.borrow().clone();
        let seen = async |header: &str, cookie: &str| {
            let request = stage.client.get(stage.url("/dashboard/cases")).header("cookie", cookie);
            stage.send(request.header("accept-language", header)).await.text
        };
        let german = seen("de-DE,de;q=0.9,en;q=0.5", &session).await;
        assert!(
            german.contains("<html lang=\"de\">") && german.contains("<h1>Fälle</h1>"),
            "{german}"
        );
        assert!(
            german.contains("19,99 EUR") && german.contains("keine Deckung"),
            "{german}"
        );
        let english = seen("fr", &session).await;
        assert!(
            english.contains("<html lang=\"en\">") && english.contains("<h1>Cases</h1>"),
            "{english}"
        );

        // A choice stands above what the browser asks for.
        browser.get("/dashboard/cases").await;
        let chosen = browser.post("/dashboard/language", &[("language", "de")]).await;
        led_to(&chosen, "/dashboard");
        let kept = chosen.header("set-cookie").split(';').next().unwrap().to_owned();
        assert_eq!(kept, "recoup_language=de");
        assert!(
            seen("en", &format!("{session}; {kept}"))
                .await
                .contains("<h1>Fälle</h1>")
        );
        *browser.cookie.borrow_mut() = session;
        assert_eq!(
            browser.post("/dashboard/language", &[("language", "xx")]).await.status,
            400
        );
    });
}

/// The texts of the catalogue whose English stands between two tags of a page.
fn left_english(page: &str) -> Vec<String> {
    let catalogue: toml::Table = include_str!("../../../src/http/dashboard/words/de.toml")
        .parse()
        .unwrap();
    let texts = catalogue["texts"].as_table().unwrap().iter();
    let changed = texts.filter(|(english, german)| german.as_str() != Some(english.as_str()));
    let english = changed.map(|(english, _)| english.clone());
    english.filter(|text| page.contains(&format!(">{text}<"))).collect()
}

#[test]
fn no_page_keeps_an_english_text_in_german() {
    stage(async |stage| {
        let id = stage.open_case("insufficient_funds").await;
        let browser = Browser::new(stage);
        browser.try_key(BOOTSTRAP).await;
        let session = browser.cookie.borrow().clone();
        let case = format!("/dashboard/cases/{id}");
        for (path, told) in [
            ("/dashboard", "Was geschieht"),
            (case.as_str(), "Wie es weitergeht"),
            ("/dashboard/desk", "Wartet auf eine zweite Person"),
            ("/dashboard/reports", "Welche Nachricht Kunden zurückbringt"),
            (
                "/dashboard/reports/funnel",
                "Von der fehlgeschlagenen Abbuchung zum Geld",
            ),
            ("/dashboard/reports/ages", "Einbringung nach Alter"),
            ("/dashboard/reports/attempts", "Gebühren je Einbringung"),
            ("/dashboard/reports/churn", "Was die Gehaltenen wert sind"),
            ("/dashboard/reports/attribution", "noch nicht unterscheidbar"),
            ("/dashboard/learning", "Was über die Varianten bekannt ist"),
            ("/dashboard/people", "Jemanden einladen"),
            ("/dashboard/messages", "Nachrichten"),
            ("/dashboard/cases/none", "Nicht gefunden"),
        ] {
            let request = stage.client.get(stage.url(path)).header("cookie", &session);
            let seen = stage.send(request.header("accept-language", "de")).await.text;
            let speaks = seen.contains("<html lang=\"de\">") && seen.contains(told);
            assert!(speaks, "{path}: {seen}");
            assert_eq!(left_english(&seen), Vec::<String>::new(), "{path}");
        }
        assert_eq!(left_english("<b>What comes next</b>"), ["What comes next"]);
    });
}
