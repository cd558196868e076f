//! Among many cases, pages show the comparison that was worked out before.

use sea_orm::{ConnectionTrait, Statement};

use super::browser::Browser;
use super::{BOOTSTRAP, Stage, stage};

/// One more than a page compares while somebody waits.
const MANY: u32 = 4_001;
/// Pages are loaded so often at most until the comparison is there.
const LOADS_MAX: u32 = 2_000;

/// A page, what it says while the comparison is worked out, and what it says then.
const PAGES: [(&str, &str, &str); 2] = [
    (
        "/dashboard/learning",
        "The cases are being compared:",
        "Against the holdout",
    ),
    (
        "/dashboard/reports/attribution",
        "The cases are being compared with the holdout:",
        "Against the holdout:",
    ),
];

/// Copies of the case that is there.
async fn copy_case(stage: &Stage) {
    let conn = stage.store.conn();
    let one = Statement::from_string(conn.get_database_backend(), "SELECT * FROM cases LIMIT 1");
    let columns = conn.query_one_raw(one).await.unwrap().unwrap().column_names();
    let value = |column: &String| match column.as_str() {
        "id" | "invoice_id" => format!("{column} || '_' || CAST(n AS TEXT)"),
        _ => format!("\"{column}\""),
    };
    let names: Vec<String> = columns.iter().map(|column| format!("\"{column}\"")).collect();
    let values: Vec<String> = columns.iter().map(value).collect();
    let copy = format!(
        "INSERT INTO cases ({}) WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MANY}) \
         SELECT {} FROM cases CROSS JOIN numbers",
        names.join(", "),
        values.join(", ")
    );
    conn.execute_unprepared(&copy).await.unwrap();
}

/// Loads a page until it says that.
async fn until(browser: &Browser<'_>, path: &str, text: &str) -> String {
    for _ in 0..LOADS_MAX {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        if page.text.contains(text) {
            return page.text;
        }
        tokio::task::yield_now().await;
    }
    panic!("{path} never says {text}");
}

#[test]
fn among_many_cases_no_page_waits_for_the_comparison() {
    stage(async |stage| {
        stage.open_case("insufficient_funds").await;
        let browser = Browser::new(stage);
        browser.try_key(BOOTSTRAP).await;
        for (path, waits, told) in PAGES {
            let few = browser.get(path).await.text;
            assert!(few.contains(told) && !few.contains(waits), "{few}");
        }
        copy_case(stage).await;
        for (path, waits, told) in PAGES {
            let first = browser.get(path).await.text;
            assert!(first.contains(waits) && !first.contains(told), "{first}");
            let later = until(&browser, path, told).await;
            assert!(!later.contains(waits), "{later}");
        }
        // The document of the API is never one of before.
        let report = stage
            .get("/v1/reports/uplift?from=2026-03-01&to=2026-04-01")
            .await
            .json();
        assert_eq!(report["cases"]["opened"], u64::from(MANY) + 1, "{report}");
    });
}
