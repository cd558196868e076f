//! The uplift report as CSV: one line per group and currency. What the columns mean stands in the JSON form.
//!
//! The line `drawn` has the comparison of all that drew with the holdout; the line of an arm has its off-policy estimates and its
//! own comparison. Both have one line for each currency, and one without where there is no money yet.

use csv::Writer;
use jiff::Timestamp;

use crate::domain::report::Rate;
use crate::domain::report::uplift::{ArmValue, Difference, Estimate, Group, NetValue, Uplift};

type Columns = Vec<(String, String)>;

/// The report as text; nothing where it cannot be written, which memory alone could cause.
pub(super) fn text(report: &Uplift, from: Timestamp, to: Timestamp) -> Option<String> {
    let mut writer = Writer::from_writer(Vec::new());
    let lines = report.groups.iter().flat_map(|group| lines(report, group));
    for (number, line) in lines.enumerate() {
        let span = [("from", from), ("to", to)].map(|(name, at)| (name.to_owned(), at.to_string()));
        let line: Columns = span.into_iter().chain(line).collect();
        if number == 0 {
            writer.write_record(line.iter().map(|(name, _)| name)).ok()?;
        }
        writer.write_record(line.iter().map(|(_, value)| value)).ok()?;
    }
    String::from_utf8(writer.into_inner().ok()?).ok()
}

fn lines(report: &Uplift, group: &Group) -> Vec<Columns> {
    let values: Vec<Option<&NetValue>> = if group.net_values.is_empty() {
        vec![None]
    } else {
        group.net_values.iter().map(Some).collect()
    };
    let line = |value: Option<&NetValue>| {
        let mut columns = counts(group);
        put_value(&mut columns, value);
        put_comparison(&mut columns, report, group, value);
        columns
    };
    values.into_iter().map(line).collect()
}

fn put(columns: &mut Columns, name: &str, value: String) {
    columns.push((name.to_owned(), value));
}

fn counts(group: &Group) -> Columns {
    let mut columns = Vec::new();
    put(&mut columns, "group", group.group.clone());
    for (name, count) in [
        ("cases", group.cases),
        ("closed_cases", group.closed),
        ("recovered_cases", group.recovered),
        ("window_over_cases", group.window_over.cases),
        ("window_over_customers", group.window_over.customers),
        ("window_over_recovered_cases", group.window_over.recovered),
    ] {
        put(&mut columns, name, count.to_string());
    }
    put(&mut columns, "maturity_percent", percent(group.maturity.as_ref()));
    put_estimate(&mut columns, "recovered_percent", group.window_over.share.as_ref());
    columns
}

fn put_value(columns: &mut Columns, value: Option<&NetValue>) {
    put(
        columns,
        "currency",
        value.map_or_else(String::new, |value| value.currency.clone()),
    );
    for (name, minor) in [
        ("net_value_minor", value.map(|value| value.mean_minor)),
        ("net_value_minor_low", value.and_then(|value| value.low_minor)),
        ("net_value_minor_high", value.and_then(|value| value.high_minor)),
    ] {
        put(columns, name, shown(minor));
    }
}

fn put_comparison(columns: &mut Columns, report: &Uplift, group: &Group, value: Option<&NetValue>) {
    let all = Some(&report.against_holdout).filter(|_| group.group == "drawn");
    let arms = &report.off_policy.arms;
    let arm: Option<&ArmValue> = arms.iter().find(|arm| arm.arm.as_str() == group.group);
    let difference = match (all, arm) {
        (Some(all), _) => all.difference.as_ref(),
        (None, arm) => arm.and_then(|arm| arm.against_holdout.as_ref()),
    };
    put_difference(columns, difference);
    let verdict = all.map(|all| all.verdict).or(arm.map(|arm| arm.verdict));
    put(columns, "verdict", shown(verdict));
    let seen = all.and_then(|all| all.needed.iter().find(|needed| needed.seen));
    put(columns, "cases_still_needed", shown(seen.map(|seen| seen.still)));
    let net = all.and_then(|all| {
        let mut each = all.net_values.iter();
        each.find(|net| value.is_some_and(|value| value.currency == net.currency))
    });
    for (name, minor) in [
        ("net_difference_minor", net.map(|net| net.difference_minor)),
        ("net_difference_minor_low", net.and_then(|net| net.low_minor)),
        ("net_difference_minor_high", net.and_then(|net| net.high_minor)),
    ] {
        put(columns, name, shown(minor));
    }
    put(columns, "net_verdict", shown(net.map(|net| net.verdict)));
    put(columns, "effective_cases", shown(arm.map(|arm| arm.effective_cases)));
    put_estimate(columns, "snips_percent", arm.and_then(|arm| arm.snips.as_ref()));
    put_estimate(
        columns,
        "doubly_robust_percent",
        arm.and_then(|arm| arm.doubly_robust.as_ref()),
    );
    let refused = arm.and_then(|arm| arm.refused.clone());
    put(columns, "refused", refused.unwrap_or_default());
}

fn put_estimate(columns: &mut Columns, name: &str, estimate: Option<&Estimate>) {
    put(columns, name, percent(estimate.map(|estimate| &estimate.share)));
    put(
        columns,
        &format!("{name}_low"),
        percent(estimate.map(|estimate| &estimate.low)),
    );
    put(
        columns,
        &format!("{name}_high"),
        percent(estimate.map(|estimate| &estimate.high)),
    );
}

fn put_difference(columns: &mut Columns, difference: Option<&Difference>) {
    let name = "points_above_holdout";
    put(columns, name, percent(difference.map(|difference| &difference.points)));
    put(
        columns,
        &format!("{name}_low"),
        percent(difference.map(|difference| &difference.low)),
    );
    put(
        columns,
        &format!("{name}_high"),
        percent(difference.map(|difference| &difference.high)),
    );
}

fn percent(rate: Option<&Rate>) -> String {
    rate.map_or_else(String::new, |rate| rate.percent.clone())
}

fn shown(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}
