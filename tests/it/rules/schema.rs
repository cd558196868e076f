//! The committed schemas against the committed files, by as much of JSON Schema as they use.

use recoup::domain::ceiling::{Rule, Rules};
use recoup::domain::decline::{DeclineKind, Disposition};
use recoup::domain::network::Network;
use recoup::domain::taxonomy::{CodesOf, Grade, Wording};
use serde_json::Value;

const CODES: &str = include_str!("../../../src/domain/rules/codes.schema.json");
const FILES_OF_CODES: [&str; 2] = [
    include_str!("../../../src/domain/rules/codes.json"),
    include_str!("../../../src/domain/rules/stripe.json"),
];

const NETWORKS: &str = include_str!("../../../src/domain/rules/networks.schema.json");
const FILE_OF_NETWORKS: &str = include_str!("../../../src/domain/rules/networks.json");

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Everything that `value` breaks of `schema`, each with its place.
fn faults(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let fault = |what: &str| vec![format!("{place}: {what}")];
    let mut found = Vec::new();
    for (keyword, said) in schema.as_object().unwrap() {
        found.extend(match keyword.as_str() {
            "$ref" => {
                let named = root.pointer(said.as_str().unwrap().trim_start_matches('#')).unwrap();
                faults(root, named, value, place)
            }
            "type" if !is_of(value, said.as_str().unwrap()) => fault("is of another type"),
            "enum" if !said.as_array().unwrap().contains(value) => fault("is none of the words"),
            "const" if said != value => fault("is another value"),
            "minLength" if value == "" => fault("is empty"),
            "minimum" if value.as_i64() < said.as_i64() => fault("is too small"),
            "required" => {
                let missing = said
                    .as_array()
                    .unwrap()
                    .iter()
                    .filter(|name| value.get(name.as_str().unwrap()).is_none());
                missing.map(|name| format!("{place}: lacks {name}")).collect()
            }
            "items" => {
                let items = value.as_array().into_iter().flatten().enumerate();
                items
                    .flat_map(|(at, item)| faults(root, said, item, &format!("{place}/{at}")))
                    .collect()
            }
            "additionalProperties" => fields(root, schema, value, place),
            // These say nothing, or have been asked in vain.
            "$schema" | "$defs" | "title" | "description" | "properties" | "type" | "enum" | "const" | "minLength"
            | "minimum" => Vec::new(),
            other => panic!("the schema uses {other}, which is not checked here"),
        });
    }
    found
}

/// What the fields of an object break.
fn fields(root: &Value, schema: &Value, value: &Value, place: &str) -> Vec<String> {
    let known = &schema["properties"];
    let rest = &schema["additionalProperties"];
    let mut found = Vec::new();
    for (name, field) in value.as_object().into_iter().flatten() {
        let place = format!("{place}/{name}");
        match (known.get(name), rest) {
            (Some(known), _) => found.extend(faults(root, known, field, &place)),
            (None, Value::Bool(false)) => found.push(format!("{place}: is no known field")),
            (None, rest) => found.extend(faults(root, rest, field, &place)),
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

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Value {
    all.iter().map(|one| word(*one)).collect()
}

#[test]
fn every_file_of_codes_keeps_the_schema() {
    let schema = json(CODES);
    for file in FILES_OF_CODES {
        assert_eq!(faults(&schema, &schema, &json(file), ""), [""; 0]);
    }
}

#[test]
fn the_file_of_networks_keeps_its_schema() {
    let schema = json(NETWORKS);
    assert_eq!(faults(&schema, &schema, &json(FILE_OF_NETWORKS), ""), [""; 0]);
    let rule = &schema["$defs"]["rule"]["properties"];
    assert_eq!(rule["rule"]["enum"], words(Rule::ALL, Rule::as_str));
    assert_eq!(schema["$defs"]["network"]["enum"], words(Network::ALL, Network::as_str));
    assert_eq!(schema["$defs"]["grade"]["enum"], words(Grade::ALL, Grade::as_str));
}

/// What the schema calls a field that must be there, the service cannot read without; nor with one that it does not know.
#[test]
fn schema_and_service_want_the_same_fields() {
    let file = json(FILE_OF_NETWORKS);
    assert!(Rules::read(&file.to_string()).is_ok());
    let forms = [
        "/rules/0",
        "/categories",
        "/categories/codes/0",
        "/rules/0/form/never_after",
    ];
    for place in forms {
        for name in file.pointer(place).unwrap().as_object().unwrap().keys() {
            let mut without = file.clone();
            without
                .pointer_mut(place)
                .unwrap()
                .as_object_mut()
                .unwrap()
                .remove(name);
            let schema = json(NETWORKS);
            let refused = !faults(&schema, &schema, &without, "").is_empty();
            assert_eq!(Rules::read(&without.to_string()).is_err(), refused, "{place}/{name}");
        }
        let mut with = file.clone();
        with.pointer_mut(place).unwrap()["colour"] = "blue".into();
        assert!(Rules::read(&with.to_string()).is_err(), "{place}");
    }
}

#[test]
fn a_file_that_breaks_the_schema_is_found() {
    let schema = json(CODES);
    let mut file = json(FILES_OF_CODES[0]);
    file["sections"]["visa"]["codes"][0]["kind"] = "sulking".into();
    file["sections"]["visa"]["colour"] = "blue".into();
    file["sections"]["ach"]["grade"].take();
    file.as_object_mut().unwrap().remove("title");
    let found = faults(&schema, &schema, &file, "");
    let mut places: Vec<&str> = found.iter().map(|fault| fault.split(": ").next().unwrap()).collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            "",
            "/sections/ach/grade",
            "/sections/visa/codes/0/kind",
            "/sections/visa/colour"
        ]
    );
}

#[test]
fn the_schema_of_codes_has_our_words() {
    let schema = json(CODES);
    let code = &schema["$defs"]["code"]["properties"];
    assert_eq!(code["kind"]["enum"], words(DeclineKind::ALL, DeclineKind::as_str));
    assert_eq!(
        code["disposition"]["enum"],
        words(Disposition::ALL, Disposition::as_str)
    );
    assert_eq!(code["wording"]["enum"], words(Wording::ALL, Wording::as_str));
    let section = &schema["$defs"]["section"]["properties"];
    assert_eq!(section["codes_of"]["enum"], words(CodesOf::ALL, CodesOf::as_str));
    assert_eq!(section["grade"]["enum"], words(Grade::ALL, Grade::as_str));
}
