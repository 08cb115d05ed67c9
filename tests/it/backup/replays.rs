//! Backups while replays are under way: put back, they go on with exact counts, and send nothing again at most once.

use serde_json::{Value, json};

use super::{AT_MOST_ONCE, lines};
use crate::usage::support::{Home, receiver, receiver_at, subscription, until};

/// Deliveries of each replay, and its pace: a backup falls in the middle.
const COUNT: u64 = 40;
const RATE: &str = "5/s";

#[test]
fn replays_under_way_go_on_where_a_backup_is_put_back_with_exact_counts() {
    let broken = receiver(&[404]);
    let addr = broken.addr();
    let config = [subscription("least", addr, "retry = \"none\""), subscription("once", addr, AT_MOST_ONCE)].concat();
    let home = Home::new(&config);
    let mut engine = home.engine();
    home.spool("a.ndjson", lines(0..40));
    until("all have failed", || ["least", "once"].iter().all(|name| home.books(name)["failed"] == COUNT));
    drop(broken);
    let target = receiver_at(addr, &[200]);
    let came =
        |path: &str| target.received().iter().filter(|request| request.path == format!("/{path}")).count() as u64;

    let job = |name: &str| {
        let args = ["replay", "--subscription", name, "--rate", RATE, "--yes", "--json"];
        let job = home.run(&args).expect(0).json();
        assert_eq!(job["matched"], COUNT, "{job}");
        job["id"].as_str().unwrap().to_owned()
    };
    let show = |home: &Home, id: &str| home.run(&["replay", "show", id, "--json"]).expect(0).json();
    let count = |job: &Value, name: &str| job[name].as_u64().unwrap();
    let (least, once) = (job("least"), job("once"));
    until("they are under way", || [&least, &once].iter().all(|id| count(&show(&home, id), "delivered") >= 4));
    home.run(&["backup", "hooks.tar"]).expect(0);
    let is_over = |home: &Home, id: &str| show(home, id)["finished_at"].is_string();
    assert!(!is_over(&home, &least) && !is_over(&home, &once), "the backup came too late");

    // Where it was made, they go on to their end.
    until("they end", || is_over(&home, &least) && is_over(&home, &once));
    assert_eq!((came("least"), came("once")), (COUNT, COUNT));
    assert_eq!(engine.stop(), Some(0));

    let other = Home::new(&config);
    other.write("hooks.tar", std::fs::read(home.path("hooks.tar")).unwrap());
    other.run(&["restore", "hooks.tar"]).expect(0);
    let mut engine = other.engine();
    until("they end elsewhere", || is_over(&other, &least) && is_over(&other, &once));
    let ended = show(&other, &least);
    let counts = ["matched", "sent", "delivered", "failed", "skipped", "cancelled", "pending"];
    assert_eq!(counts.map(|name| count(&ended, name)), [COUNT, COUNT, COUNT, 0, 0, 0, 0], "{ended}");
    assert_eq!(other.books("least")["delivered"], COUNT);
    let again = came("least") - COUNT;
    assert!((1..=COUNT - 4).contains(&again), "{again} again: those that were delivered before the backup are not");

    // What had not gone out at most once may have since: it is left alone.
    let ended = show(&other, &once);
    assert_eq!(came("once"), COUNT, "sent again: {ended}");
    let [matched, sent, delivered, failed, skipped] =
        ["matched", "sent", "delivered", "failed", "skipped"].map(|name| count(&ended, name));
    assert_eq!((matched, sent + skipped, delivered + failed), (COUNT, COUNT, sent), "{ended}");
    assert!(delivered >= 4 && skipped > 0, "{ended}");
    assert_eq!(other.books("once")["pending"], json!(0));
    assert_eq!(engine.stop(), Some(0));

    // It is so for good: another start sends nothing either.
    let mut engine = other.engine();
    assert_eq!(show(&other, &once)["skipped"], skipped);
    assert_eq!((engine.stop(), came("once")), (Some(0), COUNT));
}
