//! Events of Stripe in a file: lists as its API answers them, arrays, or one event after the other.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;

use super::{Found, bar};
use crate::providers::stripe::history::History;

/// Reads a file whole. The first event that cannot be used ends it, for what follows might hang on it.
pub fn read(path: &Path) -> anyhow::Result<Found> {
    let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let length = file.metadata().map_or(0, |told| told.len());
    let bar = bar(length, "{bar:30} {bytes} of {total_bytes} read, {eta} left");
    let values = serde_json::Deserializer::from_reader(BufReader::new(bar.wrap_read(file))).into_iter::<Value>();
    let mut history = History::default();
    let mut nth = 0_u64;
    for value in values {
        let value = value.with_context(|| format!("{} is no JSON of events after event {nth}", path.display()))?;
        for event in events(value) {
            nth += 1;
            let id = event["id"].as_str().unwrap_or("without an id").to_owned();
            history
                .take(event)
                .with_context(|| format!("{}: event {nth} ({id})", path.display()))?;
        }
    }
    bar.finish_and_clear();
    anyhow::ensure!(nth > 0, "{}: there is no event in it", path.display());
    let told = history.told();
    Ok(Found {
        invoices: told.invoices,
        left_out: vec![
            ("still charged when the file ends", told.under_way),
            ("because the first failure is older than the file", told.begun_before),
        ],
        without_reason: told.without_reason,
    })
}

/// The events of a value: its own, those of an array, or those of a list.
fn events(value: Value) -> Vec<Value> {
    match value {
        Value::Array(events) => events,
        Value::Object(mut fields) if fields.get("object").and_then(Value::as_str) == Some("list") => {
            match fields.remove("data") {
                Some(Value::Array(events)) => events,
                _ => Vec::new(),
            }
        }
        one => vec![one],
    }
}
