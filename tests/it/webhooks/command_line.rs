//! `subs add`, `set`, `rm`, `test` and `rotate-secret`.

use serde_json::json;

use super::support::{NEARBY, nearby, post};
use crate::usage::support::{Home, receiver, subscription};

#[test]
fn a_subscription_is_made_changed_tried_and_removed() {
    let (home, _engine, target) = nearby("");
    let url = format!("http://{}/oms", target.addr());
    let said =
        home.run(&["subs", "add", "oms", "--endpoint", &url, "--events", "invoice.*,payment.created", "-n"]).expect(0);
    assert!(said.out.contains("nothing was changed"), "{}", said.out);
    home.run(&["subs", "show", "oms"]).expect(1);
    let said = home.run(&["subs", "add", "oms", "--endpoint", &url, "--events", "invoice.*,payment.created"]).expect(0);
    assert!(said.out.contains("default/oms  number 1  umbra") && said.out.contains("secret  whsec_"), "{}", said.out);
    home.run(&["subs", "add", "oms", "--endpoint", &url, "--events", "a.b"]).expect(1);

    home.write("more.json", r#"{"headers":{"X-Api-Key":"k-canary"}}"#);
    home.run(&["subs", "set", "oms", "--timeout", "5s", "--retry", "1s,2s", "--from", "more.json"]).expect(0);
    let shown = home.run(&["subs", "show", "oms"]).expect(0).out;
    for part in ["over the API", "5s", "1s, 2s", "X-Api-Key (key "] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("canary") && !shown.contains("whsec_"), "{shown}");
    home.run(&["subs", "set", "oms", "--clear", "headers", "--where", "data.total > 1.0"]).expect(0);
    let hook = home.sub("oms");
    assert_eq!((&hook["headers"], &hook["where"]), (&json!({}), &json!("data.total > 1.0")));
    let refused = home.run(&["subs", "set", "oms", "--timeout", "soon", "--retry", "later"]).expect(65);
    assert!(refused.err.contains("timeout: ") && refused.err.contains("retry: "), "{}", refused.err);
    home.run(&["subs", "set", "oms"]).expect(2);

    let tested = home.run(&["subs", "test", "oms", "-d", "{\"n\":1}"]).expect(0);
    assert!(
        tested.out.contains("success  webhook.test") && tested.out.contains("The receiver answered 200."),
        "{}",
        tested.out
    );
    home.write("key", "a-secret-of-the-receivers-own\n");
    let rotated = home.run(&["subs", "rotate-secret", "oms", "--secret-file", "key"]).expect(0);
    assert!(
        rotated.out.contains("has room for one signature") && !rotated.out.contains("receivers-own"),
        "{}",
        rotated.out
    );
    assert!(home.run(&["subs", "rotate-secret", "oms"]).expect(0).out.contains("secret  whsec_"));

    assert!(home.run(&["subs", "rm", "oms", "-n"]).expect(0).out.contains("default/oms would go"));
    home.run(&["subs", "rm", "oms"]).expect(2);
    home.run(&["subs", "rm", "oms", "--confirm", "omz"]).expect(2);
    home.run(&["subs", "rm", "oms", "--confirm", "oms"]).expect(0);
    home.run(&["subs", "show", "oms"]).expect(1);
}

#[test]
fn a_receiver_that_says_no_is_an_answer_and_a_files_subscription_stays() {
    let target = receiver(&[500]);
    let home = Home::new(&format!("{NEARBY}{}", subscription("erp", target.addr(), "")));
    let _engine = home.engine();
    let tested = home.run(&["subs", "test", "erp"]).expect(1);
    assert!(tested.out.contains("http_5xx") && tested.out.contains("answered 500"), "{}", tested.out);
    assert_eq!(home.sub("erp")["counters"]["error_count"], 0);
    for args in [&["set", "erp", "--timeout", "1s"][..], &["rm", "erp", "--confirm", "erp"], &["rotate-secret", "erp"]]
    {
        let refused = home.run(&[&["subs"], args].concat()).expect(1);
        assert!(refused.err.contains("config.toml:"), "{}", refused.err);
    }
}

#[test]
fn check_and_doctor_look_at_webhooks_made_over_the_api_too() {
    let dialect = "[dialect.mine]\nbody = '{\"mine\":{{data}}}'\n";
    let home = Home::new(dialect);
    let mut engine = home.engine();
    let url = "https://no-such-host.invalid/x";
    for (name, dialect) in [("a", "mine"), ("b", "cloudevents")] {
        let request = json!({"name": name, "url": url, "events": ["a.b"], "dialect": dialect});
        post(&home, "/v1/webhooks", &request).expect(201);
    }
    let said = home.run(&["check"]).expect(0).out;
    assert!(said.contains("0 subscriptions, 2 webhooks made over the API") && !said.contains("warning"), "{said}");
    let found = home.run(&["--json", "doctor"]).json();
    let checks = found["checks"].as_array().unwrap();
    assert!(checks.iter().any(|each| each["check"] == "dns" && each["verdict"] == "fail"), "{found}");
    assert_eq!(engine.stop(), Some(0));

    let kept = std::fs::read(home.path("state/webhooks.toml")).unwrap();
    home.configure("");
    let said = home.run(&["check"]).expect(0).out;
    assert!(said.contains("warning[W005]: the webhook \"default/a\" made over the API is out of force"), "{said}");
    assert!(said.contains("unknown dialect \"mine\"") && said.contains("1 warning"), "{said}");
    home.run(&["check", "--deny-warnings"]).expect(78);
    assert_eq!(home.run(&["check", "--json"]).expect(0).json()["webhooks"], 2);
    assert_eq!(std::fs::read(home.path("state/webhooks.toml")).unwrap(), kept, "it is read only");
    home.write("state/webhooks.toml", "[[subscription]\n");
    assert!(home.run(&["check"]).expect(78).out.contains("webhooks.toml:1:"));
}
