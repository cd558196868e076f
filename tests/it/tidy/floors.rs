//! Imports go down: the floors of the house, and what the ground floor must not know.

use super::Breach;
use super::paths::paths;
use super::source::Source;

/// The rooms of the house by floor, from the ground up.
const FLOORS: [&[&str]; 6] = [
    &["domain"],
    &[
        "config",
        "links",
        "return_path",
        "clock",
        "telemetry",
        "failpoint",
        "simulator",
    ],
    &["store", "providers", "mailer"],
    &["engine"],
    &["http", "scheduler", "sandbox"],
    &["app", "cli"],
];

/// The doors of the house, which are no rooms.
const DOORS: [&str; 2] = ["lib", "main"];

/// What is as pure as the ground floor, on which it stands.
const PURE: &str = "simulator";

/// What would make the ground floor impure.
const IMPURE: [&str; 13] = [
    "tokio",
    "actix_web",
    "async_trait",
    "sea_orm",
    "migrations",
    "reqwest",
    "lettre",
    "tracing",
    "metrics",
    "getrandom",
    "futures_util",
    "tempfile",
    "config",
];
const IMPURE_STD: [&str; 8] = ["fs", "io", "net", "env", "thread", "process", "sync", "os"];
/// What is pure of it all the same: a table that is read from embedded data once is a constant.
const CONSTANT: [&str; 3] = ["std", "sync", "LazyLock"];

pub fn check(source: &Source) -> Vec<Breach> {
    let Some(room) = source.room() else {
        return Vec::new();
    };
    if DOORS.contains(&room) {
        return Vec::new();
    }
    let Some(floor) = floor_of(room) else {
        return vec![source.breach(1, &format!("the room `{room}` has no floor"))];
    };
    let mut breaches = imports(source, room, floor);
    if floor == 0 || room == PURE {
        breaches.extend(impurities(source));
    }
    breaches
}

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn imports(source: &Source, room: &str, floor: usize) -> Vec<Breach> {
    let mut breaches = Vec::new();
    let absolute = paths(&source.code).into_iter().filter_map(|named| {
        let ours = named.names[0] == "crate" || named.names[0] == "recoup";
        ours.then(|| (named.line, named.names[1].clone()))
    });
    // Inside test modules `super` has another meaning, and they name other rooms by `crate` anyway.
    let depth = source.path.matches('/').count();
    let relative = paths(&source.shipped).into_iter().filter_map(|named| {
        let ups = named.names.iter().take_while(|name| *name == "super").count();
        (ups == depth).then(|| (named.line, named.names.get(ups).cloned().unwrap_or_default()))
    });
    for (line, other) in absolute.chain(relative) {
        let below = floor_of(&other).map(|of_other| of_other < floor);
        let top = floor == FLOORS.len() - 1;
        match below {
            _ if other == room => {}
            Some(true) => {}
            Some(false) if top => {}
            Some(false) => breaches.push(source.breach(line, &format!("`{room}` may not import `{other}`"))),
            None => breaches.push(source.breach(line, &format!("`{other}` is no room with a floor"))),
        }
    }
    breaches
}

fn impurities(source: &Source) -> Vec<Breach> {
    let named = paths(&source.shipped).into_iter().filter(|named| {
        let first = named.names[0].as_str();
        IMPURE.contains(&first)
            || (first == "std" && IMPURE_STD.contains(&named.names[1].as_str()) && named.names != CONSTANT)
    });
    let mut breaches: Vec<Breach> = named
        .map(|named| {
            source.breach(
                named.line,
                &format!("the pure floor names `{}`", named.names.join("::")),
            )
        })
        .collect();
    breaches.extend(source.words(&source.shipped, "async", "the pure floor is not async"));
    breaches
}
