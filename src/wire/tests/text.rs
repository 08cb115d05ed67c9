//! Templates as a user writes them: what is spliced, in which form, and what can never get into a header.

use proptest::prelude::*;

use super::fixture::{dialect, render, subscription, user_dialect};
use crate::wire::{Dialect, Request};

const LINE: &str = r#"{"type":"invoice.updated","key":"k1","shop":"north","data":{"id":"a\"b","n":1e400,"no":null,"who":{"name":"Zoë"},"tags":["x", {"y":1}]}}"#;

fn body(template: &str) -> String {
    let dialect = user_dialect(&format!("body = '''{template}'''")).unwrap();
    String::from_utf8(render(&dialect, LINE, &subscription(&[], &[])).body).unwrap()
}

fn header(template: &str, line: &str) -> Option<String> {
    let dialect = user_dialect(&format!("body = '{{{{data}}}}'\nheaders = {{ X-Test = '{template}' }}")).unwrap();
    render(&dialect, line, &subscription(&[], &[])).headers.pop().map(|(_, value)| value)
}

#[test]
fn bodies() {
    let check = |template: &str, expected: &str| assert_eq!(body(template), expected, "{template}");
    check(r#"[{{data#/n|or:null}},{{ data#/tags/1 | or:null }}]"#, r#"[1e400,{"y":1}]"#);
    check(
        r#"{"type":{{type}},"try":{{attempt}},"at":{{timestamp}}}"#,
        r#"{"type":"invoice.updated","try":3,"at":1773309600}"#,
    );
    check(r#"[{{event#/shop|or:"none"}},{{event#/other|or:"no\"ne"}}]"#, r#"["north","no\"ne"]"#);
    check(r#"[{{old|or:data#/who|or:null}}]"#, r#"[{"name":"Zoë"}]"#);
    check(r#"{"a":1{{?old}},"old":{{old}}{{/}}{{!old}},"new":true{{/}}}"#, r#"{"a":1,"new":true}"#);
    check(r#"[{{?key}}{{?traceparent}}1,{{/}}{{key}}{{/}}{{!key}}0{{/}}]"#, r#"["k1"]"#);
    check(r#"[{{?data#/no}}1{{/}}{{!data#/no}}2{{/}},{{data#/no|or:key|or:null}}]"#, r#"[2,"k1"]"#);
}

#[test]
fn values_fit_between_the_quotes_of_a_body() {
    let check = |template: &str, expected: &str| assert_eq!(body(template), expected, "{template}");
    check(
        r#"{"text":"{{type}} of {{data#/id|or:"?"}}: {{data#/tags|or:"?"}}"}"#,
        r#"{"text":"invoice.updated of a\"b: [\"x\", {\"y\":1}]"}"#,
    );
    check(r#"{"q":"\"{{data#/n|or:"?"}}\""}"#, r#"{"q":"\"1e400\""}"#);
}

#[test]
fn headers() {
    let check = |template: &str, expected: Option<&str>| {
        assert_eq!(header(template, LINE).as_deref(), expected, "{template}");
    };
    check("{{type}}/{{attempt}}", Some("invoice.updated/3"));
    check("{{data#/id}}", Some("a\"b"));
    check("{{data#/id|percent}}", Some("a%22b"));
    check("{{data#/who/name}}", Some("Zo%C3%AB"));
    check("{{data#/n}}", Some("1e400"));
    check("{{data#/no}}", None);
    check("{{data#/none}}", None);
    check("{{old}}", None);
    check(r#"{{traceparent|or:"none"}}"#, Some("none"));
    check("{{?key}}k={{key}}{{/}}", Some("k=k1"));
}

#[test]
fn a_user_dialect_chooses_by_type_operation_and_parameter() {
    let dialect = user_dialect(
        r#"
        body = '0'
        [params.size]
        one_of = ["s", "l"]
        default = "s"
        [[variant]]
        types = ["invoice.*", "quote.*"]
        params = { size = "l" }
        body = '1'
        [[variant]]
        operations = ["insert", "delete"]
        body = '2'
        headers = { X-Only = "yes" }
        "#,
    )
    .unwrap();
    let shape = |event_type: &str, size: &[(&str, &str)]| {
        let line = format!(r#"{{"type":"{event_type}","data":1}}"#);
        String::from_utf8(render(&dialect, &line, &subscription(&[], size)).body).unwrap()
    };
    assert_eq!(shape("invoice.created", &[("size", "l")]), "1");
    assert_eq!(shape("invoice.created", &[]), "2");
    assert_eq!(shape("invoice.updated", &[]), "0");
    assert_eq!(shape("lead.deleted", &[("size", "l")]), "2");
}

#[test]
fn headers_keep_the_written_order() {
    let dialect = user_dialect("body = '1'\n[headers]\nZ-1 = \"a\"\nA-2 = \"b\"\nM-3 = \"c\"").unwrap();
    let names: Vec<String> =
        render(&dialect, LINE, &subscription(&[], &[])).headers.into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["Z-1", "A-2", "M-3"]);
}

#[test]
fn a_missing_parameter_is_said_by_name() {
    let clarus = std::sync::Arc::new(dialect("clarus"));
    let error = clarus.bind(&subscription(&[], &[("domain", "d")])).err().unwrap();
    assert_eq!(
        error.to_string(),
        "dialect `clarus` needs the parameter `automation_id`: set it in [subscription.params]"
    );
    let error = std::sync::Arc::new(dialect("cloudevents")).bind(&subscription(&[], &[("mode", "batch")])).err();
    assert!(error.unwrap().to_string().contains("structured, binary"));
}

fn all() -> impl Iterator<Item = (Dialect, Vec<&'static str>)> {
    let params = crate::wire::Dialects::built_in();
    let names: Vec<String> = params.names().into_iter().map(str::to_owned).collect();
    names.into_iter().map(|name| {
        let dialect = dialect(&name);
        let secrets = if dialect.needs_secret() { vec![super::fixture::SECRET] } else { Vec::new() };
        (dialect, secrets)
    })
}

proptest! {
    #[test]
    fn no_event_breaks_out_of_a_header(text in ".{0,20}", control in "[\\x00-\\x1f\\x7f]{0,3}") {
        let text = serde_json::to_string(&format!("{control}{text}\r\nX-Evil: 1")).unwrap();
        let line = format!(r#"{{"type":"order.updated","key":{text},"trigger":{text},"traceparent":{text},"data":{text}}}"#);
        for (dialect, secrets) in all() {
            for mode in ["structured", "binary"] {
                let params = [("domain", "a\r\nb"), ("automation_id", "\0"), ("mode", mode)];
                let Request { headers, body } = render(&dialect, &line, &subscription(&secrets, &params));
                let plain = headers.iter().all(|(_, value)| value.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert!(plain, "{headers:?}");
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok());
            }
        }
    }

    #[test]
    fn any_template_compiles_or_is_refused(template in "[{}?!/|:#\"\\\\ a-z~]{0,40}|(\\{\\{[?!/]?(old|key|data|type)?(\\|or:(null|data))?\\}\\}|[\",{}\\[\\]:1]){0,8}") {
        let mut table = toml::Table::new();
        table.insert("body".to_owned(), template.clone().into());
        if let Ok(dialect) = Dialect::compile("mine", &table) {
            for line in [LINE, r#"{"type":"a.created","data":"x"}"#, r#"{"type":"a","old":null,"data":[]}"#] {
                let body = render(&dialect, line, &subscription(&[], &[])).body;
                prop_assert!(serde_json::from_slice::<serde::de::IgnoredAny>(&body).is_ok(), "{template}");
            }
        }
    }
}
