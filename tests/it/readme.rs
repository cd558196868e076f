//! What the documents say of the code, held against it.

use std::fs;
use std::path::Path;

use recoup::config::DEFAULTS;
use recoup::domain::role::Role;

const DOCUMENTS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
];
const FIGURE: &str = "<!-- figure: ";
const FIGURE_END: &str = "<!-- /figure -->";

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document(name: &str) -> String {
    fs::read_to_string(top().join(name)).unwrap()
}

/// Every key of the defaults as a variable, with its default where it has one.
fn keys() -> Vec<(String, Option<String>)> {
    let mut section = "";
    let mut keys = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((name, value)) = line.split_once(" = ") {
            let bare = name.trim_start_matches("# ");
            let default = (bare == name).then(|| value.trim_matches('"').to_owned());
            keys.push((format!("RECOUP__{section}__{bare}").to_uppercase(), default));
        }
    }
    keys
}

/// The marked figures of a text: name and value.
fn figures(text: &str) -> Vec<(&str, &str)> {
    let marked = text.split(FIGURE).skip(1);
    marked
        .map(|rest| {
            let (name, rest) = rest.split_once(" -->").expect("the mark of a figure is closed");
            (name, rest.split_once(FIGURE_END).expect("a figure has an end").0)
        })
        .collect()
}

/// The figures of `text` that `measured`, a TOML table of texts, does not bear out.
fn drifted(text: &str, measured: &str) -> Vec<String> {
    let measured: toml::Table = measured.parse().unwrap();
    let wrong =
        |(name, _): &(&str, &str), value: &str| measured.get(*name).and_then(toml::Value::as_str) != Some(value);
    let figures = figures(text).into_iter().filter(|figure| wrong(figure, figure.1));
    figures.map(|(name, value)| format!("{name}: {value}")).collect()
}

#[test]
fn the_configuration_table_lists_every_key_with_its_default() {
    let readme = document("README.md");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| line.starts_with("| `RECOUP__"))
        .map(|line| line.split(" | ").collect())
        .collect();
    let keys = keys();
    assert_eq!(rows.len(), keys.len(), "one row for each key");
    for (row, (name, default)) in rows.iter().zip(keys) {
        assert!(
            row[0].starts_with(&format!("| `{name}`")),
            "{name} is not at its place: {row:?}"
        );
        if let Some(default) = default {
            assert_eq!(row[1], format!("`{default}`"), "{name}");
        }
    }
}

/// The texts in backticks that stand first in the rows of the tables that `begins` tells.
fn first_cells<'t>(text: &'t str, begins: &str) -> Vec<&'t str> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    rows.filter(|row| row.starts_with(begins))
        .filter_map(|row| row.split('`').next())
        .collect()
}

/// The double-quoted texts of a source that begin with one of `stems`.
fn quoted<'t>(source: &'t str, stems: &[&str]) -> Vec<&'t str> {
    let texts = source.split('"').skip(1).step_by(2);
    texts
        .filter(|text| stems.iter().any(|stem| text.starts_with(stem)))
        .collect()
}

#[test]
fn every_metric_is_listed_and_every_listed_one_is_there() {
    let readme = document("README.md");
    let source = document("src/telemetry/metric.rs");
    let shipped = source.split("#[cfg(test)]").next().unwrap();
    let constants = shipped.lines().filter(|line| line.starts_with("pub const "));
    let known: Vec<&str> = constants.filter_map(|line| line.split('"').nth(1)).collect();
    assert!(known.len() > 10, "{known:?}");
    assert_eq!(first_cells(&readme, "recoup_"), known);
    let told = readme.split('`').filter(|text| text.starts_with("recoup_"));
    for name in told {
        assert!(known.contains(&name), "{name} is no metric");
    }
}

#[test]
fn the_webhook_events_to_subscribe_to_are_those_that_are_acted_on() {
    let source = document("src/providers/stripe/webhook.rs");
    let stems = ["invoice.", "payment_intent.", "charge.", "customer.", "payment_method."];
    let mut acted_on = quoted(&source, &stems);
    let readme = document("README.md");
    let mut listed: Vec<&str> = readme
        .split('`')
        .filter(|text| stems.iter().any(|stem| text.starts_with(stem)))
        .collect();
    acted_on.sort_unstable();
    acted_on.dedup();
    listed.sort_unstable();
    // Those that an import reads are named once more.
    listed.dedup();
    assert_eq!(listed, acted_on);
}

#[test]
fn the_roles_of_the_readme_are_the_roles() {
    let readme = document("README.md");
    let roles = readme.split("## Roles").nth(1).expect("the chapter on roles");
    let words: Vec<&str> = Role::ALL.iter().map(|role| role.as_str()).collect();
    assert_eq!(first_cells(roles.split("\n## ").next().unwrap(), ""), words);
}

#[test]
fn every_command_of_the_readme_is_one_of_the_binary() {
    let readme = document("README.md");
    let help = std::process::Command::new(env!("CARGO_BIN_EXE_recoup"))
        .arg("help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    let mut known: Vec<&str> = commands
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    known.retain(|name| *name != "help");
    let mut listed: Vec<&str> = first_cells(&readme, "recoup ")
        .into_iter()
        .filter_map(|cell| cell.split(' ').nth(1))
        .collect();
    known.sort_unstable();
    listed.sort_unstable();
    assert_eq!(listed, known);
}

#[test]
fn the_two_commands_are_there() {
    let readme = document("README.md");
    for command in ["\ncargo run --release -- demo\n", "\nbash tests/run\n"] {
        assert_eq!(readme.matches(command).count(), 1, "{command}");
    }
    assert!(top().join("tests/run").is_file());
}

#[test]
fn links_between_documents_lead_somewhere() {
    for name in DOCUMENTS {
        let text = document(name);
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split([')', '#']).next());
        for target in targets.filter(|target| !target.is_empty() && !target.starts_with("https://")) {
            assert!(top().join(target).exists(), "{name} links to {target}");
        }
    }
}

#[test]
fn marked_figures_are_the_measured_ones() {
    let measured = fs::read_to_string(top().join("benches/figures.toml")).unwrap_or_default();
    let drifted = drifted(&document("README.md"), &measured);
    assert!(drifted.is_empty(), "not as in benches/figures.toml: {drifted:?}");
}

#[test]
fn a_figure_that_drifted_or_was_never_measured_is_found() {
    let text = "takes <!-- figure: start -->30 ms<!-- /figure --> and <!-- figure: rate -->7<!-- /figure -->";
    assert_eq!(drifted(text, "start = '30 ms'\nrate = '7'"), [""; 0]);
    assert_eq!(drifted(text, "start = '31 ms'"), ["start: 30 ms", "rate: 7"]);
}
