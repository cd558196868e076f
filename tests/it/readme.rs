//! What the documents say of the code, held against it.

use std::fs;
use std::path::Path;

use recoup::config::DEFAULTS;

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
