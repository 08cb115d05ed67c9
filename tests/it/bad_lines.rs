//! Lines that are no events, between lines that are: each is set aside with its reason, no neighbour is lost, and what
//! was set aside can be looked at, read again and dropped.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::usage::support::{Home, bodies, receiver, subscription, until};

fn good(number: usize) -> String {
    format!("{{\"type\":\"item.updated\",\"id\":\"g{number}\",\"data\":{{\"n\":{number}}}}}")
}

/// Bad lines with their reason and a part of what is said about them.
fn bad() -> Vec<(Vec<u8>, &'static str, &'static str)> {
    let deep = format!("{{\"type\":\"a.b\",\"data\":{}{}}}", "[".repeat(80), "]".repeat(80));
    let long = format!("{{\"type\":\"a.b\",\"data\":\"{}\"}}", "x".repeat(5000));
    let text = |line: &str| line.as_bytes().to_vec();
    vec![
        (text("{\"type\":\"a.b\",\"data\":{\"n\":1}"), "invalid_json", ""),
        (text("[1,2]"), "not_object", "not an object"),
        (text("\"hello\""), "not_object", "not an object"),
        (text("42"), "not_object", "not an object"),
        (text("{\"data\":1}"), "schema", "`type` is missing"),
        (text("{\"type\":\"a.b\"}"), "schema", "`data` is missing"),
        (text("{\"type\":\"a b\",\"data\":1}"), "schema", "`type` is \"a b\""),
        (text("{\"type\":7,\"data\":1}"), "schema", "`type` must be a string, found a number"),
        (text("{\"type\":\"a.b\",\"data\":1,\"type\":\"a.c\"}"), "duplicate_key", "type"),
        (b"{\"type\":\"a.b\",\"data\":\"\xff\"}".to_vec(), "invalid_utf8", "is not UTF-8"),
        (b"{\"type\":\"a.b\",\"data\":\"a\0b\"}".to_vec(), "nul_bytes", "is NUL"),
        (text(&long), "too_long", "the spool takes 4096"),
        (text("{\"type\":\"a.b\",\"data\":1}{\"type\":\"a.c\",\"data\":2}"), "trailing_data", ""),
        (text(&deep), "too_deep", "64"),
        (text("{\"type\":\"a.b\",\"data\":1,\"operation\":\"UPSERT\"}"), "schema", "`operation` is \"UPSERT\""),
        (text("{\"type\":\"a.b\",\"data\":1,\"id\":\"no spaces\"}"), "schema", "`id` is \"no spaces\""),
        (text("{\"type\":\"a.b\",\"data\":1,\"time\":\"noon\"}"), "schema", "`time` is \"noon\""),
        (text("{\"type\":\"a.b\",\"data\":1,\"specversion\":\"0.3\"}"), "schema", "`specversion`"),
        (text("deadbeef {\"type\":\"a.b\",\"data\":1}"), "bad_crc", ""),
    ]
}

#[test]
fn every_kind_is_set_aside_and_no_neighbour_is_lost() {
    let target = receiver(&[200]);
    let home = Home::new(&format!("[spool]\nmax_line = \"4KiB\"\n{}", subscription("a", target.addr(), "")));
    let cases = bad();
    let mut file = Vec::new();
    for (number, (line, ..)) in cases.iter().enumerate() {
        file.extend_from_slice(good(number).as_bytes());
        file.push(b'\n');
        file.extend_from_slice(line);
        file.extend_from_slice(if number % 3 == 0 { b"\r\n" } else { b"\n" });
        if number % 4 == 0 {
            file.extend_from_slice(b"  \r\n");
        }
    }
    file.extend_from_slice(good(cases.len()).as_bytes());
    file.extend_from_slice(b"\n{\"type\":\"a.b\",\"da");
    home.spool("mixed.ndjson", &file);

    let mut engine = home.engine();
    until("the torn tail is judged", || quarantine(&home).len() == cases.len() + 1);
    until("every neighbour is delivered", || target.count() == cases.len() + 1);
    let mut numbers: Vec<u64> = bodies(&target).iter().map(|body| body["data"]["n"].as_u64().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..=cases.len() as u64).collect::<Vec<_>>());

    let held: BTreeMap<u64, Value> =
        quarantine(&home).into_iter().map(|entry| (entry["offset"].as_u64().unwrap(), entry)).collect();
    let mut held = held.into_values();
    for (line, reason, detail) in &cases {
        let entry = held.next().unwrap();
        let id = entry["id"].as_str().unwrap();
        assert_eq!(entry["reason"], json!(reason), "{}\n{entry}", String::from_utf8_lossy(line));
        assert!(entry["detail"].as_str().is_some_and(|said| !said.is_empty() && said.contains(detail)), "{entry}");
        let shown = home.run(&["quarantine", "show", id, "--json"]).expect(0).json();
        let raw = STANDARD.decode(shown["content_base64"].as_str().unwrap()).unwrap();
        assert!(raw.starts_with(line), "{shown}");
    }
    let torn = held.next().unwrap();
    assert_eq!(torn["reason"], "torn_tail");
    assert!(torn["detail"].as_str().unwrap().contains("in the middle of a line"), "{torn}");

    let list = home.run(&["quarantine", "list"]).expect(0).out;
    assert!(list.contains("mixed") && list.contains("duplicate_key"), "{list}");
    let status = home.run(&["status"]).expect(0).out;
    assert!(status.contains(&format!("{} quarantined", cases.len() + 1)), "{status}");
    let books = home.run(&["audit", "--json"]).expect(0).json();
    assert_eq!((&books["spool"]["quarantined"], &books["spool"]["events"]), (&json!(20), &json!(20)));
    assert_eq!(books["spool"]["blank"], 5);
    assert_eq!(engine.stop(), Some(0));
    assert_eq!(home.books("a")["delivered"], 20);
}

fn quarantine(home: &Home) -> Vec<Value> {
    home.run(&["quarantine", "list", "--json"]).expect(0).json()["data"].as_array().unwrap().clone()
}

#[test]
fn a_line_that_was_too_long_is_read_again_after_the_limit_was_raised() {
    let target = receiver(&[200]);
    let subscription = subscription("a", target.addr(), "");
    let home = Home::new(&format!("[spool]\nmax_line = \"4KiB\"\n{subscription}"));
    home.spool("a.ndjson", format!("{{\"type\":\"a.b\",\"data\":\"{}\"}}\nnonsense\n", "x".repeat(5000)));
    let mut engine = home.engine();
    until("both are set aside", || quarantine(&home).len() == 2);
    let of = |reason: &str| {
        let held = quarantine(&home);
        held.iter().find(|entry| entry["reason"] == reason).unwrap()["id"].as_str().unwrap().to_owned()
    };
    let (long, nonsense) = (of("too_long"), of("invalid_json"));
    let still = home.run(&["quarantine", "retry", &long]).expect(65);
    assert!(still.err.contains("max_line"), "{}", still.err);

    assert_eq!(engine.stop(), Some(0));
    home.configure(&format!("[spool]\nmax_line = \"1MiB\"\n{subscription}"));
    let _engine = home.engine();
    home.run(&["quarantine", "retry", &nonsense]).expect(65);
    assert!(home.run(&["quarantine", "retry", &long]).expect(0).out.contains("written into the spool again"));
    until("it is delivered", || target.count() == 1);
    home.run(&["quarantine", "retry", &long]).expect(1);

    home.run(&["quarantine", "drop", &nonsense]).expect(2);
    home.run(&["quarantine", "drop", &nonsense, "--yes"]).expect(0);
    home.run(&["quarantine", "drop", &nonsense, "--yes"]).expect(1);
    assert!(quarantine(&home).is_empty());
    assert_eq!(home.books("a")["delivered"], 1);
}
