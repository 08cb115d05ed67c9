//! The Standard Webhooks project's own packages.

use spoolhook::receiver::Received;
use spoolhook::wire::generate_key_pair;

use super::judge::{Judge, tampered};
use super::site::deliver;

const NEW: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const OTHER: &str = "whsec_bm9ib2R5IGtub3dzIHRoaXMgb25lLi4u";

const LINE: &str =
    r#"{"type":"invoice.paid","id":"inv:17-paid","data":{"n":9007199254740993,"to":"Zoë","lone":"\ud800"}}"#;

fn delivered(secret: &str) -> Received {
    deliver("standard", &format!("secret = {secret}"), &[LINE]).remove(0)
}

fn judge_both(judge: &Judge) {
    let one = delivered(&format!("'{NEW}'"));
    assert!(judge.accepts(&one, NEW));
    assert!(!judge.accepts(&one, OLD));
    assert!(!judge.accepts(&tampered(&one, "\"n\""), NEW));

    let rotating = delivered(&format!("['{NEW}', '{OLD}']"));
    assert!(judge.accepts(&rotating, NEW) && judge.accepts(&rotating, OLD));
    assert!(!judge.accepts(&rotating, OTHER));
    assert!(!judge.accepts(&tampered(&rotating, "\"n\""), OLD));
    assert_eq!(rotating.header("webhook-id"), Some("inv:17-paid"));
}

#[test]
fn the_package_from_pypi_accepts_one_secret_and_two() {
    if let Some(judge) = Judge::python("standard.py", "standardwebhooks") {
        judge_both(&judge);
    }
}

#[test]
fn the_package_from_npm_accepts_one_secret_and_two() {
    if let Some(judge) = Judge::node("standard.js", "standardwebhooks") {
        judge_both(&judge);
    }
}

#[test]
fn node_accepts_an_ed25519_signature_beside_the_other() {
    let Some(judge) = Judge::node("ed25519.js", "node:crypto") else { return };
    let (secret, public) = generate_key_pair(&[7; 32]);
    let request = delivered(&format!("['{}', '{NEW}']", secret.expose()));
    assert!(judge.accepts(&request, &public));
    assert!(!judge.accepts(&tampered(&request, "\"n\""), &public));
    assert!(!judge.accepts(&request, &generate_key_pair(&[8; 32]).1));
    if let Some(package) = Judge::node("standard.js", "standardwebhooks") {
        assert!(package.accepts(&request, NEW));
    }
}
