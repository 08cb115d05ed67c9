//! The API as an OpenAPI 3.1 document: the table of routes says what there is and who may use it, the table of this room says
//! what it takes and answers. A test holds the two together.
//!
//! A new route is one line in `table()`; a new shape is an entry of `schemas.json`, with an example that the type must read.

mod doc;
mod table;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use self::doc::{Body, Doc, Param, Place};
use super::caller::Scope;
use super::routes::{RouteInfo, routes};

/// Programs on the engine's machine read it without a token.
const METRICS: &str = "/metrics";

/// The shapes by name.
const SCHEMAS: &str = include_str!("schemas.json");

/// Problems that every route may answer.
const ALWAYS: [(u16, &str); 7] = [
    (400, "The request cannot be read, or a parameter is not known"),
    (401, "There is no token, or it is not known"),
    (403, "The token's scope does not reach so far"),
    (405, "The route does not take this method"),
    (
        429,
        "Too many wrong tokens came from this address, and one that exists is short; Retry-After says when to try another",
    ),
    (500, "Something went wrong; the engine's log says what"),
    (503, "The engine does not answer now; Retry-After says when to ask again"),
];

/// The document.
pub fn openapi() -> Value {
    let docs = table::table();
    let mut paths = Map::new();
    let listed = routes();
    let probes = ["/livez", "/readyz"].map(|path| RouteInfo { method: "GET", path, scope: Scope::Read });
    for route in listed.iter().chain(&probes) {
        let Some(doc) = docs.iter().find(|doc| doc.method == route.method && doc.path == route.path) else { continue };
        let is_probe = probes.contains(route);
        let operation = operation(doc, &docs, (!is_probe).then_some(route.scope));
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.to_lowercase()] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "spoolhook",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Webhook delivery: a line in a spool becomes a signed POST.",
            "description": "Instants are RFC 3339 in UTC. Unknown query parameters are 400. Lists page by an opaque cursor \
                            and `Link`. Scopes: read < replay < admin; a token of a tenant sees that tenant only, and what \
                            belongs to another is 404.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "http://127.0.0.1:7380", "description": "[admin] listen"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": serde_json::from_str::<Value>(SCHEMAS).expect("a test reads the file"),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer",
                "description": "`spoolhook token create`; over the unix socket none is needed"}},
        },
    })
}

fn operation(doc: &Doc, docs: &[Doc], scope: Option<Scope>) -> Value {
    let mut responses = Map::new();
    for (status, text, body) in &doc.answers {
        let mut answer = answer(text, body);
        let links = links(doc, *status, docs);
        if !links.is_empty() {
            answer["links"] = links.into();
        }
        responses.insert(status.to_string(), answer);
    }
    let always = ALWAYS.iter().filter(|(status, _)| scope.is_some() || !matches!(status, 401 | 403 | 429));
    for (status, text) in always.chain(&doc.problems) {
        responses.entry(status.to_string()).or_insert_with(|| answer(text, &Body::Problem));
    }
    let parameters: Vec<Value> = doc.params.iter().map(parameter).collect();
    let mut operation = json!({
        "operationId": doc.id(),
        "summary": doc.summary,
        "tags": [doc.tag()],
        "parameters": parameters,
        "responses": responses,
    });
    match scope {
        Some(scope) => operation["x-scope"] = scope.as_str().into(),
        None => operation["security"] = json!([]),
    }
    if doc.path == METRICS {
        operation["security"] = json!([{"token": []}, {}]);
    }
    if let Some((is_required, body)) = &doc.body {
        operation["requestBody"] = json!({"required": is_required, "content": body.content()});
    }
    operation
}

fn answer(text: &str, body: &Body) -> Value {
    json!({"description": text, "content": body.content()})
}

/// Where to go from what was made, or from the first item of a list (OpenAPI 3.1, section 4.8.20).
fn links(doc: &Doc, status: u16, docs: &[Doc]) -> Map<String, Value> {
    let id = match (doc.method, status, doc.path) {
        ("POST", 201 | 202, "/v1/webhooks" | "/v1/tokens" | "/v1/replays") => "/id",
        ("GET", 200, "/v1/webhooks") => "/webhooks/0/id",
        ("GET", 200, _) => "/data/0/id",
        _ => return Map::new(),
    };
    let below = format!("{}/{{id}}", doc.path);
    let link = |other: &Doc| {
        let mut parameters = json!({"id": format!("$response.body#{id}")});
        if other.path.contains("/{n}") {
            parameters["n"] = 1.into();
        }
        (other.id(), json!({"operationId": other.id(), "parameters": parameters}))
    };
    docs.iter().filter(|other| other.path.starts_with(&below)).map(link).collect()
}

fn parameter(param: &Param) -> Value {
    json!({
        "name": param.name,
        "in": param.place.as_str(),
        "required": param.place == Place::Path,
        "description": param.text,
        "schema": param.schema,
    })
}
