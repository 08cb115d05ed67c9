//! What stays the same when a delivery is tried again, and what does not.

use std::collections::BTreeMap;

use spoolhook::receiver::{Received, Receiver};

use crate::peers::site::{Site, receiver};

const SECRET: &str = "secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'";
const LINE: &str = r#"{"type":"order.updated","data":{"n":1.0,"to":"\u00e9"},"old":{"n":-0}}"#;

/// Headers that may differ between two attempts.
const FRESH: [&str; 3] = ["webhook-timestamp", "webhook-signature", "stripe-signature"];

fn lasting(request: &Received) -> BTreeMap<&str, &str> {
    let headers = request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    headers.filter(|(name, _)| !FRESH.contains(name)).collect()
}

/// Both attempts, after the first was answered 500.
fn attempts(receiver: &Receiver) -> [Received; 2] {
    let [first, second] = receiver.received().try_into().unwrap();
    assert_eq!(first.body, second.body);
    assert_eq!(lasting(&first), lasting(&second));
    [first, second]
}

#[test]
fn a_retry_carries_the_same_ids_and_bytes_and_a_fresh_signature() {
    let mut site = Site::new();
    // More than a second, so that a fresh timestamp shows.
    let rest = |secret: &str| format!("mode = 'at-least-once'\nretry = ['1100ms']\n{secret}");
    let clarus = "[subscription.params]\ndomain = 'd'\nautomation_id = '7'";
    let binary = format!("{SECRET}\n[subscription.params]\nmode = 'binary'");
    let subscriptions = [
        ("carbon", "carbon", ""),
        ("carriyo", "carriyo", ""),
        ("umbra", "umbra", SECRET),
        ("clarus", "clarus", clarus),
        ("standard", "standard", SECRET),
        ("structured", "cloudevents", SECRET),
        ("binary", "cloudevents", binary.as_str()),
    ];
    let receivers = subscriptions.map(|(name, dialect, more)| {
        let receiver = receiver(&[500, 200]);
        site.subscribe(name, &format!("http://{}/", receiver.addr()), dialect, &rest(more));
        receiver
    });
    site.write(&[LINE]);
    site.run();
    let [_, carriyo, umbra, _, standard, structured, binary] = receivers.each_ref().map(attempts);

    let same = |pair: &[Received; 2], name: &str| {
        let value = pair[0].header(name).unwrap_or_else(|| panic!("{name} is missing")).to_owned();
        assert_eq!(pair[1].header(name), Some(value.as_str()));
        assert!(!value.is_empty());
        value
    };
    let event = same(&standard, "webhook-id");
    assert_eq!(same(&carriyo, "event-id"), event);
    assert_eq!(same(&binary, "ce-id"), event);
    assert_ne!(same(&umbra, "x-webhook-delivery-id"), event);
    same(&umbra, "x-webhook-signature");
    for pair in [&standard, &structured, &binary] {
        same(pair, "webhook-id");
        let [first, second] = pair.each_ref().map(|request| request.header("webhook-timestamp").unwrap());
        assert!(first.parse::<i64>().unwrap() < second.parse::<i64>().unwrap(), "{first} and {second}");
        assert_ne!(pair[0].header("webhook-signature"), pair[1].header("webhook-signature"));
    }
}
