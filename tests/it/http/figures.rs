//! Every figure has its definition, and the view of its name says what the report says.

use recoup::domain::report::definitions;
use sea_orm::{ConnectionTrait, Statement};
use serde_json::{Value, json};

use super::stage;

/// The sums of a view over March, whatever the currency.
async fn view(stage: &super::Stage, name: &str) -> (i64, i64) {
    let conn = stage.store.conn();
    let of_age = if name == "recovery_rate_by_age" {
        "AND days = 7"
    } else {
        ""
    };
    let sql = format!(
        "SELECT CAST(COALESCE(SUM(numerator), 0) AS BIGINT), CAST(COALESCE(SUM(denominator), 0) AS BIGINT) FROM {name} \
         WHERE month = '2026-03' {of_age}"
    );
    let statement = Statement::from_string(conn.get_database_backend(), sql);
    let row = conn.query_one_raw(statement).await.unwrap().unwrap();
    (row.try_get_by_index(0).unwrap(), row.try_get_by_index(1).unwrap())
}

/// What the reports say, by the name of the definition: numerator and denominator.
fn reported(recovery: &Value, churn: &Value) -> Vec<(&'static str, i64, i64)> {
    let row = &recovery["rows"][0];
    let number = |value: &Value| value.as_i64().unwrap();
    let sum = |name: &str, part: &str| number(&row[name][part]);
    let [all, open, closed] = ["all", "open", "closed"].map(|name| (sum(name, "cases"), sum(name, "amount_minor")));
    let recovered = (sum("recovered", "cases"), sum("recovered", "amount_minor"));
    let retryable = (sum("retryable", "cases"), sum("retryable", "amount_minor"));
    let healed = (
        sum("retryable_recovered", "cases"),
        sum("retryable_recovered", "amount_minor"),
    );
    let net = number(&row["net_recovered_minor"]);
    let month = &churn["data"][0];
    let money = &month["money"]["EUR"];
    let ended = |name: &str| number(&money[name]);
    vec![
        ("failed_cases", all.0, 1),
        ("failed_amount", all.1, 1),
        ("open_cases", open.0, 1),
        ("open_amount", open.1, 1),
        ("recovered_cases", recovered.0, 1),
        ("recovered_amount", recovered.1, 1),
        ("net_recovered_amount", net, 1),
        ("late_recovered_amount", sum("late_recoveries", "amount_minor"), 1),
        ("reversed_amount", sum("reversals", "amount_minor"), 1),
        ("maturity", closed.0, all.0),
        ("recovery_rate_cases", recovered.0, all.0),
        ("recovery_rate_amount", recovered.1, all.1),
        ("recovery_rate_cases_closed", recovered.0, closed.0),
        ("recovery_rate_amount_closed", recovered.1, closed.1),
        ("recovery_rate_cases_retryable", healed.0, retryable.0),
        ("recovery_rate_amount_retryable", healed.1, retryable.1),
        ("net_recovery_rate_amount", net, all.1),
        ("involuntary_churn", number(&month["involuntary"]), 1),
        ("involuntary_churn_rate", number(&month["involuntary"]), 400),
        ("involuntary_churn_won_back", number(&month["won_back"]), 1),
        (
            "involuntary_churn_net_rate",
            number(&month["involuntary"]) - number(&month["won_back"]),
            400,
        ),
        ("voluntary_churn_in_dunning", number(&month["voluntary_in_dunning"]), 1),
        ("monthly_revenue_lost", ended("monthly_lost_minor"), 1),
        ("monthly_revenue_won_back", ended("monthly_won_back_minor"), 1),
        ("monthly_revenue_saved", ended("monthly_saved_minor"), 1),
        ("attempts_per_recovery", ended("attempts"), number(&month["recovered"])),
        ("messages_per_recovery", ended("messages"), number(&month["recovered"])),
    ]
}

/// What the further reports say. A cell by age is there once the month is over, so that time passes here, and nothing else happens.
async fn further(stage: &super::Stage, span: &str, recovery: &Value) -> Vec<(&'static str, i64, i64)> {
    let number = |value: &Value| value.as_i64().unwrap_or_else(|| panic!("no number: {value}"));
    let get = async |path: &str| stage.get(&format!("/v1/reports/{path}?{span}")).await.json();
    let customers = &recovery["rows"][0]["customers"];
    let all = number(&customers["all"]);
    let funnel = get("funnel").await;
    let stages = &funnel["data"][0]["stages"];
    let failed = number(&stages[0]["reached"]["cases"]);
    let reached = |index: usize, stage: &str| {
        assert_eq!(stages[index]["stage"], stage);
        number(&stages[index]["reached"]["cases"])
    };
    let attempts = get("attempts").await;
    let charged = &attempts["data"][0];
    let sum = |name: &str| -> i64 {
        let numbers = charged["numbers"].as_array().unwrap();
        numbers.iter().map(|row| number(&row[name])).sum()
    };
    let attribution = get("attribution").await;
    let credited = &attribution["credited"][0];
    let money = |name: &str| number(&credited[name]["amount_minor"]);
    stage.clock.advance_to(super::at("2026-05-01T00:00:00Z")).unwrap();
    let ages = get("ages").await;
    let week = &ages["data"][0]["cells"][0]["recovered"]["cases"];
    vec![
        ("recovery_rate_customers", number(&customers["recovered"]), all),
        ("recovery_rate_customers_any", number(&customers["any_recovered"]), all),
        ("funnel_recovered_silently", reached(1, "recovered_silently"), failed),
        ("funnel_written_to", reached(2, "written_to"), failed),
        ("funnel_delivered", reached(3, "delivered"), failed),
        ("funnel_clicked", reached(4, "clicked"), failed),
        ("funnel_card_changed", reached(5, "card_changed"), failed),
        (
            "attempt_success_rate",
            sum("succeeded"),
            sum("succeeded") + sum("declined"),
        ),
        (
            "cohort_attempts_per_recovery",
            number(&charged["attempts"]),
            number(&charged["recovered"]),
        ),
        ("attributed_by_mechanism", money("mechanism"), money("recovered")),
        ("attributed_by_last_touch", money("last_touch"), money("recovered")),
        (
            "recovery_rate_by_age",
            number(week),
            number(&ages["data"][0]["all"]["cases"]),
        ),
    ]
}

#[test]
fn each_view_says_what_the_report_says() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        for (code, verb) in [
            ("lost_card", "mark-paid"),
            ("insufficient_funds", "mark-paid"),
            ("expired_card", "stop"),
            ("do_not_honor", "write-off"),
        ] {
            let case = stage.open_case(code).await;
            let done = stage.post(&format!("/v1/cases/{case}/{verb}"), &json!({})).await;
            assert_eq!(done.status, 200, "{}", done.text);
        }
        let upload = json!({"connection": "stripe", "source": "the billing system's own count",
                            "months": [{"month": "2026-03", "subscriptions": 400}]});
        let uploaded = stage.post("/v1/active-subscriptions", &upload).await;
        assert_eq!(uploaded.status, 200, "{}", uploaded.text);
        let span = "from=2026-03-01&to=2026-04-01";
        let recovery = stage.get(&format!("/v1/reports/recovery?{span}")).await.json();
        let churn = stage.get(&format!("/v1/reports/churn?{span}")).await.json();
        assert_eq!(churn["data"][0]["active_at_start"], 400, "{churn}");
        assert_eq!(churn["data"][0]["recovered"], 2, "{churn}");
        let mut figures = reported(&recovery, &churn);
        figures.extend(further(stage, span, &recovery).await);
        for (name, numerator, denominator) in &figures {
            let seen = view(stage, name).await;
            assert_eq!(seen, (*numerator, *denominator), "{name}");
        }
        let with_view: Vec<&str> = definitions::all()
            .iter()
            .filter(|definition| definition.view)
            .map(|definition| definition.id.as_str())
            .collect();
        let mut named: Vec<&str> = figures.iter().map(|(name, ..)| *name).collect();
        for name in &with_view {
            assert!(named.contains(name), "no report is held against the view {name}");
        }
        named.retain(|name| !with_view.contains(name));
        assert_eq!(named, [""; 0], "these have no definition");
        let told = stage.get("/v1/reports/definitions").await.json();
        assert_eq!(told["data"].as_array().unwrap().len(), definitions::all().len());
    });
}

#[test]
fn how_long_it_took_is_told_by_month_and_as_a_curve() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let paid = stage.open_case("lost_card").await;
        stage.post(&format!("/v1/cases/{paid}/mark-paid"), &json!({})).await;
        let report = stage.get("/v1/reports/time?from=2026-03-01&to=2026-04-01").await;
        assert_eq!(report.status, 200, "{}", report.text);
        let report = report.json();
        let months =
            json!([{"cohort": "2026-03", "cases": 2, "recovered": 1, "open": 1, "p50_hours": 0, "p90_hours": 0}]);
        assert_eq!(report["months"], months);
        let step = &report["curve"][0];
        assert_eq!(
            (&step["at_risk"], &step["recovered"], &step["unrecovered"]),
            (&json!(2), &json!(1), &json!(0.5))
        );
    });
}

#[test]
fn what_cannot_be_is_refused() {
    stage(async |stage| {
        for query in [
            "margin_parts_per_10k=8000",
            "margin_parts_per_10k=8000&monthly_churn_parts_per_10k=0",
            "attempt_fee_minor=-1",
            "from=2026-04-01&to=2026-03-01",
        ] {
            let bad = stage.get(&format!("/v1/reports/churn?{query}")).await;
            assert_eq!((bad.status, bad.code().as_str()), (400, "bad_query"), "{query}");
        }
        for (connection, month, source) in [
            ("nobody", "2026-03", "us"),
            ("stripe", "2026-13", "us"),
            ("stripe", "2026-3", "us"),
            ("stripe", "2026-03", " "),
        ] {
            let body = json!({"connection": connection, "source": source,
                              "months": [{"month": month, "subscriptions": 1}]});
            let bad = stage.post("/v1/active-subscriptions", &body).await;
            assert_eq!((bad.status, bad.code().as_str()), (422, "bad_field"), "{body}");
        }
        assert_eq!(stage.get("/v1/active-subscriptions").await.json()["data"], json!([]));
    });
}
