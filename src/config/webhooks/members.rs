//! What a request may say of a webhook, and by which names: Umbra's, Carbon's, Carriyo's and those of the configuration.

use serde_json::{Map, Value};

use super::super::codes;
use super::super::reader::listed;
use super::super::values::closest;
use super::block::{Members, escape};
use super::{Asker, FieldFault};

/// The names in a request, each with the setting it means.
const ACCEPTED: &[(&str, &str)] = &[
    ("url", "url"),
    ("events", "events"),
    ("is_active", "active"),
    ("active", "active"),
    ("name", "name"),
    ("tenant", "tenant"),
    ("dialect", "dialect"),
    ("mode", "mode"),
    ("where", "where"),
    ("condition", "where"),
    ("conditions", "where"),
    ("headers", "headers"),
    ("oauth2", "oauth2"),
    ("tls", "tls"),
    ("timeout", "timeout"),
    ("retry", "retry"),
    ("rate_limit", "rate_limit"),
    ("max_in_flight", "max_in_flight"),
    ("order_by", "order_by"),
    ("supersede", "supersede"),
    ("start", "start"),
    ("secret", "secret"),
    ("params", "params"),
    ("table", "table"),
    ("operations", "operations"),
    ("allow_http", "allow_http"),
];

/// A request that was understood so far.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// By setting; `null` clears one.
    pub(super) members: Members,
    /// How the request calls a setting.
    names: Vec<(&'static str, String)>,
    pub(super) faults: Vec<FieldFault>,
}

impl Given {
    /// Reads a request of `asker`.
    pub(super) fn read(request: &Map<String, Value>, asker: Asker<'_>) -> Self {
        let mut given = Self::default();
        for (name, value) in request {
            let pointer = format!("#/{}", escape(name));
            let Some((name, setting)) = ACCEPTED.iter().find(|(known, _)| known == name) else {
                given.faults.push(unknown(name, pointer));
                continue;
            };
            if given.members.contains_key(*setting) {
                given.fault(codes::EXCLUDES, pointer, format!("`{name}` is given twice, under two names"), None);
                continue;
            }
            given.names.push((setting, (*name).to_owned()));
            // What the asker has no say over is not looked at: a file that is named would be read.
            if given.judge(name, value, asker) {
                let value = if *setting == "where" { all_of(value) } else { value.clone() };
                given.members.insert((*setting).to_owned(), value);
            }
        }
        given
    }

    /// How the request calls `setting`.
    pub(super) fn spelled(&self, setting: &str) -> String {
        let name = self.names.iter().find(|(known, _)| *known == setting).map(|(_, name)| name.as_str());
        let default = if setting == "active" { "is_active" } else { setting };
        name.unwrap_or(default).to_owned()
    }

    /// A fault that speaks of settings, in the names of the request.
    pub(super) fn in_its_words(&self, mut fault: FieldFault) -> FieldFault {
        for setting in ["active", "where"] {
            let name = self.spelled(setting);
            fault.detail = fault.detail.replace(&format!("`{setting}`"), &format!("`{name}`"));
            let help = fault.help.take();
            fault.help = help.map(|help| help.replace(&format!("\"{setting}\":"), &format!("\"{name}\":")));
        }
        fault
    }

    pub(super) fn fault(&mut self, code: &'static str, pointer: String, detail: String, help: Option<&str>) {
        self.faults.push(FieldFault { pointer, code, detail, help: help.map(str::to_owned) });
    }

    /// What only some may say: whoever belongs to one tenant gets no say over what belongs to the machine. Returns whether
    /// it is theirs to say.
    fn judge(&mut self, name: &str, value: &Value, asker: Asker<'_>) -> bool {
        let mut is_theirs = true;
        let pointer = format!("#/{}", escape(name));
        match (name, asker.tenant) {
            ("tenant", Some(own)) if !value.is_null() && value.as_str() != Some(own) => {
                let detail = format!("this token belongs to the tenant \"{own}\"");
                self.fault(codes::BAD_VALUE, pointer.clone(), detail, Some("leave `tenant` out"));
            }
            ("allow_http" | "tls", Some(_)) if !value.is_null() => {
                let detail = format!("`{name}` is for whoever administers every tenant");
                self.fault(codes::BAD_VALUE, pointer, detail, Some("leave it out"));
                return false;
            }
            _ => {}
        }
        let tables = match name {
            "oauth2" => &["client_secret_file", "client_secret_env"][..],
            "tls" => &["ca_file", "client_cert_file", "client_key_file"],
            _ => &[],
        };
        for key in tables {
            let Some(path) = value.get(key).filter(|path| !path.is_null()) else { continue };
            let at = format!("{pointer}/{key}");
            if asker.tenant.is_some() || key.ends_with("_env") {
                let detail = format!("`{key}` is read on the engine's machine and cannot be named here");
                self.fault(codes::BAD_VALUE, at, detail, Some("give `client_secret` itself; it is never shown"));
                is_theirs = false;
            } else if !path.as_str().is_some_and(|path| path.starts_with('/')) {
                self.fault(codes::BAD_VALUE, at, format!("`{key}` must be an absolute path"), None);
            }
        }
        if let Some(at) = null_in_list(value, &pointer) {
            self.fault(codes::WRONG_TYPE, at, "null is not an item".to_owned(), None);
        }
        is_theirs
    }
}

fn unknown(name: &str, pointer: String) -> FieldFault {
    let (detail, help) = match name {
        "secret_file" | "secret_env" => {
            let detail = format!("`{name}` is read on the engine's machine and cannot be named here");
            (detail, "give `secret` itself, or leave it out: one is made".to_owned())
        }
        "id" | "dateCreated" | "counters" | "state" | "source" => {
            (format!("`{name}` is the engine's to say"), "leave it out".to_owned())
        }
        _ => {
            let names: Vec<&str> = ACCEPTED.iter().map(|(name, _)| *name).collect();
            let help = match closest(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known here: {}", listed(&names)),
            };
            (format!("unknown member `{name}`"), help)
        }
    };
    FieldFault { pointer, code: codes::UNKNOWN_KEY, detail, help: Some(help) }
}

/// Several conditions are one that holds when all of them do.
fn all_of(value: &Value) -> Value {
    let Some(items) = value.as_array() else { return value.clone() };
    let texts: Option<Vec<&str>> = items.iter().map(Value::as_str).collect();
    match texts {
        Some(texts) if texts.is_empty() => Value::Null,
        Some(texts) if texts.len() == 1 => texts[0].into(),
        Some(texts) => texts.iter().map(|text| format!("({text})")).collect::<Vec<_>>().join(" && ").into(),
        None => value.clone(),
    }
}

fn null_in_list(value: &Value, pointer: &str) -> Option<String> {
    match value {
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            let at = format!("{pointer}/{index}");
            if item.is_null() { Some(at) } else { null_in_list(item, &at) }
        }),
        Value::Object(members) => {
            members.iter().find_map(|(name, value)| null_in_list(value, &format!("{pointer}/{}", escape(name))))
        }
        _ => None,
    }
}
