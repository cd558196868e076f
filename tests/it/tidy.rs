//! The rules of the house, read from the tree itself. The samples show that each rule can fail.

mod bans;
mod floors;
mod paths;
mod samples;
mod size;
mod source;

use std::fs;
use std::path::Path;

use source::{Source, is_word, line_of};

/// A broken rule: where, and which.
type Breach = String;

/// What the customer fixed at the top of the repository, and what every project has.
const TOP: [&str; 15] = [
    "Cargo.toml",
    "Cargo.lock",
    "src",
    "migrations",
    "email-templates",
    "openapi",
    "tests",
    "benches",
    "Dockerfile",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
];

/// Where our Rust code lives.
const ROOTS: [&str; 4] = ["src", "migrations", "tests", "benches"];

impl Source {
    fn breach(&self, line: usize, what: &str) -> Breach {
        format!("{}:{line}: {what}", self.path)
    }

    /// A breach for each place where `text` stands in `within`, one of the source's own texts.
    fn texts(&self, within: &str, text: &str, what: &str) -> Vec<Breach> {
        within
            .match_indices(text)
            .map(|(at, _)| self.breach(line_of(within, at), what))
            .collect()
    }

    /// The same for a whole word.
    fn words(&self, within: &str, word: &str, what: &str) -> Vec<Breach> {
        let bytes = within.as_bytes();
        let whole = |at: &usize| {
            let before = at.checked_sub(1).is_some_and(|before| is_word(bytes[before]));
            let after = bytes.get(at + word.len()).is_some_and(|byte| is_word(*byte));
            !before && !after
        };
        let places = within.match_indices(word).map(|(at, _)| at).filter(whole);
        places.map(|at| self.breach(line_of(within, at), what)).collect()
    }
}

fn check(source: &Source) -> Vec<Breach> {
    [floors::check(source), size::check(source), bans::check(source)].concat()
}

fn top() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All Rust files below `folder`, by their path from the top.
fn rust_files(folder: &Path, found: &mut Vec<Source>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(top()).unwrap().to_str().unwrap().to_owned();
            found.push(Source::new(&name, &fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn the_tree_keeps_the_rules() {
    let mut sources = Vec::new();
    for root in ROOTS {
        rust_files(&top().join(root), &mut sources);
    }
    for known in [
        "src/lib.rs",
        "src/domain/money.rs",
        "migrations/src/lib.rs",
        "tests/it/tidy/source.rs",
    ] {
        assert!(
            sources.iter().any(|source| source.path == known),
            "{known} was not read"
        );
    }
    let breaches: Vec<Breach> = sources.iter().flat_map(check).collect();
    assert!(
        breaches.is_empty(),
        "{} breaches:\n{}",
        breaches.len(),
        breaches.join("\n")
    );
}

#[test]
fn the_top_of_the_repository_holds_what_the_customer_fixed() {
    let ignored = fs::read_to_string(top().join(".gitignore")).unwrap();
    let strays: Vec<String> = fs::read_dir(top())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !belongs_at_the_top(name, &ignored))
        .collect();
    assert!(strays.is_empty(), "at the top of the repository: {strays:?}");
}

/// Whether `name` may stand at the top: a dot file, one of the fixed names, or ignored by git as `/name` or `/name*`.
fn belongs_at_the_top(name: &str, ignored: &str) -> bool {
    let is_ignored = |pattern: &str| match pattern.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => name == pattern,
    };
    name.starts_with('.')
        || TOP.contains(&name)
        || ignored
            .lines()
            .filter_map(|line| line.strip_prefix('/'))
            .any(is_ignored)
}
