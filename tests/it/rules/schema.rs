//! The committed schemas against the committed files.

use recoup::domain::ceiling::{Rule, Rules};
use recoup::domain::decline::{DeclineKind, Disposition};
use recoup::domain::network::Network;
use recoup::domain::taxonomy::{CodesOf, Grade, Wording};
use serde_json::Value;

use crate::support::schema::faults;

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

fn words<T: Copy>(all: &[T], word: impl Fn(T) -> &'static str) -> Value {
    all.iter().map(|one| word(*one)).collect()
}

#[test]
fn every_file_of_codes_keeps_the_schema() {
    let schema = json(CODES);
    for file in FILES_OF_CODES {
        assert_eq!(faults(&schema, &json(file)), [""; 0]);
    }
}

#[test]
fn the_file_of_networks_keeps_its_schema() {
    let schema = json(NETWORKS);
    assert_eq!(faults(&schema, &json(FILE_OF_NETWORKS)), [""; 0]);
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
            let refused = !faults(&schema, &without).is_empty();
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
    let found = faults(&schema, &file);
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
