//! What is wrong with a user's table is said at its key, all of it at once.

use super::fixture::user_dialect;
use crate::wire::DialectFault;

fn check(table: &str, key: &[&str], words: &str) {
    let faults = user_dialect(table).expect_err(table);
    let said = |fault: &DialectFault| format!("{} | {}", fault.message, fault.help.as_deref().unwrap_or_default());
    let found = faults.iter().any(|fault| fault.key == key && said(fault).contains(words));
    assert!(found, "{table}\nwants {key:?} {words}\ngot {faults:#?}");
}

#[test]
fn keys_and_kinds() {
    check("", &[], "needs a body");
    check("body = 1", &["body"], "expected a string, found 1");
    check("body = '1'\nbodi = '1'", &["bodi"], "did you mean `body`?");
    check("body = '1'\nheader = {}", &["header"], "did you mean `headers`?");
    check("body = '1'\n[defaults]\ntimeout = '15'", &["defaults", "timeout"], "a duration such as");
    check("body = '1'\n[defaults]\nmode = 'at-most-onze'", &["defaults", "mode"], "did you mean `at-most-once`?");
    check("body = '1'\nevent_types = ['a-b']", &["event_types"], "`a-b` is not an event type");
    check("body = '1'\n[params.x]\none_of = ['a']\ndefault = 'b'", &["params", "x", "default"], "not in `one_of`");
    check("body = '1'\n[params.x]\ndefault = '{{id}}'", &["params", "x", "default"], "cannot depend on the event");
    check("body = '1'\n[params.x]\nrequired = true\ndefault = 'b'", &["params", "x", "required"], "never missing");
}

#[test]
fn templates() {
    check("body = '{{dta}}'", &["body"], "did you mean `data`?");
    check("body = '{{params.x}}'", &["body"], "declare it: `[params.x]`");
    check("body = '{{data'", &["body"], "`{{` without `}}`");
    check("body = '{{old}}'", &["body"], "write {{old|or:null}}");
    check("body = '{{data#/x}}'", &["body"], "may have no value");
    check("body = '{{data#x}}'", &["body"], "not a JSON pointer");
    check("body = '{{?old}}1'", &["body"], "not closed");
    check("body = '1{{/}}'", &["body"], "closes nothing");
    check("body = '\"{{?old}}\"{{/}}'", &["body"], "JSON string");
    check("body = '{{type|upper}}'", &["body"], "unknown filter `upper`");
    check("body = '{{type|percent}}'", &["body"], "for headers");
    check("body = '{\"a\":{{data}}'", &["body"], "would not be JSON");
    check("body = '{{?key}}1{{/}}'", &["body"], "would not be JSON");
    check("body = '{{?old}}1{{/}}{{!key}}2{{/}}'", &["body"], "would not be JSON");
    check("body = '1'\nheaders = { X-A = 'é' }", &["headers"], "cannot stand here");
    check("body = '1'\nheaders = { X-A = '{{body}}' }", &["headers"], "unknown placeholder `body`");
}

#[test]
fn headers_and_variants() {
    check("body = '1'\nheaders = { 'X A' = 'a' }", &["headers"], "not a header name");
    check("body = '1'\nheaders = { Host = 'a' }", &["headers"], "belongs to HTTP");
    check("body = '1'\nheaders = { X-A = 'a', x-a = 'b' }", &["headers"], "twice");
    check("body = '1'\nheaders = { X-A = 1 }", &["headers", "X-A"], "expected a string");
    check("body = '1'\n[[variant]]\nbody = '2'", &["variant", "0"], "without a condition");
    check(
        "body = '1'\n[[variant]]\ntypes = ['a']\n[[variant]]\ntypes = ['a-']",
        &["variant", "1", "types"],
        "no event type",
    );
    check(
        "body = '1'\n[[variant]]\noperations = ['upsert']",
        &["variant", "0", "operations"],
        "insert, update and delete",
    );
    check("body = '1'\n[[variant]]\nparams = { a = 'b' }", &["variant", "0", "params"], "unknown parameter `a`");
}

#[test]
fn signatures() {
    const SCHEMES: &str = "schemes = [{ key = 'text', algorithm = 'hmac-sha256', encoding = 'hex' }]";
    let table = |rest: &str| format!("body = '1'\n[signature]\n{rest}\n");
    check(&table("header = 'S'\nover = '{{body}}'"), &["signature"], "needs `schemes`");
    check(&table(SCHEMES), &["signature"], "`header` is missing");
    let over = |over: &str| table(&format!("header = 'S'\nover = '{over}'\n{SCHEMES}"));
    check(&over("{{timestamp}}.{{body}}"), &["signature", "over"], "does not reach the receiver");
    check(&over("{{key}}{{body}}"), &["signature", "over"], "may have no value");
    check(&over("{{?key}}{{/}}{{body}}"), &["signature", "over"], "section");
    let value = |value: &str| table(&format!("header = 'S'\nover = '{{{{body}}}}'\nvalue = '{value}'\n{SCHEMES}"));
    check(&value("{{timestamp}}{{signatures}}"), &["signature"], "touch");
    check(&value("t={{timestamp}}"), &["signature", "value"], "{{signatures}} once");
    let scheme = |scheme: &str| table(&format!("header = 'S'\nover = '{{{{body}}}}'\nschemes = [{{ {scheme} }}]"));
    let at = |key: &'static str| ["signature", "schemes", "0", key];
    check(
        &scheme("key = 'whsk', algorithm = 'hmac-sha256', encoding = 'hex'"),
        &at("algorithm"),
        "whsk goes with ed25519",
    );
    check(
        &scheme("key = 'text', algorithm = 'hmac-sha1', encoding = 'hex'"),
        &at("algorithm"),
        "did you mean `hmac-sha256`?",
    );
    check(
        &scheme("key = 'text', algorithm = 'hmac-sha256', encoding = 'hex', each = 'v1'"),
        &at("each"),
        "{{signature}} once",
    );
    check(&format!("headers = {{ s = 'a' }}\n{}", over("{{body}}")), &["headers"], "the signature writes it");
}

#[test]
fn all_at_once() {
    let faults = user_dialect("body = '{{dta}} {{typ}}'\nbodi = 1\n[defaults]\nretri = 'x'").unwrap_err();
    assert_eq!(faults.len(), 4, "{faults:#?}");
}
