//! Configurations that are right, and what they come to.

use std::time::Duration;

use super::super::{NetworkEntry, Proxy, diff};
use super::{config, load};
use crate::model::{Mode, OAuth2Body, Rate, RetrySchedule, Start, Timestamp};

const HEAD: &str = "[[subscription]]\nname = \"a\"\nurl = \"https://a.example/\"\n";

fn one(rest: &str) -> crate::model::Subscription {
    config(&format!("{HEAD}{rest}")).subscriptions.remove(0)
}

fn warnings(text: &str) -> Vec<String> {
    load(text).unwrap().warnings.iter().map(ToString::to_string).collect()
}

fn minutes(waits: &[u64]) -> Vec<Duration> {
    waits.iter().map(|wait| Duration::from_secs(wait * 60)).collect()
}

#[test]
fn an_empty_file_is_a_configuration() {
    let config = config("");
    assert_eq!(config.spool.dir.to_str(), Some("nowhere/spool"));
    assert_eq!((config.spool.max_line, config.spool.retention.size), (1 << 20, 1 << 30));
    assert_eq!(config.admin.listen.unwrap().to_string(), "127.0.0.1:7380");
    assert_eq!(config.admin.socket.to_str(), Some("nowhere/state/spoolhook.sock"));
    assert_eq!(config.delivery.mode, Mode::AtLeastOnce);
    assert_eq!(config.delivery.retry.waits.len(), 9);
    assert_eq!((config.delivery.max_in_flight, config.delivery.workers), (16, 64));
    assert_eq!(config.network.proxy, Proxy::Env);
    assert!(config.subscriptions.is_empty() && config.logs.is_empty());
}

#[test]
fn everything_at_once() {
    let loaded = load(include_str!("full.toml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    let config = loaded.config;
    assert_eq!(config.admin.listen, None);
    assert_eq!(config.admin.hosts, ["hooks.plant.lan"]);
    assert_eq!(config.logs[0].pattern, "*.ndjson");
    assert_eq!(config.network.allow[1], NetworkEntry::Host { host: "erp.lan".to_owned(), port: 8443 });
    assert_eq!(config.tenant("acme").unwrap().max_subscriptions, Some(20));
    assert!(config.dialects.get("mine").is_some());

    let oms = config.subscription("acme", "oms").unwrap();
    assert_eq!(oms.filter.condition.as_deref(), Some("data.total > 1000.0 && old.status != data.status"));
    assert_eq!(oms.mode, Mode::AtLeastOnce);
    assert_eq!(oms.retry, RetrySchedule { waits: minutes(&[1, 2]), jitter: 0.0 });
    assert_eq!(oms.timeout, Duration::from_millis(2500));
    assert_eq!(oms.secrets.len(), 2);
    assert_eq!(oms.secrets[1].expose(), "old-0123456789abcdefghijklmn");
    assert_eq!(oms.rate_limit, Some(Rate { count: 50, per: Duration::from_secs(1) }));
    assert_eq!(oms.start, Start::Since(Timestamp::parse("2026-03-12T10:00:00Z").unwrap()));
    assert!(!oms.active);
    assert_eq!(oms.source.to_string(), "nowhere/config.toml:40");

    let bi = config.subscription("default", "bi").unwrap();
    let oauth2 = bi.oauth2.as_ref().unwrap();
    assert_eq!((oauth2.body, oauth2.scope.as_deref()), (OAuth2Body::Json, Some("events")));
    assert_eq!(oauth2.client_secret.expose(), "env-0123456789abcdefghijklmn");
    assert_eq!(oauth2.params["audience"], "erp");
    assert_eq!(bi.params["automation_id"], "12");
    assert_eq!(bi.headers[0].0, "X-Api-Key");
}

#[test]
fn the_example_at_the_top_level_runs() {
    let text = include_str!("../../../config.toml");
    let loaded = load(text).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.warnings, []);
    assert_eq!(loaded.config.subscriptions[0].url, "http://127.0.0.1:9000/");
    assert_eq!(loaded.config.spool.dir.to_str(), Some("nowhere/spool"));
}

#[test]
fn the_dialect_speaks_before_the_defaults_and_after_the_subscription() {
    let carbon = "events = [\"job.*\"]\ndialect = \"carbon\"\nparams = { company_id = \"c\" }\n";
    assert_eq!(one(carbon).mode, Mode::AtMostOnce);
    assert_eq!(one(carbon).retry, RetrySchedule::none());
    assert_eq!(one(&format!("{carbon}mode = \"at-least-once\"\nretry = [\"1m\"]")).retry.waits, minutes(&[1]));
    let carriyo = "events = [\"**\"]\ndialect = \"carriyo\"\n";
    assert_eq!(one(carriyo).retry.waits, minutes(&[1, 3, 5]));
    let defaults = format!(
        "[delivery]\nretry = \"none\"\ntimeout = \"7s\"\n{HEAD}events = [\"**\"]\ndialect = \"clarus\"\nparams = {{ domain = \"d\", automation_id = 1 }}"
    );
    let clarus = config(&defaults).subscriptions.remove(0);
    assert_eq!((clarus.retry, clarus.timeout), (RetrySchedule::none(), Duration::from_secs(7)));
}

#[test]
fn retry_on_an_at_most_once_subscription_warns() {
    let text = format!("{HEAD}events = [\"**\"]\ndialect = \"carriyo\"\nmode = \"at-most-once\"\nretry = [\"1m\"]\n");
    assert!(warnings(&text)[0].starts_with("warning[W003]: `retry` has no effect"), "{:?}", warnings(&text));
    assert_eq!(config(&text).subscriptions[0].retry, RetrySchedule::none());
}

#[test]
fn a_table_with_operations_becomes_patterns() {
    let text = "dialect = \"carriyo\"\ntable = \"order\"\noperations = [\"insert\", \"update\", \"insert\"]\n";
    let expected = ["order.created", "order.inserted", "order.added", "order.updated", "order.changed"];
    assert_eq!(one(text).filter.events, expected);
}

#[test]
fn a_pattern_outside_the_catalogue_warns_and_is_kept() {
    let secret = "secret = \"0123456789abcdef01234567\"\n";
    let text =
        format!("{HEAD}{secret}dialect = \"umbra\"\nevents = [\"invoice.settled\", \"order.*\", \"paymnt.created\"]\n");
    let warnings = warnings(&text);
    assert_eq!(warnings.len(), 3);
    assert!(
        warnings[0].contains("matches no event type") && warnings[0].contains("invoice.updated"),
        "{}",
        warnings[0]
    );
    assert!(warnings[2].contains("did you mean \"payment.created\"?"), "{}", warnings[2]);
    assert_eq!(config(&text).subscriptions[0].filter.events.len(), 3);
}

#[test]
fn http_is_allowed_where_somebody_says_so() {
    let rest = "url = \"http://a.example/\"\nname = \"a\"\nevents = [\"invoice.*\"]\ndialect = \"umbra\"\nsecret = \"0123456789abcdef01234567\"\n";
    assert!(load(&format!("[[subscription]]\n{rest}")).unwrap_err().to_string().contains("E014"));
    assert!(load(&format!("[[subscription]]\nallow_http = true\n{rest}")).is_ok());
    assert!(load(&format!("[[tenant]]\nid = \"default\"\nrequire_https = false\n[[subscription]]\n{rest}")).is_ok());
}

#[test]
fn umbra_takes_ten_per_tenant_unless_told_otherwise() {
    let subscriptions = |count: usize| {
        let each = |number| {
            format!(
                "[[subscription]]\nname = \"{number}\"\nurl = \"https://a.example/\"\nevents = [\"invoice.*\"]\ndialect = \"umbra\"\nsecret = \"0123456789abcdef01234567\"\n"
            )
        };
        (0..count).map(each).collect::<String>()
    };
    assert!(load(&subscriptions(10)).is_ok());
    let problems = load(&subscriptions(12)).unwrap_err();
    assert_eq!((problems.errors.len(), problems.errors[0].code), (1, "E011"));
    assert!(load(&format!("[[tenant]]\nid = \"default\"\nmax_subscriptions = 12\n{}", subscriptions(12))).is_ok());
}

#[test]
fn a_condition_is_marked_where_it_goes_wrong() {
    for (quoted, column) in [("'data.total >'", 9), ("\"data.total >\"", 9), ("'''\ndata.total >'''", 1)] {
        let text = format!("{HEAD}events = [\"**\"]\ndialect = \"carriyo\"\nwhere = {quoted}\n");
        let problems = load(&text).unwrap_err();
        let at = &problems.errors[0].at;
        assert_eq!(problems.errors[0].code, "E021");
        assert!(at.column >= column && at.line >= 6, "{problems}");
    }
}

proptest::proptest! {
    /// Whatever stands in a string is judged, in characters of any length.
    #[test]
    fn no_text_is_too_strange(url in "[a-z:/ø\u{2028}😀]{0,12}", pattern in "[a-z.*ø😀]{0,6}", condition in "[a-z.<>()ø😀 ]{0,9}") {
        let text = format!(
            "[[subscription]]\nname = '{condition}'\nurl = '{url}'\nevents = ['{pattern}']\nwhere = '{condition}'\n\
             tenant = '{pattern}'\ndialect = '{pattern}'\norder_by = '{condition}'\ntimeout = '{url}'\nretry = ['{condition}']\n"
        );
        let _ = load(&text);
    }
}

#[test]
fn a_fault_in_a_dialect_is_shown_in_its_table() {
    let text =
        "[dialect.mine]\nbody = '{\"a\":{{dta}}}'\nheders = { X = \"y\" }\n[dialect.mine.headers]\n\"X Y\" = \"z\"\n";
    let problems = load(&format!("{text}{HEAD}events = [\"**\"]\ndialect = \"mine\"\n")).unwrap_err();
    let lines = problems.errors.iter().map(|problem| (problem.code, problem.at.line)).collect::<Vec<_>>();
    assert_eq!(lines, [("E031", 2), ("E031", 3), ("E031", 4)], "{problems}");
}

#[test]
fn problems_read_as_json() {
    let problems = load("[spol]\n").unwrap_err();
    let expected = serde_json::json!({
        "errors": [{
            "code": "E001",
            "message": "unknown key `spol` in the configuration",
            "file": "nowhere/config.toml",
            "line": 1,
            "column": 2,
            "end_column": 6,
            "help": "did you mean `spool`?",
        }],
        "warnings": [],
    });
    assert_eq!(problems.to_json(), expected);
}

#[test]
fn ten_thousand_subscriptions_load_and_complain() {
    let many = |events: &str| {
        let one = |number| {
            format!(
                "[[tenant]]\nid = \"{number}\"\n[[subscription]]\nname = \"{number}\"\ntenant = \"{number}\"\nurl = \"https://a.example/{number}\"\n{events} = [\"**\"]\ndialect = \"carriyo\"\n"
            )
        };
        (0..10_000).map(one).collect::<String>()
    };
    assert_eq!(config(&many("events")).subscriptions.len(), 10_000);
    assert_eq!(load(&many("event")).unwrap_err().errors.len(), 10_000);
}

#[test]
fn a_configuration_prints_no_secret() {
    let printed = format!("{:?}", config(include_str!("full.toml")));
    for secret in ["0123456789", "unguessable", "key-canary", "https://id.example/token"] {
        assert!(!printed.contains(secret), "{secret}: {printed}");
    }
}

#[test]
fn a_reload_says_what_it_changes() {
    let sub = |name: &str, timeout: &str| {
        format!(
            "[[subscription]]\nname = \"{name}\"\nurl = \"https://a.example/\"\nevents = [\"**\"]\ndialect = \"carriyo\"\ntimeout = \"{timeout}\"\n"
        )
    };
    let old = config(&format!("{}{}{}", sub("a", "1s"), sub("b", "1s"), sub("c", "1s")));
    let new = config(&format!(
        "[spool]\ndir = \"other\"\n[network]\nproxy = \"off\"\n{}{}{}",
        sub("b", "2s"),
        sub("c", "1s"),
        sub("d", "1s")
    ));
    let changes = diff(&old, &new);
    let said =
        "1 added (d); 1 changed (b); 1 removed (a); settings changed: network; a restart is needed for spool.dir";
    assert_eq!(changes.to_string(), said);
    assert_eq!(changes.needs_restart, ["spool.dir"]);
    assert!(diff(&new, &new.clone()).is_empty());
    assert_eq!(diff(&new, &new).to_string(), "nothing changed");
}

#[test]
fn an_order_is_by_key_or_by_a_pointer_and_may_keep_only_the_newest() {
    let one = |rest: &str| one(&format!("dialect = \"cloudevents\"\nevents = [\"**\"]\n{rest}"));
    let plain = one("");
    assert_eq!((plain.order_by, plain.supersede), (None, false));
    let by_key = one("order_by = \"key\"\n");
    assert_eq!((by_key.order_by.as_deref(), by_key.supersede), (Some("key"), false));
    let by_id = one("order_by = \"/data/id\"\nsupersede = true\n");
    assert_eq!((by_id.order_by.as_deref(), by_id.supersede), (Some("/data/id"), true));
}

#[test]
fn another_text_of_a_dialect_changes_its_subscriptions() {
    let with =
        |body: &str| config(&format!("[dialect.mine]\nbody = '{body}'\n{HEAD}events = [\"**\"]\ndialect = \"mine\"\n"));
    let changes = diff(&with("{{data}}"), &with("[{{data}}]"));
    assert_eq!(changes.changed, [("default".to_owned(), "a".to_owned())]);
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[\\[\\]a-z=\"'{},.\\n\\\\é# -]{0,80}") {
        if let Err(problems) = load(&text) {
            let _ = (problems.to_string(), problems.to_json());
        }
    }

    #[test]
    fn no_broken_example_panics_or_shows_a_secret(cut in 0usize..3000, junk in "[\\[\\]\"'={},\\n]{0,3}") {
        let text = include_str!("full.toml");
        let cut = text.floor_char_boundary(cut.min(text.len()));
        if let Err(problems) = load(&format!("{}{junk}{}", &text[..cut], &text[cut..])) {
            let printed = problems.to_string();
            for secret in ["0123456789", "unguessable", "key-canary"] {
                assert!(!printed.contains(secret), "{printed}");
            }
        }
    }
}
