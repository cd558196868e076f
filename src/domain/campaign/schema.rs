//! The form of a campaign's file as a JSON Schema, so that editors complete and check what a person types.
//!
//! It follows from the types that the file is read into. What the types cannot say, their checks say, and it is added here by the
//! same limits.

use serde_json::{Map, Value, json};
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::{RefOr, schema};
use utoipa::{PartialSchema, ToSchema};

use super::flaws::{DAYS_MAX, NAME_CHARS_MAX, PROMISE_DAYS_MAX, STEPS_MAX, VERSION_MAX};
use super::win_back::WIN_BACK_DAYS_MAX;
use super::{Campaign, ORDER, PROMISE_DAYS};
use crate::domain::ceiling::CHARGES_MAX;

/// Where the document of an API keeps its schemas, and where a schema of its own does.
const PLACES: [&str; 2] = ["#/components/schemas/", "#/$defs/"];

/// A local time as it is written in a campaign.
pub(super) struct LocalTime;

impl PartialSchema for LocalTime {
    fn schema() -> RefOr<schema::Schema> {
        let time = ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A time of the day: `HH:MM`, or with seconds."))
            .pattern(Some(r"^([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?$"))
            .examples(["09:00"]);
        RefOr::T(Schema::Object(time.build()))
    }
}

impl ToSchema for LocalTime {}

/// The schema as text, as it is served and as it is committed.
pub fn json_text() -> String {
    let mut schema = of_types();
    for (place, said) in limits() {
        let limited = schema.pointer_mut(place).and_then(Value::as_object_mut);
        let limited = limited.expect("a test reads every place");
        if let Value::Object(said) = said {
            limited.extend(said);
        }
    }
    tighten(&mut schema);
    let text = serde_json::to_string_pretty(&schema).expect("the schema is made of plain data");
    text.replace(PLACES[0], PLACES[1]) + "\n"
}

/// What the types say.
fn of_types() -> Value {
    let mut named = Vec::new();
    Campaign::schemas(&mut named);
    let plain = |schema: RefOr<Schema>| serde_json::to_value(schema).expect("the schema is made of plain data");
    let named: Map<String, Value> = named.into_iter().map(|(name, schema)| (name, plain(schema))).collect();
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A campaign of Recoup",
        "$defs": named,
    });
    if let (Value::Object(whole), Value::Object(campaign)) = (&mut whole, plain(Campaign::schema())) {
        whole.extend(campaign);
    }
    whole
}

/// What the checks of a campaign say of single values.
fn limits() -> Vec<(&'static str, Value)> {
    let name = json!({"minLength": 1, "maxLength": NAME_CHARS_MAX, "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"});
    let days = json!({"minimum": 1, "maximum": DAYS_MAX});
    let steps = json!({"maxItems": STEPS_MAX, "uniqueItems": true});
    let step = json!({"minimum": 1});
    let some = |key: &str| json!({"required": [key], "properties": {key: {"minItems": 1}}});
    let ways = json!({"oneOf": [some("days"), some("hours"), {"required": ["planned"]}]});
    vec![
        ("/properties/name", name.clone()),
        ("/properties/version", json!({"minimum": 1, "maximum": VERSION_MAX})),
        (
            "/properties/promise_days",
            json!({"maximum": PROMISE_DAYS_MAX, "default": PROMISE_DAYS}),
        ),
        ("/properties/order", json!({"default": ORDER})),
        ("/properties/message", json!({"maxItems": STEPS_MAX})),
        ("/$defs/Ladder", ways),
        ("/$defs/Ladder/properties/kinds", json!({"minItems": 1})),
        ("/$defs/Ladder/properties/days", steps.clone()),
        ("/$defs/Ladder/properties/days/items", step.clone()),
        ("/$defs/Ladder/properties/hours", steps),
        ("/$defs/Ladder/properties/hours/items", step.clone()),
        ("/$defs/Ladder/properties/at", json!({"default": "09:00"})),
        (
            "/$defs/Planned/properties/charges",
            json!({"minimum": 1, "maximum": CHARGES_MAX}),
        ),
        ("/$defs/Planned/properties/within_days", step.clone()),
        (
            "/$defs/Planned/properties/arms",
            json!({"minItems": 1, "uniqueItems": true}),
        ),
        ("/$defs/MessageStep/properties/key", name),
        ("/$defs/Touches/properties/most", step),
        ("/$defs/Touches/properties/within_days", json!({"maximum": DAYS_MAX})),
        ("/$defs/Ending/properties/after_days", days),
        (
            "/$defs/WinBack/properties/after_days",
            json!({"minimum": 1, "maximum": WIN_BACK_DAYS_MAX}),
        ),
        ("/$defs/Split/properties/percent", json!({"minimum": 1, "maximum": 99})),
        ("/$defs/Split/properties/against", json!({"minimum": 1})),
        (
            "/$defs/Segment/properties/currencies/items",
            json!({"pattern": "^[A-Za-z]{3}$"}),
        ),
        (
            "/$defs/Segment/properties/countries/items",
            json!({"pattern": "^[A-Za-z]{2}$"}),
        ),
        (
            "/$defs/Amount",
            json!({"pattern": r"^ *[0-9]+(\.[0-9]+)? +[A-Za-z]{3} *$"}),
        ),
    ]
}

/// No object has a field that is not named: the reader refuses it. And what is left out is not there: TOML has no null.
fn tighten(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if object.get("type").is_some_and(|kind| kind == "object") {
                object.entry("additionalProperties").or_insert(Value::Bool(false));
            }
            let mut ways = match object.get_mut("oneOf") {
                Some(Value::Array(ways)) if ways.iter().any(|way| way["type"] == "null") => std::mem::take(ways),
                _ => Vec::new(),
            };
            ways.retain(|way| way["type"] != "null");
            if let Some(Value::Object(only)) = ways.pop() {
                object.remove("oneOf");
                object.extend(only);
            }
            object.values_mut().for_each(tighten);
        }
        Value::Array(parts) => parts.iter_mut().for_each(tighten),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
