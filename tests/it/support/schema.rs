//! As much of JSON Schema as our schemas use.

use std::collections::BTreeSet;

use jiff::civil::Time;
use serde_json::Value;

/// A pattern that is known, and whether a text matches.
type Pattern = (&'static str, fn(&str) -> bool);

const PATTERNS: [Pattern; 2] = [
    (r"^[^\u0000-\u001f\u007f-\u009f]*$", |text| {
        !text.contains(char::is_control)
    }),
    (
        r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$",
        |text| text.len() >= 5 && !text.starts_with('T') && text.parse::<Time>().is_ok(),
    ),
];

/// Everything that `value` breaks of `schema`, each with its place.
pub fn faults(schema: &Value, value: &Value) -> Vec<String> {
    of_part(schema, schema, value, "")
}

fn of_part(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let fault = |what: &str| vec![format!("{place}: {what}")];
    let mut found = Vec::new();
    for (keyword, said) in schema.as_object().unwrap() {
        found.extend(match keyword.as_str() {
            "$ref" => {
                let named = root.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap();
                of_part(root, named, value, place)
            }
            "type" if !is_of(value, said.as_str().unwrap()) => fault("is of another type"),
            "enum" if !said.as_array().unwrap().contains(value) => fault("is none of the words"),
            "const" if said != value => fault("is another value"),
            "minLength" if chars(value) < said.as_u64() => fault("is too short"),
            "maxLength" if chars(value) > said.as_u64() => fault("is too long"),
            "minimum" if value.as_i64() < said.as_i64() => fault("is too small"),
            "maximum" if value.as_i64() > said.as_i64() => fault("is too large"),
            "minItems" if count(value) < said.as_u64() => fault("has too few items"),
            "maxItems" if count(value) > said.as_u64() => fault("has too many items"),
            "uniqueItems" if has_twice(value) => fault("has an item twice"),
            "pattern" if !matches(said.as_str().unwrap(), value) => fault("is of another form"),
            "oneOf" => {
                let ways = said.as_array().unwrap().iter();
                match ways.filter(|way| of_part(root, way, value, place).is_empty()).count() {
                    1 => Vec::new(),
                    count => fault(&format!("is meant in {count} ways")),
                }
            }
            "required" => {
                let names = said.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                let missing = names.filter(|name| value.get(*name).is_none());
                missing.map(|name| format!("{place}: lacks {name}")).collect()
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items
                    .flat_map(|(at, item)| of_part(root, said, item, &format!("{place}/{at}")))
                    .collect()
            }
            // Asked beside the fields that it knows.
            "additionalProperties" if schema.get("properties").is_some() => Vec::new(),
            "properties" | "additionalProperties" => fields(root, schema, value, place),
            // These say nothing, or have been asked in vain.
            "$schema" | "$defs" | "title" | "description" | "default" | "examples" | "format" | "type" | "enum"
            | "const" | "minLength" | "maxLength" | "minimum" | "maximum" | "minItems" | "maxItems" | "uniqueItems"
            | "pattern" => Vec::new(),
            other => panic!("the schema uses {other}, which is not checked here"),
        });
    }
    found
}

/// What the fields of an object break.
fn fields(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let known = &schema["properties"];
    let rest = schema.get("additionalProperties").unwrap_or(&Value::Bool(true));
    let mut found = Vec::new();
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match (known.get(name), rest) {
            (Some(known), _) => found.extend(of_part(root, known, field, &place)),
            (None, Value::Bool(true)) => {}
            (None, Value::Bool(false)) => found.push(format!("{place}: is no known field")),
            (None, rest) => found.extend(of_part(root, rest, field, &place)),
        }
    }
    found
}

fn is_of(value: &Value, kind: &str) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64(),
        "boolean" => value.is_boolean(),
        other => panic!("{other} is no type that is checked here"),
    }
}

fn chars(value: &Value) -> Option<u64> {
    value.as_str().map(|text| text.chars().count() as u64)
}

fn count(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}

fn has_twice(value: &Value) -> bool {
    let items = value.as_array().into_iter().flatten();
    let texts: Vec<String> = items.map(ToString::to_string).collect();
    texts.iter().collect::<BTreeSet<_>>().len() < texts.len()
}

fn matches(pattern: &str, value: &Value) -> bool {
    let known = PATTERNS.iter().find(|(known, _)| *known == pattern);
    let (_, is_match) = known.unwrap_or_else(|| panic!("the pattern {pattern} is not checked here"));
    value.as_str().is_some_and(is_match)
}
