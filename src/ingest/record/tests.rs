use proptest::prelude::*;

use super::*;
use crate::model::SegmentId;

const SEEN: Timestamp = Timestamp(1_773_309_600_000);

fn parse(line: &str) -> Result<Event, Rejection> {
    parse_bytes(line.as_bytes())
}

fn parse_bytes(line: &[u8]) -> Result<Event, Rejection> {
    parse_line(line, Position { segment: SegmentId(7), offset: 42 }, 9, SEEN)
}

fn reason(line: &str) -> RejectionReason {
    parse(line).expect_err(line).reason
}

#[test]
fn a_full_event() {
    let line = r#" {"type":"salesOrder.deleted","id":"a_B:9-","tenant":"acme","time":"2026-03-12T10:00:00.5+02:00",
        "key":"k 1","operation":"UPDATE","trigger":"cancel","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "data": {"n":1e400,"big":9007199254740993,"s":"\ud800"},"old":[1, 2],"extra":{"x":1}} "#
        .replace('\n', "");
    let event = parse(&line).unwrap();
    assert_eq!(event.line.as_ref(), line.trim().as_bytes());
    assert_eq!(event.data(), br#"{"n":1e400,"big":9007199254740993,"s":"\ud800"}"#);
    assert_eq!(event.old(), Some(&b"[1, 2]"[..]));
    assert_eq!((event.id.as_str(), event.tenant.as_str(), event.key.as_deref()), ("a_B:9-", "acme", Some("k 1")));
    assert_eq!(event.time, "2026-03-12T10:00:00.5+02:00");
    assert_eq!((event.operation, event.trigger.as_str()), (Operation::Update, "cancel"));
    assert!(event.traceparent.is_some());
    assert_eq!((event.seq, event.position.offset), (9, 42));
}

#[test]
fn defaults_come_from_the_position_the_type_and_the_clock() {
    let event = parse(r#"{"data":1,"type":"shipment.created","old":null,"id":null}"#).unwrap();
    assert_eq!(event.id, format!("{}-42", SegmentId(7)));
    assert_eq!((event.tenant.as_str(), event.time.as_str()), ("default", "2026-03-12T10:00:00.000Z"));
    assert_eq!((event.operation, event.trigger.as_str()), (Operation::Insert, "created"));
    assert_eq!((event.key, event.old, event.traceparent), (None, None, None));
}

#[test]
fn cloud_events() {
    let event = parse(
        r#"{"specversion":"1.0","type":"com.acme.order.created","source":"/erp","id":"1","subject":"o-1","tenant":"t","data":{}}"#,
    )
    .unwrap();
    assert_eq!((event.key.as_deref(), event.tenant.as_str(), event.id.as_str()), (Some("o-1"), "t", "1"));
    assert_eq!(reason(r#"{"specversion":"0.3","type":"a.b","data":1}"#), RejectionReason::Schema);
    assert_eq!(reason(r#"{"specversion":"1.0","type":"a.b","data_base64":"eA=="}"#), RejectionReason::Schema);
    assert_eq!(parse(r#"{"type":"a.b","data":1,"subject":"not a key"}"#).unwrap().key, None);
}

#[test]
fn checked_lines() {
    // CRC32C test vector of RFC 3720 appendix B.4 (32 bytes of zeros), so that the polynomial is the right one.
    assert_eq!(crc32c::crc32c(&[0; 32]), 0x8a91_36aa);
    let object = r#"{"type":"a.b","data":{}}"#;
    let line = format!("{:08x} {object}", crc32c::crc32c(object.as_bytes()));
    assert_eq!(parse(&line).unwrap().line.as_ref(), object.as_bytes());
    assert_eq!(reason(&line.replace("{}", "[]")), RejectionReason::BadCrc);
    assert_eq!(reason(&line.to_uppercase()), RejectionReason::InvalidJson);
}

#[test]
fn ten_kinds_of_bad_line() {
    use RejectionReason::*;
    let deep = format!(r#"{{"type":"a.b","data":{}1{}}}"#, "[".repeat(64), "]".repeat(64));
    let cases: &[(&str, RejectionReason)] = &[
        (r#"{"type":"a.b","data":{}"#, InvalidJson),
        (r#""type":"a.b","data":{}}"#, InvalidJson),
        (r#"{"type":"a.b","data":{"x":1,}}"#, InvalidJson),
        (r#"{"type":"a.b","data":NaN}"#, InvalidJson),
        (r#"{'type':'a.b','data':1}"#, InvalidJson),
        ("\u{feff}{\"type\":\"a.b\",\"data\":1}", InvalidJson),
        ("[1]", NotObject),
        ("17", NotObject),
        ("null", NotObject),
        ("{\"type\":\"a.b\",\"data\":\"\0\"}", NulBytes),
        (r#"{"type":"a.b","data":1}{"type":"a.b","data":1}"#, TrailingData),
        (r#"{"type":"a.b","data":1} x"#, TrailingData),
        (r#"{"type":"a.b","data":1,"data":2}"#, DuplicateKey),
        (r#"{"type":"a.b","data":1,"x":1,"\u0078":2}"#, DuplicateKey),
        (&deep, TooDeep),
        ("{}", Schema),
        (r#"{"type":"a.b"}"#, Schema),
        (r#"{"type":"a.b","data":null}"#, Schema),
        (r#"{"type":7,"data":1}"#, Schema),
        (r#"{"type":"a-b","data":1}"#, Schema),
        (r#"{"type":"\ud800","data":1}"#, Schema),
        (r#"{"type":"a.b","data":1,"id":"a b"}"#, Schema),
        (r#"{"type":"a.b","data":1,"id":7}"#, Schema),
        (r#"{"type":"a.b","data":1,"tenant":""}"#, Schema),
        (r#"{"type":"a.b","data":1,"key":"a\r\nb"}"#, Schema),
        (r#"{"type":"a.b","data":1,"time":"2026-02-30T00:00:00Z"}"#, Schema),
        (r#"{"type":"a.b","data":1,"time":"2026-03-12 10:00:00Z"}"#, Schema),
        (r#"{"type":"a.b","data":1,"operation":"update"}"#, Schema),
    ];
    for (line, expected) in cases {
        let rejection = parse(line).expect_err(line);
        assert_eq!(rejection.reason, *expected, "{line}: {}", rejection.detail);
        assert!(rejection.detail.len() > 20 && rejection.detail.len() < 300, "{}", rejection.detail);
    }
    assert_eq!(parse_bytes(b"{\"type\":\"a.b\",\"data\":\"\xff\"}").unwrap_err().reason, InvalidUtf8);
}

#[test]
fn depth_is_counted_outside_strings() {
    let deep = format!(r#"{{"type":"a.b","data":{}1{}}}"#, "[".repeat(63), "]".repeat(63));
    assert!(parse(&deep).is_ok());
    assert!(parse(&format!(r#"{{"type":"a.b","data":"\"{}"}}"#, "[".repeat(500))).is_ok());
    assert!(parse(&format!(r#"{{"type":"a.b","data":[{}1]}}"#, "[],".repeat(500))).is_ok());
}

#[test]
fn a_broken_trace_context_does_not_cost_the_event() {
    assert_eq!(parse(r#"{"type":"a.b","data":1,"traceparent":"x\r\ny"}"#).unwrap().traceparent, None);
}

#[test]
fn details_point_at_the_byte() {
    let rejection = parse(r#"  {"type":"a.b","data":x}"#).unwrap_err();
    assert!(rejection.detail.contains("byte 24"), "{}", rejection.detail);
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let text =
        prop_oneof![Just("\"".to_owned()), Just("\\".to_owned()), Just("{\"".to_owned()), "[a-z{}\\[\\]\":,é]{0,8}"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        text.clone().prop_map(Into::into),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            prop::collection::vec((text.clone(), inner), 0..5)
                .prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    })
}

proptest! {
    /// The lemma the spool protocol rests on: torn lines are never events.
    #[test]
    fn no_strict_prefix_or_suffix_of_an_event_is_one(data in json()) {
        let line = serde_json::json!({"type": "a.b", "key": "k", "data": [data.clone()], "z": data}).to_string();
        prop_assert!(parse(&line).is_ok());
        for at in 1..line.len() {
            prop_assert!(parse_bytes(&line.as_bytes()[..at]).is_err());
            prop_assert!(parse_bytes(&line.as_bytes()[at..]).is_err());
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = parse_bytes(&bytes);
    }

    #[test]
    fn data_keeps_its_bytes(data in json(), pad in "[ \t]{0,3}") {
        let raw = serde_json::to_string_pretty(&data).unwrap().replace('\n', " ");
        prop_assume!(raw != "null");
        let line = format!("{pad}{{\"type\":\"a.b\",{pad}\"data\":{pad}{raw}{pad}}}{pad}");
        let event = parse(&line).unwrap();
        prop_assert_eq!(event.data(), raw.as_bytes());
    }
}

/// `docs/events.md`, whose examples are read here.
const REFERENCE: &str = include_str!("../../../docs/events.md");

#[test]
fn every_example_of_the_reference_is_an_event() {
    let examples: Vec<_> =
        REFERENCE.split("```json\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        assert!(!example.contains('\n'), "one line: {example}");
        parse(example).expect(example);
    }
}

#[test]
fn the_reference_names_every_reason_and_its_examples_are_refused_for_it() {
    use RejectionReason as R;
    let shown = [R::InvalidJson, R::NotObject, R::TrailingData, R::DuplicateKey, R::Schema, R::BadCrc];
    let told = [R::TooDeep, R::TooLong, R::TornTail, R::InvalidUtf8, R::NulBytes];
    let row = |reason: R| {
        let start = format!("| `{}` | ", reason.as_str());
        REFERENCE.lines().find_map(|line| line.strip_prefix(&start)).unwrap_or_else(|| panic!("no row for {reason:?}"))
    };
    for wanted in shown {
        let example = row(wanted).trim_start_matches('`').trim_end_matches(" |").trim_end_matches('`');
        assert_eq!(reason(example), wanted, "{example}");
    }
    told.into_iter().for_each(|reason| assert!(!row(reason).is_empty()));
}
