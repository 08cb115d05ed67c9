//! The OpenAPI document against what the engine answers.

use serde_json::Value;

use super::metrics::get;
use super::support::{HEAD, Scenario, Sink, wait_until};

/// What in `value` is not as `schema` says, with where it is.
fn faults(document: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(name) = schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        return faults(document, &document["components"]["schemas"][name], value, at, found);
    }
    if let Some(choices) = schema["anyOf"].as_array() {
        let fits = choices.iter().any(|choice| {
            let mut inner = Vec::new();
            faults(document, choice, value, at, &mut inner);
            inner.is_empty()
        });
        if !fits {
            found.push(format!("{at}: {value} fits nothing"));
        }
        return;
    }
    let name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let types = match &schema["type"] {
        Value::String(one) => vec![one.as_str()],
        several => several.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    };
    if !types.is_empty() && !types.contains(&name) {
        found.push(format!("{at}: {value} is no {types:?}"));
    }
    if schema["enum"].as_array().is_some_and(|names| !names.contains(value)) {
        found.push(format!("{at}: {value} is none of the names"));
    }
    for item in value.as_array().into_iter().flatten() {
        faults(document, &schema["items"], item, &format!("{at}[]"), found);
    }
    let (Some(members), Some(properties)) = (value.as_object(), schema["properties"].as_object()) else { return };
    for (name, member) in members {
        match properties.get(name) {
            Some(property) => faults(document, property, member, &format!("{at}.{name}"), found),
            None => found.push(format!("{at}.{name} is not documented")),
        }
    }
    let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
    found.extend(required.filter(|name| !members.contains_key(*name)).map(|name| format!("{at}.{name} is missing")));
}

#[test]
fn what_the_engine_answers_is_what_the_document_says() {
    let sink = Sink::start(|_, _, _| 500);
    let scenario = Scenario::new(&format!(
        "{HEAD}[network]\nallow = [\"127.0.0.0/8\"]\n[dialect.plain]\nbody = '{{\"event\":{{{{id}}}}}}'\n\
         headers = {{ X-Delivery-Id = \"{{{{delivery_id}}}}\" }}\n[[subscription]]\nname = \"erp\"\n\
         url = \"http://{}/erp\"\ndialect = \"plain\"\nevents = [\"**\"]\nretry = \"none\"\n",
        sink.addr()
    ));
    let mut engine = scenario.engine();
    engine.ready();
    std::fs::write(scenario.path("spool/in/a.ndjson"), "{\"type\":\"a.b\",\"id\":\"e1\",\"data\":{}}\nno event\n")
        .unwrap();
    let json = |path: &str| serde_json::from_str::<Value>(&get(scenario.path("state/spoolhook.sock"), path)).unwrap();
    let failed = || json("/v1/deliveries?status=failed")["data"][0]["id"].as_str().map(str::to_owned);
    let mut id = None;
    assert!(wait_until(std::time::Duration::from_secs(30), || {
        id = failed();
        id.is_some() && json("/v1/quarantine")["data"][0].is_object()
    }));
    let line = json("/v1/quarantine")["data"][0]["id"].as_str().unwrap().to_owned();

    let document = json("/v1/openapi.json");
    let printed: Value = serde_json::from_slice(&scenario.run(&["openapi"]).stdout).unwrap();
    assert_eq!(document, printed);
    let filled = |path: &str| match path {
        "/v1/webhooks/{id}" => Some("/v1/webhooks/erp".to_owned()),
        "/v1/deliveries/{id}" => Some(format!("/v1/deliveries/{}", id.as_deref().unwrap())),
        "/v1/events/{id}" => Some("/v1/events/e1".to_owned()),
        "/v1/quarantine/{id}" => Some(format!("/v1/quarantine/{line}")),
        path if path.contains('{') => None,
        path => Some(path.to_owned()),
    };
    let mut found = Vec::new();
    let mut asked = 0;
    for (template, operations) in document["paths"].as_object().unwrap() {
        let schema = &operations["get"]["responses"]["200"]["content"]["application/json"]["schema"];
        let Some(path) = filled(template).filter(|_| schema.is_object() && template != "/v1/openapi.json") else {
            continue;
        };
        faults(&document, schema, &json(&path), &path, &mut found);
        asked += 1;
    }
    assert!(asked >= 12, "{asked}");
    assert_eq!(found, Vec::<String>::new());
    let stats = json("/v1/stats?metric=attempts&subscription=erp");
    let attempts: u64 =
        stats["data"].as_array().unwrap().iter().filter_map(|point| point["attempts"]["http_5xx"].as_u64()).sum();
    assert_eq!(attempts, 1, "{stats}");
    engine.kill();
}
