//! What a line of the table says.

use serde_json::{Value, json};

/// A body, by the name of its shape.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    /// A schema of `schemas.json`.
    Json(&'static str),
    /// One event, as a line of the spool.
    Event,
    /// One event, or one on each line.
    Events,
    Text,
    Bytes,
    /// Server-sent events.
    Stream,
    Problem,
}

impl Body {
    pub(super) fn content(&self) -> Value {
        let schema = |name: &str| json!({"$ref": format!("#/components/schemas/{name}")});
        match self {
            Self::Json(name) => json!({"application/json": {"schema": schema(name)}}),
            Self::Event => json!({"application/json": {"schema": schema("Event")}}),
            Self::Events => json!({
                "application/json": {"schema": schema("Event")},
                "application/x-ndjson": {"schema": {"type": "string"}},
            }),
            Self::Bytes => json!({"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}),
            Self::Text => json!({"text/plain": {"schema": {"type": "string"}}}),
            Self::Stream => json!({"text/event-stream": {"schema": {"type": "string"}}}),
            Self::Problem => json!({"application/problem+json": {"schema": schema("Problem")}}),
        }
    }
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Place {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// A parameter of a route.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Param {
    pub name: &'static str,
    pub place: Place,
    pub text: &'static str,
    pub schema: Value,
}

/// One route, as the document tells of it.
#[derive(Clone, Debug)]
pub(super) struct Doc {
    pub method: &'static str,
    pub path: &'static str,
    pub summary: &'static str,
    pub params: Vec<Param>,
    /// Whether it is required, and its shape.
    pub body: Option<(bool, Body)>,
    pub answers: Vec<(u16, &'static str, Body)>,
    pub problems: Vec<(u16, &'static str)>,
}

impl Doc {
    fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        let (params, answers, problems) = (Vec::new(), Vec::new(), Vec::new());
        Self { method, path, summary, params, body: None, answers, problems }
    }

    pub(super) fn get(path: &'static str, summary: &'static str) -> Self {
        Self::new("GET", path, summary)
    }

    pub(super) fn post(path: &'static str, summary: &'static str) -> Self {
        Self::new("POST", path, summary)
    }

    pub(super) fn put(path: &'static str, summary: &'static str) -> Self {
        Self::new("PUT", path, summary)
    }

    pub(super) fn delete(path: &'static str, summary: &'static str) -> Self {
        Self::new("DELETE", path, summary)
    }

    /// A parameter of the path; what it names may not exist.
    pub(super) fn at(self, name: &'static str, text: &'static str) -> Self {
        self.named(name, text, json!({"type": "string", "minLength": 1}))
    }

    /// A parameter of the path with its schema.
    pub(super) fn named(mut self, name: &'static str, text: &'static str, schema: Value) -> Self {
        self.params.push(Param { name, place: Place::Path, text, schema });
        self.problem(404, "There is no such thing, or it is another tenant's")
    }

    /// A delivery.
    pub(super) fn delivery(self) -> Self {
        let text = "An id, or a prefix of at least six characters that fits one";
        self.named("id", text, json!({"type": "string", "minLength": 6}))
    }

    /// An attempt of a delivery.
    pub(super) fn attempt(self) -> Self {
        let number = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
        self.delivery().named("n", "Attempts count from 1", number)
    }

    /// A parameter of the query with its schema.
    pub(super) fn ask(mut self, name: &'static str, text: &'static str, schema: Value) -> Self {
        self.params.push(Param { name, place: Place::Query, text, schema });
        self
    }

    fn header(mut self, name: &'static str, text: &'static str, schema: Value) -> Self {
        self.params.push(Param { name, place: Place::Header, text, schema });
        self
    }

    /// `If-Match`.
    pub(super) fn if_match(self) -> Self {
        self.header("If-Match", "The `ETag` of the version that is meant", json!({"type": "string"}))
            .problem(412, "It has changed")
    }

    /// `Idempotency-Key`.
    pub(super) fn key(self, text: &'static str) -> Self {
        self.header("Idempotency-Key", text, json!({"type": "string", "pattern": "^[!-~]{1,255}$"}))
    }

    /// `dry_run`.
    pub(super) fn dry(self) -> Self {
        self.ask("dry_run", "Judge, and change nothing", json!({"type": "boolean", "default": false}))
    }

    pub(super) fn text(self, name: &'static str, text: &'static str) -> Self {
        self.ask(name, text, json!({"type": "string"}))
    }

    /// An instant, or a span before now.
    pub(super) fn instant(self, name: &'static str, text: &'static str) -> Self {
        let span = json!({"type": "string", "pattern": "^[0-9]{1,5}(ms|s|m|h|d)$", "description": "So long ago: 2h"});
        self.ask(name, text, json!({"anyOf": [{"type": "string", "format": "date-time"}, span]}))
    }

    /// A pattern of event types.
    pub(super) fn pattern(self, name: &'static str) -> Self {
        let segment = r"(\*\*?|[A-Za-z0-9_]+)";
        let schema = json!({"type": "string", "pattern": format!(r"^{segment}(\.{segment})*$"), "maxLength": 256});
        self.ask(name, "A type pattern: `*` is one segment, `**` any number", schema)
    }

    /// `limit` and `cursor`, where cursors look like this.
    pub(super) fn paged(self, cursor: &'static str) -> Self {
        let limit = json!({"type": "integer", "minimum": 1, "maximum": 200, "default": 50});
        let cursor = json!({"type": "string", "pattern": format!("^({cursor})?$")});
        self.ask("limit", "Items on a page", limit).ask(
            "cursor",
            "Where to go on: `next_cursor` of the page before; `after` says the same",
            cursor,
        )
    }

    pub(super) fn takes(mut self, body: Body) -> Self {
        self.body = Some((true, body));
        self.problem(413, "The body is too large")
    }

    pub(super) fn may_take(mut self, body: Body) -> Self {
        self.body = Some((false, body));
        self.problem(413, "The body is too large")
    }

    pub(super) fn answers(mut self, status: u16, text: &'static str, body: Body) -> Self {
        self.answers.push((status, text, body));
        self
    }

    pub(super) fn problem(mut self, status: u16, text: &'static str) -> Self {
        self.problems.push((status, text));
        self
    }

    /// `get_v1_deliveries_id`.
    pub(super) fn id(&self) -> String {
        let path: String = self.path.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let parts: Vec<&str> = path.split('_').filter(|part| !part.is_empty()).collect();
        format!("{}_{}", self.method.to_lowercase(), parts.join("_"))
    }

    /// The first word of the path behind the version.
    pub(super) fn tag(&self) -> &'static str {
        let words = || self.path.split('/').filter(|word| !word.is_empty());
        words().find(|word| *word != "v1").unwrap_or("spoolhook")
    }
}
