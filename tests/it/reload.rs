//! A new configuration while the engine runs: all of it or nothing, and nothing that waits is lost.

use serde_json::json;
use spoolhook::receiver::Receiver;

use crate::usage::support::{Home, bodies, receiver, subscription, until};

fn types(receiver: &Receiver) -> Vec<String> {
    bodies(receiver).iter().map(|body| body["type"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_new_subscription_begins_now_or_at_the_beginning() {
    let (first, now, past) = (receiver(&[200]), receiver(&[200]), receiver(&[200]));
    let one = subscription("first", first.addr(), "");
    let home = Home::new(&one);
    let _engine = home.engine();
    home.run(&["send", "a.before", "--id", "before", "--wait"]).expect(0);
    let fresh = subscription("now", now.addr(), "");
    let old = subscription("past", past.addr(), "start = \"beginning\"");
    home.configure(&format!("{one}{fresh}{old}"));
    let said = home.run(&["reload"]).expect(0).out;
    assert!(said.contains("2 added (now, past)"), "{said}");
    home.run(&["send", "a.after", "--wait"]).expect(0);
    assert_eq!(types(&now), ["a.after"]);
    until("the past is caught up with", || past.count() == 2);
    let mut both = types(&past);
    both.sort_unstable();
    assert_eq!(both, ["a.after", "a.before"]);
    assert_eq!((types(&first).len(), home.books("past")["delivered"].clone()), (2, json!(2)));
    assert_eq!(home.books("now")["matched"], 1);
    let before = home.run(&["events", "show", "before", "--json"]).expect(0).json();
    assert_eq!(before["event"]["matched"], 2, "one that came later is not counted: {before}");
    let rows = before["subscriptions"].clone();
    let of = |name: &str| rows.as_array().unwrap().iter().find(|row| row["subscription"] == name).unwrap().clone();
    assert_eq!(of("past")["delivery"]["status"], "delivered");
    assert_eq!(of("now")["delivery"], json!(null), "it never had this event: {}", of("now"));
}

#[test]
fn a_changed_file_is_noticed_and_so_is_a_hangup() {
    let (old, new) = (receiver(&[200]), receiver(&[200]));
    let home = Home::new(&subscription("a", old.addr(), ""));
    let mut engine = home.engine();
    home.run(&["send", "a.one", "--wait"]).expect(0);
    home.configure(&subscription("a", new.addr(), ""));
    until("the change is noticed", || home.sub("a")["url"].as_str().unwrap().contains(&new.addr().to_string()));
    home.run(&["send", "a.two", "--wait"]).expect(0);
    assert_eq!((types(&old), types(&new)), (vec!["a.one".to_owned()], vec!["a.two".to_owned()]));
    home.configure(&subscription("a", old.addr(), ""));
    engine.signal("HUP");
    until("the hangup is heard", || home.sub("a")["url"].as_str().unwrap().contains(&old.addr().to_string()));
    home.run(&["send", "a.three", "--wait"]).expect(0);
    assert_eq!(types(&old), ["a.one", "a.three"]);
    home.write("conf.d/b.toml", subscription("b", new.addr(), ""));
    until("a new file is noticed", || home.run(&["subs", "show", "b"]).code == 0);
    assert_eq!(home.sub("a")["counters"]["success_count"], 3, "a reload forgets nothing");
    assert_eq!(engine.stop(), Some(0));
    assert!(engine.log().contains("the new configuration is in force"), "{}", engine.log());
}

#[test]
fn a_broken_configuration_changes_nothing_and_says_why() {
    let target = receiver(&[200]);
    let right = subscription("a", target.addr(), "");
    let home = Home::new(&right);
    let mut engine = home.engine();
    home.configure(&format!("{right}{}", subscription("b", target.addr(), "rate_limit = \"fast\"")));
    let said = home.run(&["reload"]).expect(78);
    assert!(said.out.contains("is not a rate") && said.out.contains("config.toml:"), "{}", said.all());
    assert!(said.err.contains("the old one stays in force"), "{}", said.err);
    let json = home.run(&["reload", "--json"]).expect(78).json();
    assert!(json.to_string().contains("is not a rate"), "{json}");
    home.run(&["subs", "show", "b"]).expect(1);
    home.run(&["send", "a.b", "--wait"]).expect(0);
    assert!(home.run(&["status"]).expect(0).out.contains("changed on disk"));
    engine.signal("HUP");
    until("the refusal is logged", || engine.log().contains("is not a rate"));
    home.configure(&right);
    home.run(&["reload"]).expect(0);
    assert!(home.run(&["status"]).expect(0).out.contains("unchanged on disk"));
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn what_needs_a_restart_is_said_to() {
    let home = Home::new("");
    let _engine = home.engine();
    home.configure("[spool]\ndir = \"elsewhere\"\n");
    let said = home.run(&["reload"]).expect(0).out;
    assert!(said.contains("a restart is needed for spool.dir"), "{said}");
}

#[test]
fn a_removed_subscription_stops_and_one_that_returns_goes_on() {
    let (kept, removed) = (receiver(&[200]), receiver(&[200]));
    let (one, two) = (subscription("kept", kept.addr(), ""), subscription("gone", removed.addr(), ""));
    let home = Home::new(&format!("{one}{two}"));
    let _engine = home.engine();
    home.run(&["send", "a.one", "--wait"]).expect(0);
    home.configure(&one);
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.two", "--wait"]).expect(0);
    home.run(&["subs", "show", "gone"]).expect(1);
    assert_eq!((types(&kept).len(), types(&removed)), (2, vec!["a.one".to_owned()]));
    assert_eq!(home.books("gone")["matched"], 1);
    home.configure(&format!("{one}{two}"));
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.three", "--wait"]).expect(0);
    assert_eq!(types(&removed), ["a.one", "a.three"], "what happened while it was away is not its business");
    assert_eq!(home.books("gone")["matched"], 2);
}

#[test]
fn what_waited_before_a_removal_is_all_that_is_sent_after_the_return() {
    let target = receiver(&[200]);
    let (other, waits) = (subscription("other", target.addr(), "active = false"), subscription("a", target.addr(), ""));
    let home = Home::new(&format!("{other}{waits}"));
    let mut engine = home.engine();
    home.run(&["subs", "pause", "a"]).expect(0);
    home.run(&["send", "a.one"]).expect(0);
    until("it queues", || home.sub("a")["counters"]["pending"] == 1);
    home.configure(&other);
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.two", "--wait"]).expect(0);
    assert_eq!(engine.stop(), Some(0));
    engine = home.engine();
    home.run(&["send", "a.three", "--wait"]).expect(0);
    home.configure(&format!("{other}{waits}"));
    home.run(&["reload"]).expect(0);
    home.run(&["subs", "resume", "a"]).expect(0);
    home.run(&["send", "a.four", "--wait"]).expect(0);
    until("what waited is delivered", || target.count() >= 2);
    assert_eq!(engine.stop(), Some(0), "{}", engine.log());
    let mut delivered = types(&target);
    delivered.sort_unstable();
    assert_eq!(delivered, ["a.four", "a.one"]);
    assert_eq!(home.books("a")["delivered"], 2);
}

#[test]
fn a_pause_keeps_events_and_survives_restarts() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), ""));
    let mut engine = home.engine();
    let said = home.run(&["subs", "pause", "a"]).expect(0).out;
    assert!(said.contains("paused"), "{said}");
    home.run(&["subs", "pause", "a"]).expect(0);
    for number in 0..3 {
        home.run(&["send", &format!("a.n{number}")]).expect(0);
    }
    until("they queue", || home.sub("a")["counters"]["pending"] == 3);
    assert_eq!(engine.stop(), Some(0));
    engine = home.engine();
    assert_eq!((home.sub("a")["state"].clone(), target.count()), (json!("paused"), 0));
    home.run(&["send", "a.n3"]).expect(0);
    until("it queues as well", || home.sub("a")["counters"]["pending"] == 4);
    engine.kill();
    engine = home.engine();
    assert_eq!(home.sub("a")["state"], "paused");
    assert_eq!(home.run(&["subs", "resume", "a", "--json"]).expect(0).json()["webhook"]["state"], "active");
    until("all are delivered", || target.count() == 4);
    let mut delivered = types(&target);
    delivered.sort_unstable();
    assert_eq!(delivered, ["a.n0", "a.n1", "a.n2", "a.n3"]);
    assert_eq!(engine.stop(), Some(0));
    let _engine = home.engine();
    assert_eq!(home.sub("a")["state"], "active", "a resume survives a restart too");
    assert_eq!(home.books("a")["delivered"], 4);
    home.run(&["subs", "pause", "nobody"]).expect(1);
}

#[test]
fn an_inactive_subscription_queues_nothing() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), "active = false"));
    let _engine = home.engine();
    home.run(&["send", "a.one", "--wait"]).expect(0);
    assert_eq!(home.sub("a")["state"], "disabled");
    home.configure(&subscription("a", target.addr(), ""));
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.two", "--wait"]).expect(0);
    assert_eq!(types(&target), ["a.two"]);
    home.configure(&subscription("a", target.addr(), "active = false"));
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.three", "--wait"]).expect(0);
    assert_eq!(types(&target), ["a.two"]);
    assert_eq!(home.books("a")["matched"], 1);
}

#[test]
fn a_changed_filter_counts_from_then_on() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("a", target.addr(), "events = [\"a.*\"]"));
    let mut engine = home.engine();
    home.run(&["subs", "pause", "a"]).expect(0);
    home.run(&["send", "a.one"]).expect(0);
    home.run(&["send", "b.one"]).expect(0);
    until("one queues", || home.run(&["status", "--json"]).json()["spool"]["events"] == 2);
    home.configure(&subscription("a", target.addr(), "events = [\"b.*\"]"));
    home.run(&["reload"]).expect(0);
    home.run(&["send", "a.two"]).expect(0);
    home.run(&["send", "b.two"]).expect(0);
    until("another queues", || home.run(&["status", "--json"]).json()["spool"]["events"] == 4);
    assert_eq!(home.sub("a")["counters"]["pending"], 2);
    assert_eq!(engine.stop(), Some(0));
    engine = home.engine();
    home.run(&["subs", "resume", "a"]).expect(0);
    until("both are delivered", || target.count() == 2);
    let mut delivered = types(&target);
    delivered.sort_unstable();
    assert_eq!(delivered, ["a.one", "b.two"]);
    assert_eq!(engine.stop(), Some(0));
    assert_eq!(home.books("a")["delivered"], 2);
}
