//! A dialect's TOML table -> `Dialect`, or every fault in it at once.
//!
//! ```text
//! body = '...'  headers = { .. }       the shape
//! [[variant]] types, operations, params, body, headers      another shape for some events; the first that fits
//! [signature] ...                      see signature/
//! [defaults]  [params.NAME]  event_types = [ .. ]           what the configuration and the API want to know
//! ```

use toml::Table;

use super::dialect::{Dialect, DialectDefaults, Header, Param, Shape, When};
use super::glob::Glob;
use super::keys::{DialectFault, Keys, did_you_mean};
use super::signature::Signature;
use super::template::{Choice, Field, Place, Problem, Scope, Template, Word};
use crate::model::{Mode, Operation, valid_event_type};

impl Dialect {
    /// Compiles the table of `[dialect.NAME]`.
    ///
    /// # Errors
    /// Every fault in the table: unknown keys and placeholders, a body that would not be JSON, a header that is not
    /// legal, a signature that no receiver could check.
    pub fn compile(name: &str, table: &Table) -> Result<Self, Vec<DialectFault>> {
        let mut faults = Vec::new();
        let mut keys = Keys::new(table, &mut faults);
        let defaults = keys.table("defaults", read_defaults).unwrap_or_default();
        let params = read_params(&mut keys);
        let event_types = read_event_types(&mut keys);
        let shapes = read_shapes(&mut keys, &params);
        let signature = keys.table("signature", |keys| Signature::read(keys, &params)).flatten();
        if let Some(signature) = &signature {
            refuse_doubles(&mut keys, &shapes, signature);
        }
        keys.finish();
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Self { name: name.to_owned(), defaults, params, event_types, shapes, signature })
    }
}

fn read_defaults(mut keys: Keys<'_, '_>) -> DialectDefaults {
    let modes = [Mode::AtLeastOnce, Mode::AtMostOnce].map(|mode| (mode.as_str(), mode));
    let defaults = DialectDefaults {
        mode: keys.choice("mode", &modes),
        timeout: keys.duration("timeout"),
        retry: keys.text("retry").map(str::to_owned),
        require_https: keys.flag("require_https").unwrap_or_default(),
        max_subscriptions: keys.count("max_subscriptions"),
    };
    keys.finish();
    defaults
}

fn read_params(keys: &mut Keys<'_, '_>) -> Vec<Param> {
    let mut params = Vec::new();
    keys.named_tables("params", |name, mut keys| {
        let param = Param {
            name: name.to_owned(),
            required: keys.flag("required").unwrap_or_default(),
            help: keys.text("help").unwrap_or_default().to_owned(),
            one_of: keys.texts("one_of").unwrap_or_default().into_iter().map(str::to_owned).collect(),
            default: keys.text("default").map(str::to_owned),
        };
        if let Some(default) = &param.default {
            check_default(&mut keys, &param, default);
        }
        keys.finish();
        params.push(param);
    });
    params
}

fn check_default(keys: &mut Keys<'_, '_>, param: &Param, default: &str) {
    let template = template(keys, "default", default, Place::Signature, &[]);
    let settled = |choice: &Choice| {
        matches!(choice, Choice::Text(_) | Choice::Field(Field::Word(Word::Tenant | Word::Subscription)))
    };
    if !template.placeholders().all(|placeholder| placeholder.choices.iter().all(settled)) {
        let help = "it is the same for every event of a subscription: {{tenant}}, {{subscription}}";
        keys.fault("default", "a default cannot depend on the event", Some(help.to_owned()));
    }
    if param.required {
        keys.fault("required", "a parameter with a default is never missing", Some("remove one of the two".to_owned()));
    }
    if !param.one_of.is_empty() && !param.one_of.iter().any(|value| value == default) {
        keys.fault("default", "the default is not in `one_of`", None);
    }
}

fn read_event_types(keys: &mut Keys<'_, '_>) -> Vec<String> {
    let types = keys.texts("event_types").unwrap_or_default();
    for bad in types.iter().filter(|name| !valid_event_type(name)) {
        let help = "write entity.operation in letters, digits and `_`: invoice.updated".to_owned();
        keys.fault("event_types", format!("`{bad}` is not an event type"), Some(help));
    }
    types.into_iter().map(str::to_owned).collect()
}

fn read_shapes(keys: &mut Keys<'_, '_>, params: &[Param]) -> Vec<Shape> {
    let body = keys.text("body").map(|text| template(keys, "body", text, Place::Body, params));
    if body.is_none() && !keys.has("body") {
        keys.fault("", "a dialect needs a body", Some("add: body = '{{data}}'".to_owned()));
    }
    let body = body.unwrap_or_default();
    let headers = read_headers(keys, params).unwrap_or_default();
    let mut shapes = Vec::new();
    keys.listed_tables("variant", |mut keys| {
        let when = read_when(&mut keys, params);
        let own = keys.text("body").map(|text| template(&mut keys, "body", text, Place::Body, params));
        let own_headers = read_headers(&mut keys, params);
        shapes.push(Shape {
            when,
            body: own.unwrap_or_else(|| body.clone()),
            headers: own_headers.unwrap_or_else(|| headers.clone()),
        });
        keys.finish();
    });
    shapes.push(Shape { when: When::default(), body, headers });
    shapes
}

fn read_when(keys: &mut Keys<'_, '_>, params: &[Param]) -> When {
    let mut when = When::default();
    for pattern in keys.texts("types").unwrap_or_default() {
        match Glob::parse(pattern) {
            Some(glob) => when.types.push(glob),
            None => keys.fault(
                "types",
                format!("`{pattern}` matches no event type"),
                Some("`*` is one segment, `**` any number of them: order.*".to_owned()),
            ),
        }
    }
    for name in keys.texts("operations").unwrap_or_default() {
        match Operation::parse(&name.to_ascii_uppercase()) {
            Some(operation) => when.operations.push(operation),
            None => {
                let help = "known are insert, update and delete".to_owned();
                keys.fault("operations", format!("unknown operation `{name}`"), Some(help));
            }
        }
    }
    for (name, value) in keys.pairs("params").unwrap_or_default() {
        let Some(index) = params.iter().position(|param| param.name == name) else {
            let help = did_you_mean(name, params.iter().map(|param| param.name.as_str()));
            keys.fault("params", format!("unknown parameter `{name}`"), help);
            continue;
        };
        if !params[index].one_of.is_empty() && !params[index].one_of.iter().any(|known| known == value) {
            keys.fault("params", format!("`{name}` is never `{value}`"), None);
        }
        when.params.push((index, value.to_owned()));
    }
    if when.is_empty() && !["types", "operations", "params"].iter().any(|key| keys.has(key)) {
        let help = "say which events it is for: types, operations or params".to_owned();
        keys.fault("", "a variant without a condition hides everything after it", Some(help));
    }
    when
}

fn read_headers(keys: &mut Keys<'_, '_>, params: &[Param]) -> Option<Vec<Header>> {
    keys.pairs("headers").map(|pairs| headers(keys, &pairs, Place::Header, params))
}

/// Compiles the headers found at `headers` of the table.
pub(super) fn headers(keys: &mut Keys<'_, '_>, pairs: &[(&str, &str)], place: Place, params: &[Param]) -> Vec<Header> {
    let mut headers: Vec<Header> = Vec::new();
    for (name, value) in pairs {
        check_header_name(keys, "headers", name);
        if headers.iter().any(|header| header.name.eq_ignore_ascii_case(name)) {
            keys.fault("headers", format!("the header `{name}` is there twice"), None);
        }
        let value = template(keys, "headers", value, place, params);
        headers.push(Header { name: (*name).to_owned(), value });
    }
    headers
}

/// A field name is a token (RFC 9110 section 5.6.2), and some names belong to HTTP itself.
pub(super) fn check_header_name(keys: &mut Keys<'_, '_>, key: &str, name: &str) {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || !name.bytes().all(legal) {
        keys.fault(key, format!("{name:?} is not a header name"), Some("use letters, digits and `-`".to_owned()));
    }
    let taken = ["host", "content-length", "transfer-encoding", "connection", "expect", "te", "trailer", "upgrade"];
    if taken.contains(&name.to_ascii_lowercase().as_str()) {
        keys.fault(key, format!("the header `{name}` belongs to HTTP itself"), Some("remove it".to_owned()));
    }
}

/// Compiles one template and notes its problems at `key`.
pub(super) fn template(keys: &mut Keys<'_, '_>, key: &str, text: &str, place: Place, params: &[Param]) -> Template {
    given_template(keys, key, text, Scope { place, params, given: None })
}

/// The same for a template with a name of its own.
pub(super) fn given_template(keys: &mut Keys<'_, '_>, key: &str, text: &str, scope: Scope<'_>) -> Template {
    let mut problems: Vec<Problem> = Vec::new();
    let template = Template::parse(text, &scope, &mut problems);
    for problem in problems {
        keys.fault(key, problem.message, Some(problem.help));
    }
    template
}

fn refuse_doubles(keys: &mut Keys<'_, '_>, shapes: &[Shape], signature: &Signature) {
    let of_signature = signature.header_names();
    for header in shapes.iter().flat_map(|shape| &shape.headers) {
        if of_signature.clone().any(|name| name.eq_ignore_ascii_case(&header.name)) {
            let help = format!("the signature writes it; remove `{}` here", header.name);
            keys.fault("headers", format!("the header `{}` is there twice", header.name), Some(help));
        }
    }
}
