//! The recovery report as CSV: one line per cohort, group and currency. What the columns mean stands in the JSON form.

use csv::Writer;
use jiff::civil::Date;

use super::sheet::{harmless, percent, shown};
use crate::domain::report::{Cut, Report, Row, Sum};

/// The report as text; nothing where it cannot be written, which memory alone could cause.
pub(super) fn text(report: &Report, cut: Cut, [from, to]: [Date; 2]) -> Option<String> {
    let mut writer = Writer::from_writer(Vec::new());
    let head = columns(&Row::blank(), cut, [from, to]);
    writer.write_record(head.iter().map(|(name, _)| name)).ok()?;
    for row in &report.rows {
        writer
            .write_record(columns(row, cut, [from, to]).iter().map(|(_, value)| value))
            .ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

fn columns(row: &Row, cut: Cut, [from, to]: [Date; 2]) -> Vec<(String, String)> {
    let mut columns = Vec::new();
    let mut put = |name: &str, value: String| columns.push((name.to_owned(), value));
    put("from", from.to_string());
    put("to", to.to_string());
    put("cohort", harmless(&row.cohort));
    put("by", cut.by.to_string());
    put("group", harmless(row.group.as_deref().unwrap_or_default()));
    put("currency", row.currency.clone());
    let mut sum = |name: &str, sum: Sum| {
        put(&format!("{name}_cases"), sum.cases.to_string());
        put(&format!("{name}_amount_minor"), sum.amount_minor.to_string());
    };
    sum("all", row.all);
    sum("recovered", row.recovered);
    sum("exhausted", row.exhausted);
    sum("stopped", row.stopped);
    sum("open", row.open);
    sum("closed", row.closed);
    sum("retryable", row.retryable);
    sum("retryable_recovered", row.retryable_recovered);
    sum("late_recoveries", row.late_recoveries);
    sum("reversals", row.reversals);
    for (name, split) in [
        ("recovered_by", &row.recovered_by),
        ("exhausted_then", &row.exhausted_then),
        ("stopped_why", &row.stopped_why),
    ] {
        for (word, part) in split {
            sum(&format!("{name}_{word}"), *part);
        }
    }
    for (name, rate) in [
        ("recovered_cases_percent_of_all", &row.rates.cases_of_all),
        ("recovered_cases_percent_of_closed", &row.rates.cases_of_closed),
        ("recovered_amount_percent_of_all", &row.rates.amount_of_all),
        ("recovered_amount_percent_of_closed", &row.rates.amount_of_closed),
        ("recovered_cases_percent_of_retryable", &row.rates.cases_of_retryable),
        ("recovered_amount_percent_of_retryable", &row.rates.amount_of_retryable),
    ] {
        put(name, percent(rate.as_ref()));
    }
    put("net_recovered_amount_minor", row.net_recovered_minor.to_string());
    put(
        "net_recovered_amount_percent_of_all",
        percent(row.rates.net_amount_of_all.as_ref()),
    );
    put("maturity_percent", percent(row.maturity.as_ref()));
    let its = row.customers.as_ref();
    put("customers", shown(its.map(|its| its.all)));
    put("customers_recovered", shown(its.map(|its| its.recovered)));
    put("customers_any_recovered", shown(its.map(|its| its.any_recovered)));
    put("customers_open", shown(its.map(|its| its.open)));
    put(
        "customers_recovered_percent_of_all",
        percent(its.and_then(|its| its.recovered_of_all.as_ref())),
    );
    put(
        "customers_any_recovered_percent_of_all",
        percent(its.and_then(|its| its.any_recovered_of_all.as_ref())),
    );
    columns
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::{self, By, Cell, Cohort, Counts};

    #[test]
    fn a_group_that_looks_like_a_formula_is_only_text() {
        let day = jiff::civil::date(2026, 3, 2);
        let cell = Cell {
            day,
            value: "=HYPERLINK(\"http://x\") v1".to_owned(),
            connection: "stripe".to_owned(),
            currency: "EUR".parse().unwrap(),
            outcome: None,
            retryable: false,
            counts: Counts {
                cases: 1,
                amount_minor: 1_999,
                ..Counts::default()
            },
        };
        let cut = Cut {
            cohort: Cohort::Month,
            by: By::Campaign,
        };
        let report = report::report(&[cell], cut).unwrap();
        let text = text(&report, cut, [day, day]).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let headers = reader.headers().unwrap().clone();
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let cell = |name: &str| {
            rows[0]
                .get(headers.iter().position(|have| have == name).unwrap())
                .unwrap()
        };
        assert_eq!(cell("group"), "'=HYPERLINK(\"http://x\") v1");
        assert_eq!(
            (cell("open_amount_minor"), cell("recovered_cases_percent_of_all")),
            ("1999", "0.00")
        );
    }
}
