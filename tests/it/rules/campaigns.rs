//! The schema of campaign files says what their reader says.

use recoup::domain::campaign::schema::json_text;
use recoup::domain::campaign::{Campaign, EMBEDDED};
use serde_json::Value;

use crate::support::campaigns::DAYS;
use crate::support::schema;

/// A file of a few lines that is whole, to be broken.
const SMALL: &str = r#"
name = "small"
version = 1
promise_days = 3

[quiet]
from = "21:00"
to = "08:00"

[touches]
most = 2
within_days = 7
apart_hours = 48

[[ladder]]
kinds = ["limit"]
days = [1, 3]
at = "09:30"

[[ladder]]
kinds = ["insufficient_funds"]
planned = { charges = 4, within_days = 9, arms = ["even"] }

[[message]]
key = "first"
message = "reminder"
dispositions = ["retry"]
kinds = ["limit"]
when = { after_days = { days = 2, at = "10:00" } }

[[message]]
key = "last"
message = "final_notice"
dispositions = ["retry"]
when = { before_final = { days = 2, at = "10:00" } }

[final]
after_days = 21
at = "10:00"
action = "cancel"
"#;

/// What breaks the file: a text in it, and what stands there instead.
const BROKEN: [(&str, &str); 28] = [
    ("name = \"small\"\n", ""),
    ("name = \"small\"", "name = 7"),
    ("name = \"small\"", "name = \"\""),
    ("name = \"small\"", "name = \"a\\u0000\""),
    ("version = 1", "version = 0"),
    ("version = 1", "version = 1.5"),
    ("version = 1", "version = 4294967295"),
    ("version = 1", "version = 1\ncolour = \"blue\""),
    ("promise_days = 3", "promise_days = 31"),
    ("from = \"21:00\"", "from = \"9 pm\""),
    ("from = \"21:00\"\n", ""),
    ("most = 2", "most = 0"),
    ("most = 2", "most = 2\nleast = 1"),
    ("kinds = [\"limit\"]\ndays", "kinds = []\ndays"),
    ("kinds = [\"limit\"]\ndays", "kinds = [\"sulking\"]\ndays"),
    ("days = [1, 3]", "days = [0, 3]"),
    ("days = [1, 3]", "days = [1, 1]"),
    ("days = [1, 3]\n", ""),
    ("days = [1, 3]", "days = [1, 3]\nhours = [5]"),
    ("at = \"09:30\"", "at = \"24:00\""),
    ("charges = 4", "charges = 9"),
    ("arms = [\"even\"]", "arms = [\"even\", \"even\"]"),
    ("key = \"first\"\n", ""),
    ("message = \"reminder\"", "message = \"ransom\""),
    ("after_days = { days = 2, at = \"10:00\" }", "after_days = { days = 2 }"),
    ("after_days = { days = 2, at = \"10:00\" }", "someday = 2"),
    ("after_days = 21", "after_days = 366"),
    ("action = \"cancel\"", "action = \"sue\""),
];

fn faults(text: &str) -> Vec<String> {
    let schema: Value = serde_json::from_str(&json_text()).unwrap();
    let table: toml::Table = text.parse().unwrap();
    schema::faults(&schema, &serde_json::to_value(table).unwrap())
}

#[test]
fn whatever_is_read_keeps_the_schema() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus/campaign");
    let corpus = std::fs::read_dir(corpus).unwrap();
    let corpus = corpus.filter_map(|file| std::fs::read_to_string(file.unwrap().path()).ok());
    let texts = [EMBEDDED, DAYS, SMALL].map(str::to_owned).into_iter().chain(corpus);
    let read: Vec<String> = texts.filter(|text| Campaign::parse(text).is_ok()).collect();
    assert!(read.len() >= 5, "{read:?}");
    for text in read {
        assert_eq!(faults(&text), [""; 0], "{text}");
    }
}

#[test]
fn what_breaks_the_schema_is_refused_by_the_reader_too() {
    for (from, to) in BROKEN {
        assert!(SMALL.contains(from), "{from}");
        let text = SMALL.replacen(from, to, 1);
        assert!(Campaign::parse(&text).is_err(), "{to} is read");
        assert!(!faults(&text).is_empty(), "{to} keeps the schema");
    }
}

/// An editor shows what a field means.
#[test]
fn every_field_is_described() {
    let schema: Value = serde_json::from_str(&json_text()).unwrap();
    let described = |place: &str, object: &Value| {
        for (name, field) in object["properties"].as_object().into_iter().flatten() {
            let field = &field["description"];
            assert!(field.as_str().is_some_and(|text| text.ends_with('.')), "{place}/{name}");
        }
    };
    described("", &schema);
    for (name, part) in schema["$defs"].as_object().unwrap() {
        described(name, part);
    }
}

/// The lines of the built-in campaign with one example put to use: each stands for itself, in place of the line above where its
/// comment says so.
fn with_examples() -> Vec<String> {
    let lines: Vec<&str> = EMBEDDED.lines().collect();
    let is_example = |line: &str| line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
    let mut texts = Vec::new();
    let mut nth = 0;
    while nth < lines.len() {
        let count = lines[nth..].iter().take_while(|line| is_example(line)).count();
        if count == 0 {
            nth += 1;
            continue;
        }
        let mut text: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
        for line in &mut text[nth..nth + count] {
            line.remove(0);
        }
        let comment = lines[..nth].iter().rev().take_while(|line| line.starts_with("# "));
        if comment
            .into_iter()
            .any(|line| line.starts_with("# Instead of the line above"))
        {
            let above = lines[..nth].iter().rposition(|line| !line.starts_with('#'));
            text[above.unwrap()].clear();
        }
        texts.push(text.join("\n"));
        nth += count;
    }
    texts
}

#[test]
fn each_example_in_the_built_in_campaign_is_whole_and_means_something() {
    let texts = with_examples();
    assert_eq!(texts.len(), 9, "{texts:#?}");
    let plain = Campaign::embedded();
    for text in texts {
        let named = text.replace("name = \"default\"", "name = \"another\"");
        let is_segment = text.contains("\n[[for]]");
        let text = if is_segment { &named } else { &text };
        let (mut campaign, faults) = Campaign::read(text).unwrap_or_else(|faults| panic!("{faults}\n{text}"));
        assert_eq!(faults, [], "{text}");
        campaign.name.clone_from(&plain.name);
        assert_ne!(campaign, plain, "the example changes nothing: {text}");
    }
    assert_eq!(Campaign::read(EMBEDDED).unwrap().1, []);
}
