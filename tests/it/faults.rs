//! The table of faults: without a gap, and each test that it names is there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// How many faults the table lists.
const FAULTS: usize = 103;

/// What the sources below `folder` define: functions of Rust and Python.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
            continue;
        }
        if !path
            .extension()
            .is_some_and(|extension| extension == "rs" || extension == "py")
        {
            continue;
        }
        for line in fs::read_to_string(&path).unwrap().lines() {
            let line = line.trim_start();
            let name = ["fn ", "async fn ", "def "]
                .iter()
                .find_map(|word| line.strip_prefix(word))
                .and_then(|rest| rest.split_once('('));
            if let Some((name, _)) = name {
                found.insert(name.to_owned());
            }
        }
    }
}

#[test]
fn every_fault_has_its_test_or_a_reason() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut known = BTreeSet::new();
    functions(&root.join("src"), &mut known);
    functions(&root.join("tests"), &mut known);
    let table = fs::read_to_string(root.join("tests/FAULTS.md")).unwrap();
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| #"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), FAULTS);
    for (index, row) in rows.iter().enumerate() {
        let [number, _, behaviour, shown] = row[..] else {
            panic!("row {} has not four cells", index + 1);
        };
        assert_eq!(number, (index + 1).to_string());
        let names: Vec<&str> = shown.split_whitespace().collect();
        if names.is_empty() {
            assert!(
                behaviour.starts_with("Not here"),
                "fault {number} names no test and no reason"
            );
        }
        for name in names {
            let plain = name.trim_matches('`');
            assert!(known.contains(plain), "fault {number}: there is no test {name}");
        }
    }
}
