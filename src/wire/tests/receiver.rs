//! Signatures: published vectors, and what a receiver says to requests that are not as they should be.

use std::time::Duration;

use proptest::prelude::*;

use super::fixture::{NOW, OLDER, PAIR, SECRET, dialect};
use crate::model::{Secret, Timestamp};
use crate::wire::{RenderError, Verdict, generate_key_pair, generate_secret};

fn sign(name: &str, body: &str, id: &str, now: Timestamp, secret: &str) -> Vec<(String, String)> {
    dialect(name).sign(body.as_bytes(), id, now, &[Secret::new(secret)]).unwrap()
}

fn signature_of(headers: &[(String, String)]) -> &str {
    &headers.last().unwrap().1
}

#[test]
fn standard_webhooks_vectors() {
    let body = r#"{"email":"test@example.com","username":"test_user"}"#;
    let now = Timestamp(1_649_367_553_000);
    let headers = sign("standard", body, "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk", now, SECRET);
    assert_eq!(signature_of(&headers), "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=");

    let body = r#"{"test": 2432232314}"#;
    let now = Timestamp(1_614_265_330_000);
    let headers = sign("standard", body, "msg_p5jXN8AQM9LWM0D4loKWxJek", now, OLDER);
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["webhook-id", "webhook-timestamp", "webhook-signature"]);
    assert_eq!(headers[1].1, "1614265330");
    assert_eq!(signature_of(&headers), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn ed25519_is_checked_with_the_public_key() {
    let public = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
    let headers = sign("standard", "{}", "msg_1", NOW, PAIR);
    assert!(signature_of(&headers).starts_with("v1a,"));
    let secret = Secret::new(public);
    let verdict = dialect("standard").verify(&headers, b"{}", &[Secret::new(SECRET), secret.clone()], NOW);
    assert_eq!(verdict, Verdict::Ok { fingerprint: secret.fingerprint() });
    assert!(dialect("standard").check_secret(&secret).unwrap_err().contains("can only check"));
}

/// GitHub's documentation, "Testing the webhook payload validation".
#[test]
fn github_vector() {
    let headers = sign("github", "Hello, World!", "", NOW, "It's a Secret to Everybody");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(headers, [("X-Hub-Signature-256".to_owned(), expected.to_owned())]);
}

#[test]
fn stripe_form() {
    let now = Timestamp(1_492_774_577_000);
    let headers = sign("stripe", r#"{"id":"evt_1"}"#, "", now, "whsec_test_secret");
    let expected = "t=1492774577,v1=799c4ba7bb339f3c8601adfd112f0e477c930a268be1243d341abb8286501c2f";
    assert_eq!(headers, [("Stripe-Signature".to_owned(), expected.to_owned())]);

    // Stripe sends schemes of its own beside v1, and spaces are trimmed around a header's value.
    let with_v0 = format!(" {},v0={} ", expected.replace(",v1", ",v0=abcd,v1"), "00");
    let verdict = dialect("stripe").verify(
        &[("stripe-signature".to_owned(), with_v0)],
        br#"{"id":"evt_1"}"#,
        &[Secret::new("whsec_test_secret")],
        now,
    );
    assert!(matches!(verdict, Verdict::Ok { .. }), "{verdict:?}");
}

#[test]
fn a_receiver_says_what_is_wrong() {
    let standard = dialect("standard");
    let secrets = [Secret::new(OLDER), Secret::new(SECRET)];
    let headers = sign("standard", "{}", "msg_1", NOW, SECRET);
    let verify = |headers: &[(String, String)], body: &[u8], now| standard.verify(headers, body, &secrets, now);
    let minutes = |count: u64| Duration::from_secs(count * 60);

    assert_eq!(verify(&headers, b"{}", NOW), Verdict::Ok { fingerprint: secrets[1].fingerprint() });
    assert!(matches!(verify(&headers, b"{}", NOW.plus(minutes(5))), Verdict::Ok { .. }));
    assert_eq!(verify(&headers, b"{}", NOW.plus(minutes(6))), Verdict::Stale { skew_s: 360 });
    assert_eq!(verify(&headers, b"{}", NOW.minus(minutes(6))), Verdict::Stale { skew_s: -360 });
    assert_eq!(verify(&headers[1..], b"{}", NOW), Verdict::Missing("webhook-id".to_owned()));
    assert_eq!(verify(&headers[..2], b"{}", NOW), Verdict::Missing("webhook-signature".to_owned()));
    assert!(matches!(verify(&headers, b"{} ", NOW), Verdict::Mismatch { .. }));

    let mut retimed = headers.clone();
    retimed[1].1 = (NOW.as_secs() + 1).to_string();
    assert!(matches!(verify(&retimed, b"{}", NOW), Verdict::Mismatch { .. }));
    let mut garbled = headers;
    garbled[2].1 = "sha256=00".to_owned();
    let Verdict::Mismatch { reason } = verify(&garbled, b"{}", NOW) else { panic!("garbled is refused") };
    assert!(reason.contains("webhook-signature"), "{reason}");
}

#[test]
fn unsigned_is_not_the_same_as_wrong() {
    assert_eq!(dialect("carbon").verify(&[], b"{}", &[Secret::new(SECRET)], NOW), Verdict::Unsigned);
    assert_eq!(dialect("cloudevents").verify(&[], b"{}", &[], NOW), Verdict::Unsigned);
    let verdict = dialect("cloudevents").verify(&[], b"{}", &[Secret::new(SECRET)], NOW);
    assert_eq!(verdict, Verdict::Missing("webhook-id".to_owned()));
    let headers = sign("umbra", "{}", "", NOW, "s");
    assert!(matches!(dialect("umbra").verify(&headers, b"{}", &[], NOW), Verdict::Mismatch { .. }));
}

#[test]
fn secrets_are_refused_with_a_reason_that_does_not_show_them() {
    let check = |name: &str, secret: &str, expected: &str| {
        let reason = dialect(name).check_secret(&Secret::new(secret)).unwrap_err();
        assert!(reason.contains(expected), "{reason}");
        assert!(secret.len() < 8 || !reason.contains(secret), "{reason}");
    };
    check("standard", "hunter2hunter2", "must start with whsec_ or whsk_");
    check("standard", "whsec_c2hvcnQ=", "24 to 64 bytes, this one 5");
    check("standard", "whsec_%%%%%%", "not base64");
    check("standard", "whsk_c2hvcnQ=", "32 or 64 bytes");
    check("standard", &PAIR.replace("6Xb", "7Xb"), "not one key pair");
    check("umbra", "", "empty");
    check("carbon", SECRET, "does not sign");
    assert_eq!(dialect("umbra").check_secret(&Secret::new("any text")), Ok(()));
    let error = dialect("standard").sign(b"", "", NOW, &[Secret::new("hunter2hunter2")]).unwrap_err();
    assert!(matches!(&error, RenderError::BadSecret { .. }) && !error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn generated_secrets_fit() {
    let (pair, public) = generate_key_pair(&[7; 32]);
    let standard = dialect("standard");
    for secret in [generate_secret(&[7; 24]), pair.clone()] {
        assert_eq!(standard.check_secret(&secret), Ok(()));
    }
    let headers = standard.sign(b"{}", "a", NOW, &[pair]).unwrap();
    assert!(matches!(standard.verify(&headers, b"{}", &[Secret::new(public)], NOW), Verdict::Ok { .. }));
}

proptest! {
    #[test]
    fn what_is_signed_is_genuine_and_what_is_changed_is_not(
        body in prop::collection::vec(any::<u8>(), 0..200),
        id in "[A-Za-z0-9_:-]{1,40}",
        seed in any::<[u8; 24]>(),
        flip in any::<prop::sample::Index>(),
    ) {
        let secrets = [generate_secret(&seed)];
        for name in ["umbra", "standard", "cloudevents", "github", "stripe"] {
            let dialect = dialect(name);
            let headers = dialect.sign(&body, &id, NOW, &secrets).unwrap();
            let genuine = matches!(dialect.verify(&headers, &body, &secrets, NOW), Verdict::Ok { .. });
            prop_assert!(genuine, "{}", name);
            if !body.is_empty() {
                let mut changed = body.clone();
                changed[flip.index(body.len())] ^= 1;
                let refused = matches!(dialect.verify(&headers, &changed, &secrets, NOW), Verdict::Mismatch { .. });
                prop_assert!(refused, "{}", name);
            }
        }
    }

    #[test]
    fn any_headers_get_a_verdict(value in ".{0,60}", id in ".{0,10}") {
        let secrets = [Secret::new(SECRET)];
        for name in ["umbra", "standard", "stripe"] {
            let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "Stripe-Signature", "X-Webhook-Signature"];
            let mut headers: Vec<(String, String)> = names.map(|name| (name.to_owned(), value.clone())).into();
            headers[0].1.clone_from(&id);
            let accepted = matches!(dialect(name).verify(&headers, b"{}", &secrets, NOW), Verdict::Ok { .. });
            prop_assert!(!accepted);
        }
    }
}
