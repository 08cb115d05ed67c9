//! Requests in, webhooks or faults out; and the document they live in.

use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::*;
use crate::config::{diff, load_text};
use crate::model::{Mode, SourceKind};

const NOW: Timestamp = Timestamp(1_773_309_600_000);
const EVERYTHING: Asker<'_> = Asker { tenant: None };

fn config(text: &str) -> Config {
    load_text(Path::new("/etc/hooks/config.toml"), text.to_owned(), &|_| None).unwrap().config
}

fn members(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn made(config: &Config, request: Value) -> Draft {
    create(config, &members(request), EVERYTHING, &|_, _| false, &[7; 24])
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
}

/// Pointer and code of everything that is wrong with `request`.
fn faults(config: &Config, asker: Asker<'_>, request: Value) -> Vec<(String, &'static str)> {
    match create(config, &members(request), asker, &|_, _| false, &[7; 24]) {
        Err(Refusal::Fields(faults)) => faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect(),
        other => panic!("{other:?}"),
    }
}

fn hook() -> Value {
    json!({"url": "https://yoursite.com/webhooks/umbra", "events": ["invoice.paid", "lead.created"]})
}

/// What a start makes of what was written.
fn again(draft: &Draft, base: &Config, now: Timestamp) -> Config {
    merge(base.clone(), Some(draft.config.webhooks.text().expose().to_owned()), now).unwrap()
}

#[test]
fn umbras_two_members_are_enough() {
    let base = config("");
    let draft = made(&base, hook());
    let hook = &draft.subscription;
    assert_eq!((hook.name.as_str(), hook.tenant(), hook.dialect.as_str()), ("yoursite.com", "default", "umbra"));
    assert_eq!(hook.source.kind, SourceKind::Api);
    assert!(draft.secret.as_ref().unwrap().expose().starts_with("whsec_"));
    assert_eq!(draft.warnings, []);
    let mistyped = made(&base, json!({"url": "https://yoursite.com/", "events": ["invoice.payed"]}));
    assert_eq!((mistyped.warnings[0].pointer.as_str(), mistyped.warnings[0].code), ("#/events/0", "W001"));
    let read = again(&draft, &base, NOW);
    assert!(diff(&draft.config, &read).is_empty());
    assert_eq!(
        read.webhooks.version("default", "yoursite.com"),
        draft.config.webhooks.version("default", "yoursite.com")
    );
    let second =
        create(&base, &members(self::hook()), EVERYTHING, &|_, name| name == "yoursite.com", &[7; 24]).unwrap();
    assert_eq!(second.subscription.name, "yoursite.com-2");
}

#[test]
fn everything_a_file_can_say_can_be_said() {
    let base = config("[admin]\nwebhook_dialect = \"standard\"\n");
    let draft = made(
        &base,
        json!({"name": "oms", "tenant": "acme", "url": "http://oms.lan/x", "table": "salesOrder",
               "operations": ["insert", "update"], "conditions": ["data.total > 1.0", "data.a == 'b'"], "mode": "at-most-once",
               "headers": {"X-Api-Key": "k"}, "timeout": "2s", "rate_limit": "5/s", "max_in_flight": 3, "order_by": "/data/id",
               "supersede": true, "start": "beginning", "is_active": false, "retry": null,
               "oauth2": {"token_url": "https://id.example/t", "client_id": "c", "client_secret": "s", "params": {"a": "b"}}}),
    );
    let hook = &again(&draft, &base, NOW).subscriptions[0];
    assert_eq!(hook, &draft.subscription);
    assert_eq!(
        hook.filter.events,
        ["salesOrder.created", "salesOrder.inserted", "salesOrder.added", "salesOrder.updated", "salesOrder.changed"]
    );
    assert_eq!(hook.filter.condition.as_deref(), Some("(data.total > 1.0) && (data.a == 'b')"));
    assert_eq!((hook.mode, hook.active, hook.dialect.as_str()), (Mode::AtMostOnce, false, "standard"));
    assert_eq!(hook.oauth2.as_ref().unwrap().client_secret.expose(), "s");
    let shown = format!("{:?} {:?}", draft.config, draft.secret);
    assert!(!shown.contains("whsec_") && !shown.contains("\"k\""), "{shown}");
}

#[test]
fn every_fault_has_its_pointer() {
    let base = config("[[tenant]]\nid = \"strict\"\nrequire_https = true\n");
    let all = json!({"tenant": "strict", "dialect": "standard", "url": "http://a.example/", "events": ["a.b", "a..b"],
        "evnts": [], "timeout": 5, "mode": "at_most_once", "conditions": "data.total >", "headers": {"Host": "x"},
        "oauth2": {"client_id": "c"}, "retry": ["5s", "soon"], "max_in_flight": 0, "active": true, "is_active": true});
    let mut found = faults(&base, EVERYTHING, all);
    found.sort();
    let expected = [
        ("#/conditions", "E021"),
        ("#/events/1", "E020"),
        ("#/evnts", "E001"),
        ("#/headers/Host", "E015"),
        ("#/is_active", "E007"),
        ("#/max_in_flight", "E005"),
        ("#/mode", "E003"),
        ("#/oauth2/client_secret", "E004"),
        ("#/oauth2/token_url", "E004"),
        ("#/retry/1", "E005"),
        ("#/timeout", "E002"),
        ("#/url", "E014"),
    ];
    assert_eq!(found, expected.map(|(pointer, code)| (pointer.to_owned(), code)));
    assert_eq!(faults(&base, EVERYTHING, json!({})), [("#/events".into(), "E004"), ("#/url".into(), "E004")]);
    assert_eq!(
        faults(&base, EVERYTHING, json!({"urll": "https://a.example/", "events": ["a.b"]})),
        [("#/urll".into(), "E001")]
    );
    assert_eq!(
        faults(&base, EVERYTHING, json!({"url": "https://a.example/", "events": ["a.b"], "dialect": "clarus"})),
        [("#/params/domain".into(), "E032"), ("#/params/automation_id".into(), "E032")]
    );
}

#[test]
fn a_tenants_caller_has_no_say_over_the_machine() {
    let own = Asker { tenant: Some("acme") };
    let base = config("");
    let more = |member: &str, value: Value| {
        let mut hook = hook();
        hook[member] = value;
        hook
    };
    assert_eq!(create(&base, &members(hook()), own, &|_, _| false, &[1; 24]).unwrap().subscription.tenant(), "acme");
    assert_eq!(faults(&base, own, more("tenant", json!("other"))), [("#/tenant".into(), "E005")]);
    assert_eq!(faults(&base, own, more("allow_http", json!(true))), [("#/allow_http".into(), "E005")]);
    let secret_file = json!({"token_url": "https://a.example/", "client_id": "c", "client_secret_file": "/etc/passwd"});
    assert_eq!(faults(&base, own, more("oauth2", secret_file)), [("#/oauth2/client_secret_file".into(), "E005")]);
    // Whether there is such a file is none of theirs: it is not opened.
    for path in ["/etc/passwd", "/nonexistent", "relative"] {
        assert_eq!(faults(&base, own, more("tls", json!({"ca_file": path}))), [("#/tls".into(), "E005")]);
    }
    assert_eq!(
        faults(&base, EVERYTHING, more("secret_file", json!("/etc/passwd"))),
        [("#/secret_file".into(), "E001")]
    );
}

#[test]
fn limits_count_what_the_files_have_too() {
    let file =
        "[[subscription]]\nname = \"f\"\nurl = \"https://f.example/\"\nevents = [\"a.b\"]\ndialect = \"cloudevents\"\n";
    let mut base = config(&format!("[[tenant]]\nid = \"default\"\nmax_subscriptions = 2\n{file}"));
    let request = |name: &str| members(json!({"name": name, "url": "https://a.example/", "events": ["a.b"]}));
    base = create(&base, &request("a"), EVERYTHING, &|_, _| false, &[1; 24]).unwrap().config;
    let taken = create(&base, &request("a"), EVERYTHING, &|_, _| false, &[1; 24]);
    assert!(matches!(taken, Err(Refusal::Taken(_))), "{taken:?}");
    let full = create(&base, &request("b"), EVERYTHING, &|_, _| false, &[1; 24]);
    assert!(matches!(&full, Err(Refusal::Limit(reason)) if reason.contains('2')), "{full:?}");

    let mut umbra = config("");
    for number in 0..10 {
        umbra = create(&umbra, &request(&format!("h{number}")), EVERYTHING, &|_, _| false, &[1; 24]).unwrap().config;
    }
    let full = create(&umbra, &request("h10"), EVERYTHING, &|_, _| false, &[1; 24]);
    assert!(matches!(&full, Err(Refusal::Limit(reason)) if reason.contains("10")), "{full:?}");
}

#[test]
fn a_change_changes_what_it_names() {
    let base = config("");
    let draft = made(
        &base,
        json!({"name": "a", "url": "https://a.example/", "events": ["a.b"], "timeout": "3s", "where": "data.x"}),
    );
    let put = |request: Value| change(&draft.config, ("default", "a"), &members(request), EVERYTHING);
    let changed = put(json!({"url": "https://b.example/", "is_active": false, "where": null})).unwrap();
    let hook = &changed.subscription;
    assert_eq!((hook.url.as_str(), hook.active, hook.filter.condition.as_deref()), ("https://b.example/", false, None));
    assert_eq!((hook.timeout, hook.secrets.clone()), (Duration::from_secs(3), draft.subscription.secrets.clone()));
    assert_eq!(
        put(json!({"table": "t", "operations": ["delete"]})).unwrap().subscription.filter.events,
        ["t.deleted", "t.removed"]
    );
    let pointers = |request| match put(request) {
        Err(Refusal::Fields(faults)) => faults.into_iter().map(|fault| fault.pointer).collect::<Vec<_>>(),
        other => panic!("{other:?}"),
    };
    assert_eq!(pointers(json!({"url": null})), ["#/url"]);
    assert_eq!(pointers(json!({"name": "b"})), ["#/name"]);
    assert_eq!(pointers(json!({"start": "beginning"})), ["#/start"]);
    assert_eq!(pointers(json!({"dialect": "carbon"})), ["#/secret"]);
    let none: Value = json!({"name": "a", "tenant": "default"});
    assert_eq!(put(none).unwrap().subscription, draft.subscription);
}

#[test]
fn an_old_secret_signs_until_its_overlap_ends() {
    let base = config("");
    let request = json!({"name": "a", "url": "https://a.example/", "events": ["a.b"], "dialect": "standard"});
    let draft = made(&base, request);
    let until = NOW.plus(Duration::from_secs(60));
    let rotated = rotate(&draft.config, ("default", "a"), None, Some(until), &[9; 24]).unwrap();
    assert_eq!(rotated.subscription.secrets.len(), 2);
    assert_eq!(rotated.subscription.secrets[1], draft.subscription.secrets[0]);
    assert_eq!(rotated.config.webhooks.overlap_until("default", "a"), Some(until));
    let secrets = |config: &Config| config.subscription("default", "a").unwrap().secrets.len();
    // Also across a restart, before and after the end.
    assert_eq!(secrets(&again(&rotated, &base, NOW)), 2);
    assert_eq!(secrets(&again(&rotated, &base, until)), 1);
    assert!(settle(&rotated.config, NOW).is_none());
    let settled = settle(&rotated.config, until).unwrap();
    assert_eq!((secrets(&settled), settled.webhooks.overlap_until("default", "a")), (1, None));
    assert_eq!(settled.subscription("default", "a").unwrap().secrets[0], rotated.secret.clone().unwrap());
    let text = settled.webhooks.text();
    assert!(!text.expose().contains(draft.secret.unwrap().expose()) && settle(&settled, until).is_none());

    // One that is about to end is not kept longer by the next rotation.
    let (later, of) = (until.plus(Duration::from_secs(60)), ("default", "a"));
    let twice = rotate(&rotated.config, of, None, Some(later), &[8; 24]).unwrap();
    assert_eq!(twice.config.webhooks.overlap_until(of.0, of.1), Some(later));
    assert_eq!([NOW, until, later].map(|now| secrets(&again(&twice, &base, now))), [3, 2, 1]);
    let half = settle(&twice.config, until).unwrap();
    let left = &half.subscription(of.0, of.1).unwrap().secrets;
    assert_eq!(left[..], [twice.secret.clone().unwrap(), rotated.secret.clone().unwrap()]);
    assert_eq!((half.webhooks.overlap_until(of.0, of.1), secrets(&settle(&half, later).unwrap())), (Some(later), 1));

    let umbra = made(&base, json!({"name": "u", "url": "https://a.example/", "events": ["a.b"]}));
    let alone = rotate(&umbra.config, ("default", "u"), None, Some(until), &[9; 24]).unwrap();
    assert_eq!((alone.subscription.secrets.len(), alone.config.webhooks.overlap_until("default", "u")), (1, None));
    let same = rotate(&umbra.config, ("default", "u"), umbra.secret.as_ref(), None, &[9; 24]);
    assert!(matches!(same, Err(Refusal::Fields(_))));
    let carbon = made(&base, json!({"name": "c", "url": "https://a.example/", "events": ["a.b"], "dialect": "carbon"}));
    assert!(carbon.secret.is_none());
    assert!(rotate(&carbon.config, ("default", "c"), None, None, &[9; 24]).is_err());
}

#[test]
fn what_the_configuration_no_longer_allows_is_kept_out_of_force_with_the_reason() {
    let with = config("[dialect.mine]\nbody = '{{data}}'\n");
    let draft = made(&with, json!({"name": "a", "url": "https://a.example/", "events": ["a.b"], "dialect": "mine"}));
    let both = made(&draft.config, json!({"name": "b", "url": "https://b.example/", "events": ["a.b"]}));
    let without = again(&both, &config(""), NOW);
    let held = without.subscription("default", "a").unwrap();
    assert!(!held.active && held.withheld.as_deref().unwrap().contains("unknown dialect"), "{held:?}");
    assert_eq!((held.url.as_str(), held.filter.events.clone()), ("https://a.example/", vec!["a.b".to_owned()]));
    assert!(without.subscription("default", "b").unwrap().active);
    // It is as it was when the dialect is back, and a change can mend it meanwhile.
    let back = merge(with.clone(), Some(without.webhooks.text().expose().to_owned()), NOW).unwrap();
    assert!(diff(&both.config, &back).is_empty());
    let mended = change(&without, ("default", "a"), &members(json!({"dialect": "umbra", "secret": "s3"})), EVERYTHING);
    assert!(mended.unwrap().subscription.withheld.is_none());
    let gone = without.without_webhook("default", "a");
    assert!(!gone.webhooks.contains("default", "a") && gone.webhooks.contains("default", "b"));

    let file = config(
        "[[subscription]]\nname = \"b\"\nurl = \"https://f.example/\"\nevents = [\"x.y\"]\ndialect = \"cloudevents\"\n",
    );
    let taken = again(&both, &file, NOW);
    assert_eq!(taken.subscription("default", "b").unwrap().url, "https://f.example/");
    assert!(taken.webhooks.contains("default", "b"), "it waits for its name");
}

#[test]
fn a_damaged_document_is_refused_whole_and_says_where() {
    let base = config("");
    let draft = made(&base, hook());
    let text = draft.config.webhooks.text().expose().to_owned();
    let refused = |text: String| merge(base.clone(), Some(text), NOW).unwrap_err().to_string();
    let torn = refused(text[..text.len() - 12].to_owned());
    assert!(torn.contains("/etc/hooks/state/webhooks.toml:") && torn.contains("put back a copy"), "{torn}");
    assert!(!torn.contains(draft.secret.unwrap().expose()), "{torn}");
    assert!(refused(format!("{text}\n{}", &text[text.find("[[").unwrap()..])).contains("there twice"));
    assert!(refused("[[subscription]]\nname = \"a\"\n".to_owned()).contains("missing `tenant`"));
    assert!(refused("[spool]\n".to_owned()).contains("unknown key `spool`"));
}

#[test]
fn a_request_is_known_again_for_a_day() {
    let base = config("");
    let mut draft = made(&base, hook());
    let key = RequestKey {
        key: "k".into(),
        body: "b".into(),
        tenant: "default".into(),
        name: "yoursite.com".into(),
        fingerprint: Some("3f9a".into()),
        at: NOW,
    };
    draft.config.webhooks.remember(key.clone());
    let read = again(&draft, &base, NOW);
    assert_eq!(read.webhooks.request("k", NOW.plus(Duration::from_secs(86_399))), Some(&key));
    assert_eq!(read.webhooks.request("k", NOW.plus(Duration::from_secs(86_400))), None);
}
