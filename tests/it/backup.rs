//! Backups, put back: what was sent after one may be sent again at least once, and is never sent again at most once.

mod replays;

use serde_json::json;

use crate::usage::support::{Home, receiver, subscription, until};

fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers.map(|n| format!("{{\"type\":\"item.updated\",\"id\":\"g{n}\",\"data\":{{\"n\":{n}}}}}\n")).collect()
}

const AT_MOST_ONCE: &str = "mode = \"at-most-once\"\nretry = \"none\"";

#[test]
fn an_older_state_put_back_repeats_nothing_at_most_once_and_loses_nothing() {
    let target = receiver(&[200]);
    let addr = target.addr();
    let config = [
        subscription("least", addr, ""),
        subscription("once", addr, AT_MOST_ONCE),
        subscription("later", addr, AT_MOST_ONCE),
        subscription("held", addr, ""),
    ]
    .concat();
    let home = Home::new(&config);
    let came = |path: &str| target.received().iter().filter(|request| request.path == format!("/{path}")).count();
    let mut engine = home.engine();
    home.run(&["subs", "pause", "later"]).expect(0);
    home.run(&["subs", "pause", "held"]).expect(0);
    home.spool("first.ndjson", lines(0..20));
    until("both have the first", || came("least") == 20 && came("once") == 20 && home.books("once")["delivered"] == 20);
    let made = home.run(&["--json", "backup", "hooks.tar"]).expect(0).json();
    assert!(made["files"].as_u64() > Some(2), "{made}");
    home.run(&["backup", "hooks.tar"]).expect(74);
    assert!(home.run(&["restore", "hooks.tar"]).expect(74).err.contains("stop the engine"), "while one runs");

    // Time goes on: the later ones are sent, and others come.
    home.run(&["subs", "resume", "later"]).expect(0);
    home.spool("second.ndjson", lines(20..25));
    until("all are sent", || came("least") == 25 && came("once") == 25 && came("later") == 25);
    engine.kill();

    home.run(&["restore", "hooks.tar"]).expect(1);
    let mut broken = std::fs::read(home.path("hooks.tar")).unwrap();
    let middle = broken.len() / 2;
    broken[middle] ^= 0x20;
    home.write("broken.tar", broken);
    home.run(&["restore", "--force", "broken.tar"]).expect(65);
    let put = home.run(&["--json", "restore", "--force", "hooks.tar"]).expect(0).json();
    assert!(put["aside"].is_string() && put["left"].as_u64() > Some(0), "{put}");
    let mut engine = home.engine();
    until("at least once is repeated", || home.books("least")["delivered"] == 25);
    assert_eq!(home.run(&["status", "--json"]).expect(0).json()["notices"].as_array().map(Vec::is_empty), Some(false));
    let once = home.books("once");
    assert_eq!((&once["delivered"], &once["unknown"]), (&json!(20), &json!(5)), "{once}");
    // It was paused then, and is again.
    assert_eq!(home.books("later")["pending"], 25);
    home.run(&["subs", "resume", "later"]).expect(0);
    until("nobody knows of the later ones", || home.books("later")["unknown"] == 25);
    assert_eq!(home.books("held")["pending"], 25);
    assert_eq!((came("once"), came("later")), (25, 25), "sent twice");
    // What comes after that is sent as ever.
    home.spool("third.ndjson", lines(25..30));
    until("new ones are sent", || came("once") == 30 && came("later") == 30);
    assert_eq!(engine.stop(), Some(0));

    // On another machine, from the file alone; and from a backup that was made without an engine.
    home.run(&["backup", "still.tar"]).expect(0);
    for (name, pending) in [("hooks.tar", 20), ("still.tar", 30)] {
        let other = Home::new(&config);
        other.write(name, std::fs::read(home.path(name)).unwrap());
        other.run(&["restore", name]).expect(0);
        let said = other.run(&["state", "verify"]).expect(0).out;
        assert!(said.contains("as after a restore") && !other.path("state/view").exists(), "{said}");
        let mut engine = other.engine();
        let log = engine.log();
        assert!(log.contains("put back by `spoolhook restore`") && !log.contains("\"level\":\"error\""), "{log}");
        assert_eq!(other.books("held")["pending"], pending, "{name}");
        let before = came("held");
        other.run(&["subs", "resume", "held"]).expect(0);
        until("what waited is sent", || came("held") == before + pending);
        until("the books balance", || other.books("held")["pending"] == 0);
        other.run(&["subs", "resume", "later"]).expect(0);
        until("nothing waits at most once", || other.books("later")["pending"] == 0);
        assert_eq!((came("once"), came("later")), (30, 30), "{name}: sent twice");
        assert_eq!(engine.stop(), Some(0));
    }
}

#[test]
fn a_restore_that_was_cut_short_is_told_as_one() {
    let target = receiver(&[500]);
    let config = subscription("oms", target.addr(), "");
    let home = Home::new(&config);
    let mut engine = home.engine();
    home.spool("a.ndjson", lines(0..10));
    until("all wait for a retry", || home.books("oms")["pending"] == 10);
    home.run(&["backup", "hooks.tar"]).expect(0);
    assert_eq!(engine.stop(), Some(0));
    let other = Home::new(&config);
    other.write("hooks.tar", std::fs::read(home.path("hooks.tar")).unwrap());
    // Once the state is in its place, the spool's part finds no room.
    other.write("spool/claimed", "in the way");
    other.run(&["restore", "hooks.tar"]).expect(74);
    std::fs::remove_file(other.path("spool/claimed")).unwrap();
    let mut engine = other.engine();
    let log = engine.log();
    assert!(log.contains("\"level\":\"error\"") && log.contains("It was not put back as a whole"), "{log}");
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn damage_in_a_restored_state_is_told_as_damage() {
    let target = receiver(&[200]);
    let config = subscription("oms", target.addr(), "");
    let home = Home::new(&config);
    home.spool("a.ndjson", lines(0..10));
    home.drain();
    home.run(&["backup", "hooks.tar"]).expect(0);
    let other = Home::new(&config);
    other.write("hooks.tar", std::fs::read(home.path("hooks.tar")).unwrap());
    other.run(&["restore", "hooks.tar"]).expect(0);
    let checkpoints = std::fs::read_dir(other.path("state/checkpoint")).unwrap();
    for checkpoint in checkpoints.map(|entry| entry.unwrap().path()) {
        std::fs::write(checkpoint, "of something else").unwrap();
    }
    let said = other.run(&["state", "verify"]).expect(1).out;
    assert!(said.contains("FAIL"), "{said}");
    let mut engine = other.engine();
    let log = engine.log();
    assert!(log.contains("\"level\":\"error\"") && log.contains("is damaged"), "{log}");
    assert_eq!(engine.stop(), Some(0));
}

#[test]
fn a_state_is_verified_and_goes_through_text_and_back() {
    let target = receiver(&[500]);
    let config = subscription("oms", target.addr(), "retry = \"none\"");
    let home = Home::new(&config);
    home.spool("a.ndjson", lines(0..10));
    home.drain();
    let said = home.run(&["state", "verify"]).expect(0).out;
    assert!(said.contains("journal") && said.contains("view"), "{said}");
    let text = home.run(&["state", "export"]).expect(0).out;
    let failed = text.lines().filter(|line| line.contains("\"status\":\"failed\"")).count();
    assert_eq!(failed, 10, "{text}");
    home.run_with(&["state", "import", "-"], text.as_bytes()).expect(1);

    std::fs::rename(home.path("state"), home.path("former")).unwrap();
    let cut: String =
        text.lines().filter(|line| !line.contains("\"kind\":\"meta\"")).map(|line| format!("{line}\n")).collect();
    home.run_with(&["state", "import", "-"], cut.as_bytes()).expect(65);
    std::fs::remove_dir_all(home.path("state")).unwrap();
    home.run_with(&["state", "import", "-"], text.as_bytes()).expect(0);
    let mut engine = home.engine();
    assert_eq!(home.books("oms")["failed"], 10);
    // The history of attempts is in the journal and not in an export; the deliveries themselves are.
    let row = text.lines().find(|line| line.contains("\"status\":\"failed\"")).unwrap();
    let row: serde_json::Value = serde_json::from_str(row).unwrap();
    let id = row["shown"]["delivery_id"].as_str().unwrap();
    assert_eq!(home.run(&["deliveries", "show", id, "--json"]).expect(0).json()["status"], "failed");
    assert!(home.run(&["state", "verify"]).expect(74).err.contains("stop the engine"));
    assert_eq!(engine.stop(), Some(0));

    let journal = std::fs::read_dir(home.path("former/journal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&journal).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&journal, bytes).unwrap();
    std::fs::remove_dir_all(home.path("state")).unwrap();
    std::fs::rename(home.path("former"), home.path("state")).unwrap();
    let is_bad = |said: &str, part: &str| said.lines().any(|line| line.starts_with("FAIL") && line.contains(part));
    let said = home.run(&["state", "verify"]).expect(1).out;
    assert!(is_bad(&said, "journal") && !is_bad(&said, "view"), "{said}");
    // With the journal damaged, a view that is gone cannot be made again from it.
    std::fs::remove_dir_all(home.path("state/view")).unwrap();
    std::fs::remove_dir_all(home.path("state/checkpoint")).unwrap();
    let said = home.run(&["state", "verify"]).expect(1).out;
    assert!(is_bad(&said, "journal") && is_bad(&said, "view"), "{said}");
}

#[test]
fn doctor_says_what_is_wrong_and_its_bundle_holds_no_secret() {
    let target = receiver(&[200]);
    let secret = "whsec_dDBwczNjcmV0LXQwcHMzY3JldC10MHBzM2NyZXQ=";
    let home =
        Home::new(&subscription("oms", target.addr(), &format!("secret = \"{secret}\"\ndialect = \"standard\"")));
    let mut engine = home.engine();
    let said = home.run(&["doctor", "--bundle", "support.tgz"]).expect(0);
    assert!(said.out.contains("engine") && !said.out.contains("FAIL"), "{said:?}");
    assert_eq!(engine.stop(), Some(0));
    let bundle = std::fs::read(home.path("support.tgz")).unwrap();
    let holds = |text: &str| bundle.windows(text.len()).any(|bytes| bytes == text.as_bytes());
    assert!(holds("spoolhook_build_info") && holds("\"checks\"") && !holds(secret), "the bundle");

    home.configure(
        "[[subscription]]\nname = \"a\"\nurl = \"https://no-such-host.invalid/x\"\nevents = [\"**\"]\ndialect = \"cloudevents\"\n",
    );
    let said = home.run(&["--json", "doctor"]).expect(1).json();
    let checks = said["checks"].as_array().unwrap();
    let dns = checks.iter().find(|check| check["check"] == "dns").unwrap();
    assert_eq!(dns["verdict"], "fail", "{said}");
    assert!(dns["help"].is_string() && dns["detail"].as_str().unwrap().contains("no-such-host.invalid"), "{said}");
}

#[test]
fn what_a_package_needs_comes_out_of_the_program() {
    let target = receiver(&[200]);
    let home = Home::new(&subscription("oms", target.addr(), ""));
    home.run(&["man", "man1"]).expect(0);
    assert!(home.path("man1/spoolhook.1").is_file() && home.path("man1/spoolhook-subs-pause.1").is_file());
    assert!(home.run(&["man"]).expect(0).out.contains(".SH SYNOPSIS"));
    assert!(home.run(&["grafana"]).expect(0).json()["panels"].is_array());
    super::metrics::promtool("rules", &home.run(&["alerts"]).expect(0).out);
    assert!(home.run(&["explain", "e001"]).expect(0).out.starts_with("E001: "));
    home.run(&["explain", "E999"]).expect(1);
    let mut engine = home.engine();
    until("the engine has started", || home.run(&["top"]).expect(0).out.contains("default/oms"));
    assert_eq!(engine.stop(), Some(0));
    home.run(&["top"]).expect(69);
}
