//! What somebody meets in the first hour, and has nobody to ask about.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::usage::support::{Home, receiver, subscription, until};
use crate::webhooks::support::{get, post};

#[test]
fn a_receiver_without_a_secret_says_once_that_it_checks_nothing() {
    let home = Home::empty();
    let words = "signatures are not checked: no secret was given (--secret-file FILE)";
    let mut listen = home.spawn(&["listen", "0"]);
    until("it says so", || listen.log().contains(words));
    let address = listen.log().split("http://").nth(1).unwrap().split_whitespace().next().unwrap().to_owned();
    let sender = Home::new(&subscription("a", address.parse().unwrap(), ""));
    let _engine = sender.engine();
    sender.run(&["send", "a.b", "--wait"]).expect(0);
    sender.run(&["send", "a.c", "--wait"]).expect(0);
    assert_eq!(listen.log().matches("not checked").count(), 1, "{}", listen.log());
    assert_eq!(listen.stop(), Some(0));
    home.write("key", "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LW5vdC1mb3ItdXNl");
    let listen = home.spawn(&["listen", "0", "--secret-file", "key"]);
    until("it listens", || listen.log().contains("listening on http://"));
    assert!(!listen.log().contains("not checked"));
}

#[test]
fn one_of_a_thing_is_not_several() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), ""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(0);
    for command in ["status", "top", "audit"] {
        let said = home.run(&[command]).expect(0).out;
        assert!(said.contains("1 event ") || said.contains("1 event\n"), "{command}: {said}");
    }
}

#[test]
fn a_token_file_that_others_can_read_is_warned_of() {
    let home = Home::new("");
    let mode = |mode| std::fs::set_permissions(home.path("token"), std::fs::Permissions::from_mode(mode)).unwrap();
    home.write("token", "sph_nobodys");
    mode(0o644);
    let there = ["--url", "http://127.0.0.1:1", "--token-file", "token"];
    let status = || home.run(&[&there[..], &["status"]].concat()).expect(69).err;
    let doctor = || home.run(&["--token-file", "token", "--url", there[1], "doctor"]).out;
    assert!(
        status().contains("every user of this machine can read the token in token: chmod o-rwx token"),
        "{}",
        status()
    );
    assert!(doctor().contains("everybody may read token"), "{}", doctor());
    mode(0o600);
    assert!(!status().contains("every user"), "{}", status());
    assert!(doctor().contains("token is not readable by everybody"), "{}", doctor());
}

#[test]
fn the_api_takes_a_span_where_it_takes_an_instant() {
    let target = receiver(&[500]);
    let home = Home::new(&subscription("a", target.addr(), "retry = \"none\""));
    let _engine = home.engine();
    home.run(&["send", "a.b", "--wait"]).expect(1);
    let count = |since: &str| {
        let order = json!({"subscription": "a", "since": since, "dry_run": true});
        post(&home, "/v1/replays", &order).expect(200).json["count"].clone()
    };
    assert_eq!((count("2h"), count("2000-01-01T00:00:00Z"), count("0s")), (json!(1), json!(1), json!(0)));
    let listed = |query: &str| get(&home, &format!("/v1/deliveries?{query}")).expect(200).json["data"].clone();
    assert_eq!(listed("since=2h").as_array().unwrap().len(), 1);
    assert_eq!(listed("until=2h"), json!([]));
    get(&home, "/v1/stats?metric=attempts&since=2h").expect(200);
    let wrong = post(&home, "/v1/replays", &json!({"since": "two hours"})).expect(422);
    assert!(wrong.json["detail"].as_str().unwrap().contains("nor a time ago such as 15m or 2h"), "{wrong:?}");
    let job = post(&home, "/v1/replays", &json!({"subscription": "a", "since": "2h"})).expect(202).json;
    assert!(job["filter"]["since"].as_str().unwrap().starts_with("20"), "a job keeps an instant: {job}");
}
