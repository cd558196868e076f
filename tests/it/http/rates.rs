//! Rates of exchange at the desk: a table is taken in whole or not at all, and its faults are told by line.

use recoup::domain::role::Role;

use super::browser::{joined, led_to};
use super::stage;

const PAGE: &str = "/dashboard/reports/rates";

fn form<'a>(table: &'a str, replace: &'a str) -> [(&'a str, &'a str); 3] {
    [("source", "the central bank"), ("table", table), ("replace", replace)]
}

#[test]
fn a_table_of_rates_is_uploaded_and_listed_newest_first() {
    stage(async |stage| {
        let ada = joined(stage, "Ada", Role::Billing).await;
        let empty = ada.get(PAGE).await;
        assert!(empty.text.contains("No rate was uploaded yet."), "{}", empty.text);
        let table = "day;from;to;rate\r\n2026-03-03;USD;EUR;0.9231\r\n2026-03-04;USD;EUR;0.93\r\n";
        let done = ada.post(PAGE, &form(table, "")).await;
        led_to(&done, &format!("{PAGE}?taken=2&replaced=0"));
        let seen = ada.get(&format!("{PAGE}?taken=2&replaced=0")).await.text;
        let place = |text: &str| seen.find(text).unwrap_or_else(|| panic!("{text}: {seen}"));
        place("2 rates are taken in, 0 of them in place of another.");
        place("the central bank");
        assert!(place("1 USD = 0.93 EUR") < place("1 USD = 0.9231 EUR"));
        let listed = stage.get("/v1/exchange-rates").await.json();
        assert_eq!(listed["data"][0]["source"], "the central bank");

        // What stands there is not changed unless that is asked for.
        let other = "2026-03-04,USD,EUR,0.95";
        let stands = ada.post(PAGE, &form(other, "")).await;
        assert!(
            stands.status == 409 && stands.text.contains("stands at 0.93, from the central bank"),
            "{}",
            stands.text
        );
        assert!(stands.text.contains(other), "what was sent is still there");
        led_to(
            &ada.post(PAGE, &form(other, "yes")).await,
            &format!("{PAGE}?taken=1&replaced=1"),
        );
        assert_eq!(stage.get("/v1/exchange-rates").await.json()["data"][0]["rate"], "0.95");
        let audit = stage.get("/v1/audit").await.text;
        assert!(audit.contains("1 rates, 1 replaced: the central bank"), "{audit}");

        let many: Vec<String> = (0..60)
            .map(|day| format!("2025-{:02}-{:02}\tUSD\tJPY\t150", day / 28 + 1, day % 28 + 1))
            .collect();
        led_to(
            &ada.post(PAGE, &form(&many.join("\n"), "")).await,
            &format!("{PAGE}?taken=60&replaced=0"),
        );
        let first = ada.get(PAGE).await.text;
        let (_, next) = first.split_once(&format!("{PAGE}?cursor=")).expect("a next page");
        let next = next.split('"').next().unwrap();
        let second = ada.get(&format!("{PAGE}?cursor={next}")).await.text;
        assert!(
            second.contains("2025-01-01") && !second.contains("1 USD = 0.95 EUR"),
            "{second}"
        );
    });
}

#[test]
fn faults_of_a_table_are_told_by_line_and_nothing_of_it_is_taken_in() {
    stage(async |stage| {
        let ada = joined(stage, "Ada", Role::Billing).await;
        ada.get(PAGE).await;
        let table = "day,from,to,rate\n2026-03-03,USD,EUR,0.92\n2026-03-04,USD,EUR,0,92\n4.3.2026,USD,EUR,0.92\n\
                     2026-03-05,EUR,EUR,1\n2026-03-03,USD,EUR,0.93\n2026-03-06,USD,EURO,1\n2026-03-07,USD,EUR,-1";
        // As browsers end lines.
        let table = table.replace('\n', "\r\n");
        let seen = ada.post(PAGE, &form(&table, "")).await;
        assert_eq!(seen.status, 422, "{}", seen.text);
        for told in [
            "Nothing was taken in: 6 faults",
            "Line 3: each line must have four columns",
            "Line 4: day must be a day",
            "Line 5: from and to must be two currencies",
            "Line 6: rates must name each day and pair of currencies once",
            "Line 7: from and to must be currencies of three letters",
            "Line 8: rate must be a decimal number",
            "2026-03-07,USD,EUR,-1</textarea>",
            "value=\"the central bank\"",
        ] {
            assert!(seen.text.contains(told), "{told}: {}", seen.text);
        }
        for (source, table, told) in [
            ("", "2026-03-03,USD,EUR,0.92", "source must say"),
            ("x", "", "rates must name between 1 and 2000"),
            ("x", "day,from,to,rate", "rates must name between 1 and 2000"),
        ] {
            let seen = ada.post(PAGE, &[("source", source), ("table", table)]).await;
            assert!(seen.status == 422 && seen.text.contains(told), "{told}: {}", seen.text);
        }
        let listed = stage.get("/v1/exchange-rates").await.json();
        assert_eq!(listed["data"].as_array().map(Vec::len), Some(0), "{listed}");
    });
}

#[test]
fn who_reads_reports_sees_the_rates_and_uploads_none() {
    stage(async |stage| {
        let mo = joined(stage, "Mo", Role::Marketing).await;
        assert!(mo.get("/dashboard/reports").await.text.contains(PAGE));
        let seen = mo.get(PAGE).await;
        assert!(
            seen.status == 200 && !seen.text.contains("Upload a table"),
            "{}",
            seen.text
        );
        mo.get("/dashboard/me").await;
        let refused = mo.post(PAGE, &form("2026-03-03,USD,EUR,0.92", "")).await;
        assert_eq!(refused.status, 403, "{}", refused.text);
        let viewer = joined(stage, "Vi", Role::Viewer).await;
        assert_eq!(viewer.get(PAGE).await.status, 403);
    });
}
