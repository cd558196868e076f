//! The OpenAPI document, which is also our table of routes: what is not in it does not exist.

use std::collections::BTreeMap;

use actix_web::http::Method;
use utoipa::openapi::content::ContentBuilder;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{HttpMethod, Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Schema, SchemaType, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi, PathItem, Ref, RefOr, Required, ResponseBuilder};
use utoipa::{PartialSchema, ToSchema};

use super::error::{PROBLEM_JSON, Problem, ProblemBody};
use super::{customer, dashboard, docs};

/// The routes with their methods, and the document about those that others call.
pub(crate) struct Routes {
    methods: BTreeMap<String, Vec<&'static str>>,
    /// The document as it is served.
    pub document_json: String,
}

impl Routes {
    pub(super) fn new() -> Self {
        let document = super::openapi_document();
        let documented = document.paths.paths.iter().map(|(path, item)| {
            let methods = operations(item).map(|(method, _)| verb(&method)).collect();
            (path.clone(), methods)
        });
        let pages = dashboard::ROUTES
            .iter()
            .chain(&customer::ROUTES)
            .map(|(path, methods)| ((*path).to_owned(), methods.to_vec()));
        let docs = docs::ROUTES.iter().map(|path| ((*path).to_owned(), vec!["GET"]));
        Self {
            methods: documented.chain(pages).chain(docs).collect(),
            document_json: json_text(&document),
        }
    }

    /// Refuses a method that the route does not have.
    pub(super) fn check_method(&self, pattern: &str, method: &Method) -> Result<(), Problem> {
        let methods = self.methods.get(pattern).map_or(&[][..], Vec::as_slice);
        if methods.contains(&method.as_str()) {
            return Ok(());
        }
        let mut allow = methods.to_vec();
        if methods.contains(&"GET") {
            allow.push("HEAD");
        }
        Err(Problem::method_not_allowed(allow.join(", ")))
    }
}

/// The document as text, as it is served and as it is committed.
pub fn json_text(document: &OpenApi) -> String {
    let mut text = serde_json::to_string_pretty(document).expect("the document is made of plain data");
    text.push('\n');
    text
}

/// Completes the document that was collected from the routes: what all of them share is said once, here.
pub(super) fn finish(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("Recoup")
        .description(Some(
            "Dunning and payment recovery. Times are RFC 3339 in UTC, money is in minor units.",
        ))
        .license(Some(
            LicenseBuilder::new()
                .name("Apache-2.0")
                .identifier(Some("Apache-2.0"))
                .build(),
        ))
        .version("1")
        .build();
    let mut components = document.components.take().unwrap_or_default();
    components
        .schemas
        .insert(ProblemBody::name().into_owned(), ProblemBody::schema());
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key: `Authorization: Bearer rcp_...`."))
        .build();
    components.add_security_scheme("key", SecurityScheme::Http(scheme));
    document.components = Some(components);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations_mut(item) {
            operation.operation_id = Some(operation_id(path, &method));
            tighten_parameters(operation);
            complete(path, &method, operation);
        }
    }
    document
}

/// A name of its own for each operation, for generators of clients: `get_v1_cases_id_timeline`.
fn operation_id(path: &str, method: &HttpMethod) -> String {
    let method = match method {
        HttpMethod::Get => "get",
        HttpMethod::Post => "post",
        HttpMethod::Put => "put",
        HttpMethod::Delete => "delete",
        HttpMethod::Options => "options",
        HttpMethod::Head => "head",
        HttpMethod::Patch => "patch",
        HttpMethod::Trace => "trace",
    };
    let words = path.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    format!("{method}_{}", words.join("_"))
}

/// Says of the parameters of a query what their types do not: they can be left out, but never be null.
fn tighten_parameters(operation: &mut Operation) {
    for parameter in operation.parameters.iter_mut().flatten() {
        let RefOr::T(parameter) = parameter else { continue };
        let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema else {
            continue;
        };
        if let SchemaType::Array(types) = &mut schema.schema_type {
            types.retain(|kind| *kind != Type::Null);
            if let [only] = types.as_slice() {
                schema.schema_type = SchemaType::Type(only.clone());
            }
        }
        if parameter.name == "cursor" {
            schema.pattern = Some("^([0-9a-f]{2})+$".to_owned());
        } else if matches!(parameter.parameter_in, ParameterIn::Query) && schema.schema_type == Type::String.into() {
            schema.min_length = Some(1);
            schema.max_length = Some(255);
        }
    }
}

/// Adds what every operation of its kind answers.
fn complete(path: &str, method: &HttpMethod, operation: &mut Operation) {
    let posts = *method == HttpMethod::Post;
    let under_key = path.starts_with("/v1/");
    let mail_events = path == "/mail-events";
    let webhook = path.starts_with("/webhooks/") || mail_events;
    let mut problems: Vec<(&str, &str)> = vec![("405", "The route has no such method.")];
    if under_key {
        operation.security = Some(vec![SecurityRequirement::new("key", Vec::<String>::new())]);
        problems.extend([
            ("400", "The request cannot be understood."),
            ("401", "No valid API key was given."),
            ("403", "The key's role does not include this."),
            ("500", "Something went wrong on our side."),
            ("503", "The database does not answer; try again."),
        ]);
    }
    if path.contains('{') || path.starts_with("/v1/test-clock") || mail_events {
        problems.push(("404", "There is no such thing."));
    }
    if mail_events {
        problems.push(("422", "An event names no message, or a field of it does not fit."));
    }
    if under_key && posts {
        problems.extend([
            (
                "409",
                "Refused in this state, or the first request under the Idempotency-Key runs; `code` says which.",
            ),
            (
                "422",
                "A field does not fit, or the Idempotency-Key was used for another request.",
            ),
        ]);
        add_idempotency_key(operation);
    }
    if posts {
        problems.extend([
            ("408", "The body took too long."),
            ("413", "The body is too long."),
            ("415", "The body is of a kind that is not read."),
        ]);
    }
    if webhook {
        problems.extend([
            ("400", "The signature is missing or wrong; `code` says which."),
            ("429", "Too many bad signatures came from this address."),
            ("500", "Something went wrong on our side; send it again."),
            ("503", "The event could not be stored; send it again."),
        ]);
    }
    for (status, description) in problems {
        let known = &mut operation.responses.responses;
        known
            .entry(status.to_owned())
            .or_insert_with(|| problem(status, description));
    }
}

fn problem(status: &str, description: &str) -> RefOr<utoipa::openapi::Response> {
    let content = ContentBuilder::new()
        .schema(Some(Ref::from_schema_name("Problem")))
        .build();
    let header = |text: &str| {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        HeaderBuilder::new()
            .schema(Some(schema))
            .description(Some(text))
            .build()
    };
    let response = ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content);
    let response = match status {
        "401" => response.header("WWW-Authenticate", header("How to authenticate.")),
        "405" => response.header("Allow", header("The methods of the route.")),
        "429" | "503" => response.header("Retry-After", header("Seconds to wait.")),
        _ => response,
    };
    RefOr::T(response.build())
}

fn add_idempotency_key(operation: &mut Operation) {
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(255))
        .pattern(Some("^[!-~]+$"))
        .build();
    let header = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "The same request under the same key is carried out once and answered alike.",
        ))
        .schema(Some(text))
        .build();
    operation.parameters.get_or_insert_default().push(RefOr::T(header));
}

fn operations(item: &PathItem) -> impl Iterator<Item = (HttpMethod, &Operation)> {
    let both = [(HttpMethod::Get, &item.get), (HttpMethod::Post, &item.post)];
    both.into_iter()
        .filter_map(|(method, operation)| operation.as_ref().map(|operation| (method, operation)))
}

fn operations_mut(item: &mut PathItem) -> impl Iterator<Item = (HttpMethod, &mut Operation)> {
    let both = [(HttpMethod::Get, &mut item.get), (HttpMethod::Post, &mut item.post)];
    both.into_iter()
        .filter_map(|(method, operation)| operation.as_mut().map(|operation| (method, operation)))
}

fn verb(method: &HttpMethod) -> &'static str {
    match method {
        HttpMethod::Post => "POST",
        _ => "GET",
    }
}
