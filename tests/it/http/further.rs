//! The further reports over HTTP: customers, funnel, charges, attribution, ages, and one currency for all.

use recoup::domain::report::definitions;
use recoup::domain::role::Role;
use recoup::sandbox::Outcome;
use serde_json::{Value, json};

use super::browser::Browser;
use super::{Seen, Stage, at, stage};

const SPAN: &str = "from=2026-03-01&to=2026-04-01";

async fn csv(stage: &Stage, path: &str) -> Vec<std::collections::HashMap<String, String>> {
    let request = stage.client.get(stage.url(path)).bearer_auth(super::BOOTSTRAP);
    let seen = stage.send(request.header("accept", "text/csv")).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    assert!(seen.header("content-type").starts_with("text/csv"));
    let mut reader = csv::Reader::from_reader(seen.text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

async fn get(stage: &Stage, path: &str) -> Value {
    let seen = stage.get(path).await;
    assert_eq!(seen.status, 200, "{}", seen.text);
    seen.json()
}

/// The invoice of a new case.
async fn failed(stage: &Stage) -> String {
    let id = stage.open_case("insufficient_funds").await;
    let case = get(stage, &format!("/v1/cases/{id}")).await;
    case["invoice_id"].as_str().unwrap().to_owned()
}

/// Three weeks with three customers: one is charged in vain, one pays at the second charge, and one is marked paid at once.
async fn three_weeks(stage: &Stage) {
    let no = || Outcome::decline("insufficient_funds");
    let first = failed(stage).await;
    stage
        .sandbox
        .script_outcomes(&first, std::iter::repeat_with(no).take(20));
    let second = failed(stage).await;
    stage.sandbox.script_outcomes(&second, [no(), Outcome::Success]);
    let third = stage.open_case("lost_card").await;
    let done = stage.post(&format!("/v1/cases/{third}/mark-paid"), &json!({})).await;
    assert_eq!(done.status, 200, "{}", done.text);
    for day in 3..24 {
        stage
            .clock
            .advance_to(at(&format!("2026-03-{day:02}T12:00:00Z")))
            .unwrap();
        stage.engine.tick().await.unwrap();
    }
}

#[test]
fn customers_stand_beside_cases_and_money() {
    stage(async |stage| {
        three_weeks(stage).await;
        let report = get(stage, &format!("/v1/reports/recovery?{SPAN}")).await;
        let customers = &report["rows"][0]["customers"];
        assert_eq!(
            (&customers["all"], &customers["recovered"]),
            (&json!(3), &json!(2)),
            "{report}"
        );
        assert_eq!(customers["recovered_of_all"]["percent"], "66.67");
        assert_eq!(report["totals"][0]["customers"], *customers);
        let split = csv(stage, &format!("/v1/reports/recovery?{SPAN}&by=decline_kind")).await;
        let of = |group: &str| split.iter().find(|row| row["group"] == group).unwrap();
        let kind = of("insufficient_funds");
        assert_eq!(
            (kind["customers"].as_str(), kind["customers_recovered"].as_str()),
            ("2", "1")
        );
    });
}

#[test]
fn the_funnel_goes_from_the_failed_charge_to_the_money() {
    stage(async |stage| {
        three_weeks(stage).await;
        let report = get(stage, &format!("/v1/reports/funnel?{SPAN}")).await;
        let stages = report["data"][0]["stages"].as_array().unwrap();
        let named: Vec<&str> = stages.iter().map(|row| row["stage"].as_str().unwrap()).collect();
        let all = [
            "failed",
            "recovered_silently",
            "written_to",
            "delivered",
            "clicked",
            "card_changed",
            "paid",
        ];
        assert_eq!(named, all);
        let reached = |index: usize| stages[index]["reached"]["cases"].as_u64().unwrap();
        // Mails are kept here, since there is no mail server: nobody was written to.
        assert_eq!([0, 1, 2, 6].map(reached), [3, 2, 0, 2], "{report}");
        assert_eq!(stages[6]["recovered"]["amount_minor"], 2 * 1_999);
        let rows = csv(stage, &format!("/v1/reports/funnel?{SPAN}&by=network")).await;
        assert_eq!(rows.len() % 7, 0);
        assert!(
            rows.iter()
                .any(|row| row["stage"] == "paid" && row["in_turn_cases"] == "0")
        );
    });
}

#[test]
fn charges_are_told_by_their_number_and_their_price() {
    stage(async |stage| {
        three_weeks(stage).await;
        let report = get(stage, &format!("/v1/reports/attempts?{SPAN}&fee_minor=30")).await;
        let all = &report["data"][0];
        assert_eq!(
            (&all["cases"], &all["recovered"], &all["let_go"]),
            (&json!(3), &json!(2), &json!(0))
        );
        let numbers = all["numbers"].as_array().unwrap();
        assert_eq!(
            (&numbers[0]["attempts"], &numbers[0]["succeeded"]),
            (&json!(3), &json!(0)),
            "{all}"
        );
        // The second charge of the second customer is the third of its case.
        assert_eq!(
            (&numbers[2]["number"], &numbers[2]["succeeded"]),
            (&json!(3), &json!(1)),
            "{all}"
        );
        assert_eq!(numbers[2]["succeeded_minor"], 1_999);
        let attempts = all["attempts"].as_i64().unwrap();
        let made: i64 = numbers.iter().map(|row| row["attempts"].as_i64().unwrap()).sum();
        assert_eq!(attempts, made);
        assert_eq!(all["cost_minor"], 30 * attempts);
        assert_eq!(all["cost_per_recovery_minor"], 15 * attempts);
        assert_eq!(all["attempts_per_recovery_parts_per_100"], 50 * attempts);
        let usual = get(stage, &format!("/v1/reports/attempts?{SPAN}")).await;
        assert_eq!(usual["fee_minor"], 14, "that of the configuration");
        let rows = csv(
            stage,
            &format!("/v1/reports/attempts?{SPAN}&by=decline_kind&fee_minor=30"),
        )
        .await;
        assert!(
            rows.iter()
                .any(|row| row["group"] == "lost_stolen" && row["number"] == "1")
        );
        let bad = stage.get("/v1/reports/attempts?fee_minor=-1").await;
        assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"));
    });
}

#[test]
fn churn_is_a_file_and_a_page_that_puts_a_value_on_who_was_kept() {
    stage(async |stage| {
        three_weeks(stage).await;
        let inputs =
            "margin_parts_per_10k=8000&monthly_churn_parts_per_10k=250&attempt_fee_minor=14&message_cost_minor=1";
        let path = format!("/v1/reports/churn?{SPAN}&{inputs}");
        let report = get(stage, &path).await;
        let month = &report["data"][0];
        let money = &month["money"]["EUR"];
        let rows = csv(stage, &path).await;
        assert_eq!(rows.len(), report["data"].as_array().unwrap().len());
        for (column, told) in [
            ("month", &month["month"]),
            ("involuntary", &month["involuntary"]),
            ("won_back", &month["won_back"]),
            ("recovered", &month["recovered"]),
            ("monthly_saved_minor", &money["monthly_saved_minor"]),
            ("attempts", &money["attempts"]),
            ("value_of_saved_minor", &money["value"]["saved_minor"]),
            ("cost_minor", &money["value"]["cost_minor"]),
            ("return_in_hundredths", &money["value"]["return_parts_per_100"]),
        ] {
            let told = told.as_str().map_or_else(|| told.to_string(), str::to_owned);
            assert_eq!(rows[0][column], told, "{column}");
        }
        let number = |value: &Value| value.as_i64().unwrap();
        let (saved, cost) = (
            number(&money["monthly_saved_minor"]),
            number(&money["value"]["cost_minor"]),
        );
        assert!(saved > 0 && cost > 0, "{money}");
        // 80 % of it is margin, and who leaves 2.5 % in a month stays for forty.
        assert_eq!(number(&money["value"]["saved_minor"]), saved * 8 * 40 / 10);
        let months = (cost * 100 * 10 + saved * 8 - 1) / (saved * 8);
        assert_eq!(number(&money["value"]["payback_months_parts_per_100"]), months);

        let staff = Browser::new(stage);
        staff.try_key(super::BOOTSTRAP).await;
        let inputs = "margin=80&leaving=2,5&fee_minor=14&message_minor=1";
        let page = staff.get(&format!("/dashboard/reports/churn?{SPAN}&{inputs}")).await;
        let back = number(&money["value"]["return_parts_per_100"]);
        let shown = format!(">{}.{:02}<", back / 100, back % 100);
        assert!(
            page.status == 200 && page.text.contains(&shown),
            "{shown}: {}",
            page.text
        );
        let file = staff
            .get(&format!("/dashboard/reports/churn.csv?{SPAN}&{inputs}"))
            .await;
        assert!(file.text.starts_with("from,to,month,involuntary"), "{}", file.text);
        for bad in [
            "margin=80",
            "margin=101&leaving=2",
            "margin=80&leaving=0",
            "fee_minor=x",
        ] {
            assert_eq!(
                staff.get(&format!("/dashboard/reports/churn?{bad}")).await.status,
                400,
                "{bad}"
            );
        }
    });
}

#[test]
fn three_answers_stand_side_by_side() {
    stage(async |stage| {
        three_weeks(stage).await;
        let report = get(stage, &format!("/v1/reports/attribution?{SPAN}")).await;
        let credited = &report["credited"][0];
        assert_eq!(
            credited["recovered"],
            json!({"cases": 2, "amount_minor": 3998}),
            "{report}"
        );
        assert_eq!(credited["mechanism"], json!({"cases": 1, "amount_minor": 1999}));
        assert_eq!(credited["mechanism_share"]["percent"], "50.00");
        assert_eq!(credited["last_touch"]["cases"], 0);
        for way in ["mechanism", "last_touch"] {
            let lines = report["data"].as_array().unwrap().iter();
            let its = lines.filter(|line| line["way"] == way);
            let cases: u64 = its.map(|line| line["recovered"]["cases"].as_u64().unwrap()).sum();
            assert_eq!(cases, 2, "{way} puts each case down to exactly one");
        }
        assert_eq!(report["verdict"], "not yet distinguishable");
        let rows = csv(stage, &format!("/v1/reports/attribution?{SPAN}")).await;
        let ways: Vec<&str> = rows.iter().map(|row| row["way"].as_str()).collect();
        assert_eq!(ways, ["mechanism", "mechanism", "last_touch", "uplift"]);
        assert_eq!(rows[3]["verdict"], "not yet distinguishable");
    });
}

#[test]
fn shares_by_age_are_null_while_they_can_change() {
    stage(async |stage| {
        three_weeks(stage).await;
        let path = format!("/v1/reports/ages?{SPAN}&age=week");
        let cells = |report: &Value| report["data"][0]["cells"].as_array().unwrap().clone();
        let running = get(stage, &path).await;
        assert!(cells(&running).iter().all(Value::is_null), "{running}");
        stage.clock.advance_to(at("2026-04-02T00:00:00Z")).unwrap();
        let over = get(stage, &path).await;
        assert_eq!(cells(&over).len(), 12);
        let first = &cells(&over)[0];
        assert_eq!(first["cases"]["percent"], "66.67", "{over}");
        assert_eq!(first["recovered"], json!({"cases": 2, "amount_minor": 3998}));
        let rows = csv(stage, &path).await;
        assert_eq!((rows.len(), rows[0]["within"].as_str()), (12, "1 week"));
        let bad = stage.get("/v1/reports/ages?age=year").await;
        assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"));
    });
}

async fn upload(stage: &Stage, rates: Value, replace: bool) -> Seen {
    let body = json!({"source": "the central bank", "rates": rates, "replace": replace});
    stage.post("/v1/exchange-rates", &body).await
}

#[test]
fn one_currency_for_all_takes_a_rate_for_each_day() {
    stage(async |stage| {
        three_weeks(stage).await;
        let path = format!("/v1/reports/recovery?{SPAN}&convert=usd");
        let missing = stage.get(&path).await;
        assert_eq!((missing.status, missing.code().as_str()), (422, "rates_missing"));
        let days = missing.json()["errors"].as_array().unwrap().clone();
        assert_eq!(days.len(), 2, "{}", missing.text);
        assert_eq!(days[0]["detail"], "EUR to USD on 2026-03-02");
        let second_day = days[1]["detail"]
            .as_str()
            .unwrap()
            .split(' ')
            .next_back()
            .unwrap()
            .to_owned();
        let rate = |day: &str, rate: &str| json!({"day": day, "from": "EUR", "to": "USD", "rate": rate});
        let first = upload(stage, json!([rate("2026-03-02", "1.0834")]), false).await;
        assert_eq!((first.status, first.json()), (200, json!({"taken": 1, "replaced": 0})));
        assert_eq!(stage.get(&path).await.json()["errors"].as_array().unwrap().len(), 1);
        upload(stage, json!([rate(&second_day, "1.1"), rate("2026-04-01", "2")]), false).await;
        let report = get(stage, &path).await;
        let converted = &report["converted"];
        assert_eq!(converted["currency"], "USD");
        // 19.99 at 1.0834 is 21.657166, and at 1.1 it is 21.989.
        assert_eq!(converted["totals"][0]["recovered_minor"], 2_166 + 2_199, "{converted}");
        assert_eq!(converted["totals"][0]["recovered_cases"], 2);
        assert!(report["definitions"]["converted"].is_string());
        let rows = csv(stage, &path).await;
        assert_eq!((rows.len(), rows[0]["recovered_amount_minor"].as_str()), (1, "4365"));

        let other = upload(
            stage,
            json!([rate("2026-03-02", "1.2"), rate("2026-03-30", "1")]),
            false,
        )
        .await;
        assert_eq!((other.status, other.code().as_str()), (409, "rate_exists"));
        let same = upload(stage, json!([rate("2026-03-02", "1.0834")]), false).await;
        assert_eq!(
            same.json(),
            json!({"taken": 1, "replaced": 0}),
            "the same again changes nothing"
        );
        let page = get(stage, "/v1/exchange-rates?limit=2").await;
        assert_eq!(
            (&page["data"][0]["day"], &page["data"][0]["rate"]),
            (&json!("2026-04-01"), &json!("2"))
        );
        let next = page["next_cursor"].as_str().unwrap();
        let rest = get(stage, &format!("/v1/exchange-rates?cursor={next}")).await;
        assert_eq!(
            (rest["data"].as_array().unwrap().len(), &rest["next_cursor"]),
            (1, &Value::Null)
        );
        assert_eq!(rest["data"][0]["source"], "the central bank");
        let corrected = upload(stage, json!([rate("2026-03-02", "2")]), true).await;
        assert_eq!(corrected.json(), json!({"taken": 1, "replaced": 1}));
        let report = get(stage, &path).await;
        assert_eq!(report["converted"]["totals"][0]["recovered_minor"], 3_998 + 2_199);
        let audit = get(stage, "/v1/audit").await;
        assert!(audit.to_string().contains("1 rates, 1 replaced"), "{audit}");
    });
}

#[test]
fn rates_that_cannot_be_are_refused() {
    stage(async |stage| {
        let good = json!({"day": "2026-03-02", "from": "EUR", "to": "USD", "rate": "1.1"});
        for (field, value) in [
            ("day", "2026-02-30"),
            ("day", "2.3.2026"),
            ("from", "EURO"),
            ("to", "eur"),
            ("rate", "0"),
            ("rate", "-1"),
            ("rate", "1,1"),
            ("rate", "1e3"),
        ] {
            let mut rate = good.clone();
            rate[field] = json!(value);
            let bad = upload(stage, json!([rate]), false).await;
            assert_eq!((bad.status, bad.code().as_str()), (422, "bad_field"), "{rate}");
        }
        for rates in [json!([]), json!([good, good])] {
            let bad = upload(stage, rates, false).await;
            assert_eq!((bad.status, bad.code().as_str()), (422, "bad_field"));
        }
        assert_eq!(get(stage, "/v1/exchange-rates").await["data"], json!([]));
        let bad = stage.get("/v1/reports/recovery?convert=EURO").await;
        assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"));
        let marketing = stage.key(Role::Marketing).await;
        let request = stage
            .client
            .post(stage.url("/v1/exchange-rates"))
            .bearer_auth(&marketing);
        let refused = stage.send(request.json(&json!({"source": "x", "rates": [good]}))).await;
        assert_eq!(refused.status, 403);
    });
}

#[test]
fn each_report_is_a_page_with_its_file() {
    stage(async |stage| {
        three_weeks(stage).await;
        let browser = Browser::new(stage);
        browser.try_key(&stage.key(Role::Marketing).await).await;
        for (page, told) in [
            ("funnel", "From the failed charge to the money"),
            ("attempts", "Fees per recovery"),
            ("attribution", "Against the holdout: not yet distinguishable"),
            ("ages", "not known yet"),
        ] {
            for query in [SPAN.to_owned(), format!("{SPAN}&by=decline_kind&age=day&fee_minor=")] {
                let seen = browser.get(&format!("/dashboard/reports/{page}?{query}")).await;
                assert!(
                    seen.status == 200 && seen.text.contains("id=\"def-"),
                    "{page}: {}",
                    seen.text
                );
                assert!(seen.text.contains(told) || query != SPAN, "{page}: {}", seen.text);
                assert!(seen.text.contains(&format!(
                    "/dashboard/reports/{page}.csv?from=2026-03-01&amp;to=2026-04-01"
                )));
                let file = browser.get(&format!("/dashboard/reports/{page}.csv?{query}")).await;
                assert!(
                    file.status == 200 && file.text.lines().count() > 1,
                    "{page}: {}",
                    file.text
                );
            }
        }
        let weeks = browser.get(&format!("/dashboard/reports?{SPAN}&cohort=week")).await;
        for told in ["2026-W10", ">W10</text>", "W10 2026: 3 cases", "&amp;cohort=week"] {
            assert!(weeks.text.contains(told), "{told}: {}", weeks.text);
        }
        let file = browser
            .get(&format!("/dashboard/reports/recovery.csv?{SPAN}&cohort=week"))
            .await;
        assert!(file.text.contains(",2026-W10,"), "{}", file.text);
        let all = browser.get("/dashboard/reports/definitions").await;
        let each = definitions::all().iter();
        for id in each.map(|definition| &definition.id) {
            assert!(all.text.contains(&format!("id=\"def-{id}\"")), "{id}: {}", all.text);
        }
        let whole = browser.get(&format!("/dashboard/reports?{SPAN}&convert=USD")).await;
        assert!(
            whole.text.contains("EUR to USD on 2026-03-02") && whole.text.contains("66.67 %"),
            "{}",
            whole.text
        );
        let rate = |day: u32| json!({"day": format!("2026-03-{day:02}"), "from": "EUR", "to": "USD", "rate": "1.1"});
        let rates: Vec<Value> = (1..=31).map(rate).collect();
        assert_eq!(upload(stage, json!(rates), false).await.status, 200);
        let whole = browser.get(&format!("/dashboard/reports?{SPAN}&convert=USD")).await;
        assert!(whole.text.contains("43.98 USD"), "{}", whole.text);
        let file = browser
            .get(&format!("/dashboard/reports/recovery.csv?{SPAN}&convert=USD"))
            .await;
        assert!(file.text.contains("USD,2,4398,4398"), "{}", file.text);
        let weeks = browser
            .get(&format!("/dashboard/reports?{SPAN}&convert=USD&cohort=week"))
            .await;
        assert!(
            weeks.text.contains("all weeks") && weeks.text.contains("43.98 USD"),
            "{}",
            weeks.text
        );
    });
}
