//! The verifier printed in Umbra's documentation.

use super::judge::{Judge, tampered};
use super::site::deliver;

const SECRET: &str = "a secret of the user's own, not base64: ü";

#[test]
fn the_printed_verifier_accepts_a_delivery_and_no_other_bytes() {
    let Some(judge) = Judge::python("umbra.py", "hmac") else { return };
    let line = r#"{"type":"invoice.updated","time":"2026-03-12T10:00:00Z","data":{"id":17,"to":"Zoë","total":1e400}}"#;
    let requests = deliver("umbra", &format!("secret = \"{SECRET}\""), &[line]);
    let request = &requests[0];
    assert!(judge.accepts(request, SECRET));
    assert!(!judge.accepts(&tampered(request, "\"id\""), SECRET));
    assert!(!judge.accepts(request, "another"));

    assert_eq!(request.header("x-webhook-event"), Some("invoice.updated"));
    let delivery = request.header("x-webhook-delivery-id").unwrap();
    assert_eq!(delivery.parse::<uuid::Uuid>().unwrap().to_string(), delivery);
    let body = format!(
        r#"{{"event":"invoice.updated","data":{{"id":17,"to":"Zoë","total":1e400}},"timestamp":"2026-03-12T10:00:00Z","deliveryId":"{delivery}"}}"#
    );
    assert_eq!(String::from_utf8_lossy(&request.body), body);
}
