//! What conditions mean for events, and that no text and no event can harm the engine.

use proptest::prelude::*;

use super::super::sample;
use super::*;

const ORDER: &str = r#"{"type":"salesOrder.updated","tenant":"acme","key":"SO-1","region":"EU","id":"e1",
    "data":{"status":"shipped","total":1500,"rate":1000.5,"big":123456789012345678901234567890,"wide":18446744073709551615,
            "items":[{"sku":"a","qty":2},{"sku":"b","qty":0}],"note":null,"in":1,"name":"Zürich\n"},
    "old":{"status":"open","total":1400}}"#;

fn evaluate(condition: &str, line: &str) -> Evaluation {
    let event = sample::event(line);
    Condition::compile(condition).unwrap().evaluate(&EventContext::new(&event))
}

fn holds(condition: &str) -> bool {
    match evaluate(condition, ORDER) {
        Evaluation::True => true,
        Evaluation::False(_) => false,
        Evaluation::Error(reason) => panic!("{condition}: {reason}"),
    }
}

fn reason(condition: &str) -> String {
    match evaluate(condition, ORDER) {
        Evaluation::Error(reason) => reason,
        other => panic!("{condition}: {other:?}"),
    }
}

#[test]
fn the_documented_example_holds() {
    assert!(holds("data.total > 1000.0 && old.status != data.status"));
}

#[test]
fn numbers_compare_by_value_whatever_their_kind() {
    for condition in [
        "data.total > 1000.0",
        "data.total == 1500.0",
        "data.rate > 1000",
        "data.rate <= 1000.5",
        "data.total in [1, 1500.0]",
        "data.big > 9223372036854775807",
        "data.wide > 1",
        "data.wide > data.total && data.total < data.wide",
        "data.big > data.wide",
    ] {
        assert!(holds(condition), "{condition}");
    }
    assert!(!holds("data.total < 1499.9"));
}

#[test]
fn every_name_is_there() {
    for condition in [
        "type == 'salesOrder.updated'",
        "tenant == 'acme' && key == 'SO-1' && id == 'e1'",
        "operation == 'UPDATE' && trigger == 'updated'",
        "time.startsWith('2026-')",
        "region == 'EU'",
        "event.data.total == data.total && has(event.region) && !has(event.nothing)",
        "event.data['in'] == 1",
        "data.name == 'Zürich\\n'",
        "type.matches('^sales')",
    ] {
        assert!(holds(condition), "{condition}");
    }
}

#[test]
fn lists_can_be_searched() {
    assert!(holds("data.items.exists(item, item.sku == 'b' && item.qty == 0)"));
    assert!(!holds("data.items.all(item, item.qty > 0)"));
    assert!(holds("size(data.items.filter(item, item.qty > 0)) == 1"));
    assert!(holds("data.items.map(item, item.qty) == [2, 0]"));
}

#[test]
fn a_missing_old_is_null_and_has_no_fields() {
    let line = r#"{"type":"a.created","data":{"x":1}}"#;
    for condition in ["old == null", "null == old", "!has(old.status)", "key == null", "!(old != null)"] {
        assert_eq!(evaluate(condition, line), Evaluation::True, "{condition}");
    }
    assert_eq!(
        evaluate("old.status != 'x'", line),
        Evaluation::Error("no such key: status (the event carries no `old`)".to_owned())
    );
    assert_eq!(evaluate("old == null", r#"{"type":"a","data":1,"old":null}"#), Evaluation::True);
}

#[test]
fn what_has_no_answer_says_why() {
    assert_eq!(reason("data.stauts == 'x'"), "no such key: stauts");
    assert_eq!(reason("dta.status == 'x'"), "the event has no field `dta`; did you mean `data`?");
    assert_eq!(reason("data.status"), "`data.status` is not true or false but a string");
    assert_eq!(reason("data.status > 1"), "`>` does not apply to (string, int)");
    assert_eq!(reason("data.total.x == 1"), "`a field` does not apply to (int, string)");
    assert_eq!(reason("data.total / 0 == 1"), "division by zero");
    assert_eq!(reason("data.total * 9223372036854775807 > 1"), "integer overflow");
    assert!(reason("data.total * 1.5 > 1.0").contains("double(...)"));
    assert_eq!(reason("data.items[7].qty == 1"), "the list is shorter than the index");
    assert_eq!(reason("int(data.status) > 1").split(':').next(), Some("int"));
}

#[test]
fn a_false_part_wins_over_one_without_an_answer_and_is_named() {
    let condition = "data.nothing == 1 && (data.total > 1 && data.status == 'open') && has(data.status)";
    let Evaluation::False(range) = evaluate(condition, ORDER) else { panic!("not false") };
    assert_eq!(&condition[range], "data.status == 'open'");
    let Evaluation::False(range) = evaluate("'é' == 'é' && size(data.items) > (2)", ORDER) else {
        panic!("not false")
    };
    assert_eq!(range, 16..38);
    assert_eq!(evaluate("data.total < 1 || data.total < 2", ORDER), Evaluation::False(0..32));
}

#[test]
fn an_unreadable_number_is_a_reason() {
    let line = r#"{"type":"a","data":{"x":1e999}}"#;
    let Evaluation::Error(reason) = evaluate("data.x > 1", line) else { panic!("an answer") };
    assert!(reason.starts_with("the event's `data` cannot be read: number out of range"), "{reason}");
    assert_eq!(evaluate("type == 'a'", line), Evaluation::True, "data was not asked for");
}

#[test]
fn refused_conditions_say_what_and_where() {
    let error = |text: &str| Condition::compile(text).unwrap_err();
    let cases = [
        ("", "the condition is empty", 0),
        ("data.total >", "the condition ends too early", 12),
        ("data.total > 1 &&& true", "", 17),
        ("data.name.startswith('x')", "there is no function `startswith`; did you mean `startsWith`?", 20),
        ("true && contains(data.name, 'x')", "`contains` is a method, not a function", 16),
        ("data.total.double() > 1.0", "`double` is a function, not a method", 17),
        ("data.items.exists(x)", "`exists` is called on a list with a name and an expression", 17),
        ("timestamp(time) > 1", "there is no function `timestamp`; RFC 3339 times", 9),
        ("data.name.matches('(')", "", 17),
        ("'é' == 'é' &&& true", "", 15),
        ("true &&\n'é' == 'é' &&& true", "", 23),
        ("'é' == frob(1)", "there is no function `frob`", 12),
    ];
    for (text, message, offset) in cases {
        let error = error(text);
        assert!(error.message.starts_with(message), "{text}: {error}");
        assert_eq!(error.offset, offset, "{text}: {error}");
    }
    assert!(error(&"a".repeat(5000)).message.contains("4096"));
}

#[test]
fn deep_conditions_are_refused_and_wide_ones_are_not() {
    let deep = [
        "(".repeat(4000),
        format!("{}1{}", "[".repeat(2000), "]".repeat(2000)),
        format!("1{}", "+1".repeat(2000)),
        format!("a{}", "[0]".repeat(1300)),
        format!("a{}", ".f()".repeat(1000)),
        "?[{(.".repeat(800),
    ];
    for text in deep {
        assert!(Condition::compile(&text).is_err(), "{}", &text[..40]);
    }
    let wide = vec!["data.total == 1"; 200].join(" || ");
    assert!(!holds(&wide));
}

#[test]
fn the_deepest_conditions_that_are_accepted_fit_on_a_stack() {
    let shapes: [(&str, &str, &str); 7] = [
        ("[1].all(x, ", "true", ")"),
        ("[", "1", "][0]"),
        ("{1: ", "1", "}[1]"),
        ("size(string(", "1", "))"),
        ("", "1", "+1"),
        ("1 > ", "true ? 1 : 2", " ? 1 : 2"),
        ("-(", "1", ")"),
    ];
    for (before, middle, after) in shapes {
        let text = |n: usize| format!("{}{middle}{}", before.repeat(n), after.repeat(n));
        let accepted = (1..32).rev().find_map(|n| Condition::compile(&text(n)).ok()).unwrap();
        let event = sample::event(ORDER);
        accepted.evaluate(&EventContext::new(&event));
    }
}

#[test]
fn loops_cannot_run_away() {
    let list = format!("{{\"type\":\"a\",\"data\":[{}0]}}", "0,".repeat(999));
    assert_eq!(evaluate("data.all(x, data.exists(y, y == x))", &list), {
        Evaluation::Error("loop: more than 200000 elements to look at".to_owned())
    });
    assert_eq!(evaluate("data.all(x, x == 0)", &list), Evaluation::True);
}

fn text() -> impl Strategy<Value = String> {
    let token = prop_oneof![
        prop::sample::select(vec![
            "data",
            "old",
            "key",
            "event",
            ".",
            "status",
            "total",
            "(",
            ")",
            "[",
            "]",
            "{",
            "}",
            "?",
            ":",
            ",",
            "&&",
            "||",
            "!",
            "-",
            "+",
            "*",
            "/",
            "%",
            "<",
            ">",
            "==",
            "!=",
            "in",
            "1",
            "1u",
            "0x1F",
            "9223372036854775808",
            "1e400",
            "1.5",
            "'a'",
            "\"",
            "'''",
            "r'",
            "b'\\xff'",
            "'\\u00e9'",
            "\\",
            "has",
            "all",
            "exists",
            "map",
            "filter",
            "size",
            "type",
            "int",
            "double",
            "string",
            "matches",
            "optional",
            "of",
            "none",
            "value",
            "null",
            "true",
            "false",
            "x",
            "@",
            "`",
            "//",
            "\n",
            " ",
            "é",
            "😀",
            "\0",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    prop::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Compiling and evaluating end for every text, and offsets lie on characters.
    #[test]
    fn no_text_does_harm(text in text()) {
        match Condition::compile(&text) {
            Ok(condition) => {
                let event = sample::event(ORDER);
                if let Evaluation::Error(reason) = condition.evaluate(&EventContext::new(&event)) {
                    prop_assert!(!reason.contains("library failed"), "panicked on {text:?}");
                }
            }
            Err(error) => {
                prop_assert!(!error.message.contains("gave up"), "panicked on {text:?}");
                prop_assert!(text.is_char_boundary(error.offset));
            }
        }
    }
}
