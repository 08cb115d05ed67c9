//! Deliveries of a key come in the order of the log: through failures, retries and kills; and where only the newest state
//! counts, the newest arrives.
//!
//! `SPOOLHOOK_ORDER_EVENTS`, `SPOOLHOOK_ORDER_KEYS` and `SPOOLHOOK_ORDER_KILLS` set the size.

use std::collections::HashMap;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

use crate::support::{HEAD, Scenario, Sink, number, pause, wait_until};

const FAILURES_PERCENT: u8 = 5;
/// Lines written at a time.
const BLOCK: u64 = 500;

fn config(addr: SocketAddr) -> String {
    let subscription = |name: &str, more: &str| {
        format!(
            r#"
[[subscription]]
name = "{name}"
url = "http://{addr}/{name}"
dialect = "plain"
events = ["**"]
order_by = "key"
{more}
max_in_flight = 64
retry = ["50ms", "100ms", "200ms", "400ms", "800ms", "1s", "1s", "1s", "1s", "1s"]
"#
        )
    };
    format!(
        r#"{HEAD}
[dialect.plain]
body = '{{"event":{{{{id}}}}}}'
headers = {{ X-Delivery-Id = "{{{{id}}}}" }}
{}{}"#,
        subscription("steps", ""),
        subscription("states", "supersede = true")
    )
}

/// What receivers saw of each key, and what was wrong with it.
#[derive(Default)]
struct Seen {
    /// By path and key: the newest number that came, and the newest that was taken.
    keys: HashMap<(String, u64), (u64, u64)>,
    wrong: Vec<String>,
    arrived: u64,
    repeated: u64,
    failed: u64,
}

impl Seen {
    /// `id` is `<key>-<number>`. Returns the answer.
    fn note(&mut self, path: &str, id: &str, random: &mut fastrand::Rng) -> u16 {
        let (key, at) = id.split_once('-').expect("our own id");
        let (key, at): (u64, u64) = (key.parse().expect("a key"), at.parse().expect("a number"));
        let (newest, taken) = self.keys.entry((path.to_owned(), key)).or_default();
        if at < *newest {
            self.wrong.push(format!("{path}: {id} came after {newest}"));
        } else if path == "/steps" && at > *taken + 1 {
            self.wrong.push(format!("{path}: {id} came though {} was not taken", *taken + 1));
        }
        self.arrived += 1;
        self.repeated += u64::from(at == *newest);
        *newest = at.max(*newest);
        if random.u8(..100) < FAILURES_PERCENT {
            self.failed += 1;
            return 500;
        }
        *taken = at.max(*taken);
        200
    }
}

fn books(scenario: &Scenario, name: &str) -> Value {
    let audit = scenario.cli(&["audit"]);
    assert_eq!(audit.code, Some(0), "{:#} {}", audit.json, audit.stderr);
    let all = audit.json["subscriptions"].as_array().expect("a list").clone();
    all.into_iter().find(|books| books["subscription"] == name).expect("the subscription's books")
}

#[test]
fn deliveries_of_a_key_keep_the_order_through_failures_and_kills() {
    let (events, keys) = (number("SPOOLHOOK_ORDER_EVENTS", 3_000), number("SPOOLHOOK_ORDER_KEYS", 40));
    let kills = number("SPOOLHOOK_ORDER_KILLS", 4);
    let seen = Arc::new(Mutex::new((Seen::default(), fastrand::Rng::with_seed(7))));
    let sink = Sink::start({
        let seen = seen.clone();
        move |path, id, _| {
            let (seen, random) = &mut *seen.lock().unwrap();
            seen.note(path, id, random)
        }
    });
    let scenario = Scenario::new(&config(sink.addr()));
    let mut engine = scenario.engine();
    engine.ready();
    let mut random = fastrand::Rng::with_seed(11);
    let mut counts = vec![0u64; usize::try_from(keys).unwrap()];
    let mut file = File::options().append(true).create(true).open(scenario.path("spool/in/erp.ndjson")).unwrap();
    let mut text = String::new();
    for at in 1..=events {
        let key = random.usize(..counts.len());
        counts[key] += 1;
        let count = counts[key];
        text.push_str(&format!(
            "{{\"type\":\"item.changed\",\"id\":\"{key}-{count}\",\"key\":\"{key}\",\"data\":{{\"n\":{count}}}}}\n"
        ));
        if at.is_multiple_of(BLOCK) || at == events {
            file.write_all(std::mem::take(&mut text).as_bytes()).unwrap();
        }
        if at.is_multiple_of(events / (kills + 1) + 1) {
            pause(Duration::from_millis(random.u64(50..400)));
            engine.kill();
            engine = scenario.engine();
            engine.ready();
        }
    }
    let patience = Duration::from_secs(60 + events / 500);
    let settled = wait_until(patience, || {
        pause(Duration::from_millis(200));
        ["steps", "states"].iter().all(|name| books(&scenario, name)["pending"] == 0)
    });
    assert!(settled, "{:#} {:#}\n{}", books(&scenario, "steps"), books(&scenario, "states"), scenario.log());
    let (seen, _) = &*seen.lock().unwrap();
    assert_eq!(seen.wrong, Vec::<String>::new());
    for (key, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        for path in ["/steps", "/states"] {
            let taken = seen.keys.get(&(path.to_owned(), key as u64)).map(|(_, taken)| *taken);
            assert_eq!(taken, Some(*count), "{path}: the newest state of {key}");
        }
    }
    let (steps, states) = (books(&scenario, "steps"), books(&scenario, "states"));
    assert_eq!((steps["delivered"].as_u64(), steps["cancelled"].as_u64()), (Some(events), Some(0)));
    assert_eq!(states["delivered"].as_u64().unwrap() + states["cancelled"].as_u64().unwrap(), events);
    println!(
        "{events} events over {keys} keys, {kills} kills: {} requests, {} of them refused, {} repeated; out of order 0; \
         skipped for a newer state {}",
        seen.arrived, seen.failed, seen.repeated, states["cancelled"]
    );
    assert_eq!(engine.stop(), Some(0));
}
