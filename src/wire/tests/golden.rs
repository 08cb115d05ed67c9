//! Whole requests against `tests/golden/<dialect>/<case>.http`: head, blank line, body. `SPOOLHOOK_BLESS=1` rewrites.

use std::path::PathBuf;
use std::sync::Arc;

use super::fixture::{NOW, OLDER, PAIR, SECRET, dialect, event, render, subscription};
use crate::model::Secret;
use crate::wire::{RenderInput, Request, Verdict};

const UPDATED: &str = r#"{"type":"salesOrder.updated","key":"so_1","data":{"id":"so_1","status":"To Ship and Invoice"},"old":{"id":"so_1","status":"Draft"}}"#;
const CREATED: &str = r#"{"type":"salesOrder.created","data":{"id":"so_1"},"old":{"id":"stray"}}"#;
const DELETED: &str = r#"{"type":"salesOrder.deleted","data":{"id":"so_1"}}"#;
const DELETED_WITH_OLD: &str = r#"{"type":"salesOrder.deleted","data":{"id":"so_1"},"old":{"id":"so_1","v":1}}"#;
const INVOICE: &str = r#"{"type":"invoice.updated","key":"inv_7","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"id":"inv_7","total":1000.50}}"#;
const SHIPMENT: &str = r#"{"type":"shipment.status_changed","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{"shipment_id":"s1","status":"in_transit"}}"#;
const ORDER: &str = r#"{"type":"order.updated","trigger":"items_changed","data":{"order_id":"o1","n":2},"old":{"order_id":"o1","n":1}}"#;
const ORDER_CREATED: &str = r#"{"type":"order.created","data":{"order_id":"o1","n":1}}"#;
const RETURN: &str = r#"{"type":"return_request.created","data":{"request_id":"r1"}}"#;
const STOCK: &str = r#"{"type":"stock.adjusted_positive","data":{"sku":"A-1","quantity":5}}"#;
/// Whatever a producer may write: numbers beyond any type, doubled keys, escapes, a lone surrogate, white space.
const AWKWARD: &str = r#"{"type":"invoice.updated","key":"a \"b\"% é","data":{ "z" : 1e400, "a":9007199254740993,"a" :-0.0,"s":"\u00e9\/\ud800 é","n":null,"deep":[[{}], "}]" ] }}"#;

struct Case {
    dialect: &'static str,
    case: &'static str,
    line: &'static str,
    secrets: &'static [&'static str],
    params: &'static [(&'static str, &'static str)],
}

const fn case(dialect: &'static str, case: &'static str, line: &'static str) -> Case {
    Case { dialect, case, line, secrets: &[], params: &[] }
}

impl Case {
    const fn secrets(mut self, secrets: &'static [&'static str]) -> Self {
        self.secrets = secrets;
        self
    }

    const fn params(mut self, params: &'static [(&'static str, &'static str)]) -> Self {
        self.params = params;
        self
    }
}

const CLARUS: &[(&str, &str)] = &[
    ("domain", "acme.claruswms.co.uk"),
    ("api_domain", "api.claruswms.co.uk"),
    ("subdomain", "acme"),
    ("automation_id", "42"),
    ("integration_id", "7"),
];
const BINARY: &[(&str, &str)] = &[("mode", "binary"), ("source", "https://erp.example/acme")];

const CASES: &[Case] = &[
    case("carbon", "insert", CREATED),
    case("carbon", "update", UPDATED),
    case("carbon", "update-without-old", INVOICE),
    case("carbon", "delete", DELETED),
    case("carbon", "delete-with-old", DELETED_WITH_OLD),
    case("carbon", "company", UPDATED).params(&[("company_id", "abc\"123")]),
    case("carbon", "awkward", AWKWARD),
    case("carriyo", "shipment", SHIPMENT),
    case("carriyo", "order", ORDER),
    case("carriyo", "order-created", ORDER_CREATED),
    case("carriyo", "return", RETURN),
    case("carriyo", "other", INVOICE),
    case("carriyo", "awkward", AWKWARD),
    case("umbra", "invoice", INVOICE).secrets(&[SECRET]),
    case("umbra", "rotation", INVOICE).secrets(&["a plain text", SECRET]),
    case("umbra", "awkward", AWKWARD).secrets(&[SECRET]),
    case("clarus", "all", STOCK).params(CLARUS),
    case("clarus", "required", STOCK).params(&[("domain", "acme.claruswms.co.uk"), ("automation_id", "42")]),
    case("standard", "one-secret", INVOICE).secrets(&[SECRET]),
    case("standard", "two-secrets", INVOICE).secrets(&[SECRET, OLDER]),
    case("standard", "ed25519", INVOICE).secrets(&[PAIR]),
    case("standard", "both-kinds", INVOICE).secrets(&[PAIR, SECRET]),
    case("standard", "awkward", AWKWARD).secrets(&[SECRET]),
    case("cloudevents", "structured", INVOICE),
    case("cloudevents", "structured-bare", STOCK),
    case("cloudevents", "structured-awkward", AWKWARD),
    case("cloudevents", "binary", INVOICE).params(BINARY),
    case("cloudevents", "binary-awkward", AWKWARD).params(BINARY),
    case("cloudevents", "binary-signed", INVOICE).params(BINARY).secrets(&[SECRET]),
    case("github", "invoice", INVOICE).secrets(&["It's a Secret to Everybody"]),
    case("stripe", "rotation", UPDATED).secrets(&[SECRET, OLDER]),
];

fn rendered(case: &Case) -> Request {
    render(&dialect(case.dialect), case.line, &subscription(case.secrets, case.params))
}

#[test]
fn requests_are_the_golden_bytes() {
    let bless = std::env::var_os("SPOOLHOOK_BLESS").is_some();
    for case in CASES {
        let request = rendered(case);
        let mut text = Vec::new();
        for (name, value) in &request.headers {
            text.extend_from_slice(format!("{name}: {value}\n").as_bytes());
        }
        text.push(b'\n');
        text.extend_from_slice(&request.body);
        let path: PathBuf =
            [env!("CARGO_MANIFEST_DIR"), "tests/golden", case.dialect, &format!("{}.http", case.case)].iter().collect();
        if bless {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, &text).unwrap();
        }
        let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(String::from_utf8_lossy(&text), String::from_utf8_lossy(&golden), "{}", path.display());
        assert_eq!(text, golden, "{}", path.display());
    }
}

#[test]
fn every_signed_golden_request_is_genuine_to_its_receiver() {
    for case in CASES {
        let secrets: Vec<Secret> = case.secrets.iter().copied().map(Secret::new).collect();
        let Request { headers, body } = rendered(case);
        let verdict = dialect(case.dialect).verify(&headers, &body, &secrets, NOW);
        let expected = match secrets.first() {
            Some(secret) => {
                matches!(verdict, Verdict::Ok { .. }) && {
                    let first = dialect(case.dialect).verify(&headers, &body, std::slice::from_ref(secret), NOW);
                    first == Verdict::Ok { fingerprint: secret.fingerprint() }
                }
            }
            None => verdict == Verdict::Unsigned,
        };
        assert!(expected, "{}/{}: {verdict:?}", case.dialect, case.case);
    }
}

#[test]
fn the_record_arrives_byte_for_byte() {
    for case in CASES {
        let event = event(case.line);
        let body = rendered(case).body;
        assert!(body.windows(event.data().len()).any(|part| part == event.data()), "{}/{}", case.dialect, case.case);
    }
}

#[test]
fn every_dialect_has_golden_files() {
    let dialects = crate::wire::Dialects::built_in();
    let examples = crate::wire::EXAMPLES.iter().map(|(name, _)| *name);
    for name in dialects.names().into_iter().chain(examples) {
        assert!(CASES.iter().any(|case| case.dialect == name), "{name}");
    }
}

#[test]
fn carbon_sends_one_header_and_the_others_pass_the_trace_on() {
    for case in CASES {
        let headers = rendered(case).headers;
        let traced = headers.iter().any(|(name, _)| name == "traceparent");
        match case.dialect {
            "carbon" => assert_eq!(headers, [("Content-Type".to_owned(), "application/json".to_owned())]),
            "github" | "stripe" => {}
            _ => assert_eq!(traced, case.line.contains("traceparent"), "{}/{}", case.dialect, case.case),
        }
    }
}

#[test]
fn a_bound_dialect_renders_the_same() {
    for case in CASES {
        let subscription = subscription(case.secrets, case.params);
        let bound = Arc::new(dialect(case.dialect)).bind(&subscription).unwrap();
        let event = event(case.line);
        let delivery = "caf8e206-49bc-424c-b228-b4e4ac548f61".parse().unwrap();
        let input = RenderInput { event: &event, subscription: &subscription, delivery, attempt: 3, now: NOW };
        assert_eq!(bound.render(&input), rendered(case));
    }
}
