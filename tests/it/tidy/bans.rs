//! What stands nowhere, or only in the one place that is meant for it.

use super::Breach;
use super::paths::paths;
use super::source::Source;

/// Who may ask the operating system for time and entropy.
const EDGES: [&str; 4] = ["clock", "app", "cli", "sandbox"];
const CLOCKS: [&str; 5] = ["Timestamp", "Zoned", "Utc", "SystemTime", "Instant"];
/// What draws from the operating system's entropy in `rand`; its functions that begin with `random` do so too.
const UNSEEDED: [&str; 5] = ["rng", "make_rng", "fill", "ThreadRng", "SysRng"];

/// The one function that writes the state of a case, and the one file that calls it.
const CASE_WRITER: [&str; 2] = ["cases", "save"];
const CASE_WRITER_CALLER: &str = "src/engine/handle.rs";

pub fn check(source: &Source) -> Vec<Breach> {
    let mut breaches = Vec::new();
    if source.path.ends_with("/mod.rs") {
        breaches.push(source.breach(1, "is named mod.rs; name it after its room"));
    }
    for attribute in ["#[allow", "#![allow", "#[ignore"] {
        breaches.extend(source.texts(&source.code, attribute, &format!("`{attribute}` is banned")));
    }
    for word in ["TODO", "FIXME"] {
        breaches.extend(source.words(&source.prose, word, "unfinished, by its own words"));
    }
    for name in ["todo!", "unimplemented!"] {
        breaches.extend(source.texts(&source.code, name, "unfinished"));
    }
    breaches.extend(source.texts(&source.test_code(), "sleep(", "a test sleeps"));
    breaches.extend(source.words(
        &source.shipped,
        "mod tests",
        "a module of tests goes behind `#[cfg(test)]`",
    ));
    if !source.path.starts_with("tests/") && !source.path.starts_with("benches/") {
        breaches.extend(source.texts(&source.shipped, ".unwrap()", "unwraps outside a test"));
        breaches.extend(time_and_entropy(source));
        breaches.extend(case_writers(source));
    }
    breaches
}

fn time_and_entropy(source: &Source) -> Vec<Breach> {
    let edge = source.room().is_some_and(|room| EDGES.contains(&room)) || source.path.starts_with("src/http/edge");
    if edge {
        return Vec::new();
    }
    // The seeded generators are pure: the seed is passed in.
    let seeded = source.path.starts_with("src/domain/learning/");
    let banned = paths(&source.code).into_iter().filter(|named| {
        let names: Vec<&str> = named.names.iter().map(String::as_str).collect();
        let clock = names
            .windows(2)
            .any(|pair| CLOCKS.contains(&pair[0]) && pair[1] == "now");
        let timeout = names[..] == ["tokio", "time", "Instant", "now"];
        let rand = names[0] == "rand";
        let unseeded = names[1..]
            .iter()
            .any(|name| UNSEEDED.contains(name) || name.starts_with("random"));
        (clock && !timeout) || (rand && (unseeded || !seeded))
    });
    banned
        .map(|named| {
            source.breach(
                named.line,
                &format!("takes `{}` outside the clock", named.names.join("::")),
            )
        })
        .collect()
}

fn case_writers(source: &Source) -> Vec<Breach> {
    if source.path == CASE_WRITER_CALLER || source.room() == Some("store") {
        return Vec::new();
    }
    let writers = paths(&source.shipped)
        .into_iter()
        .filter(|named| named.names.windows(2).any(|pair| pair == CASE_WRITER));
    let told = format!("writes case state; only {CASE_WRITER_CALLER} may");
    writers.map(|named| source.breach(named.line, &told)).collect()
}
