//! Dialects that a user describes in the configuration: the two that ship to be copied, and one of his own.

use spoolhook::receiver::Received;
use spoolhook::wire::EXAMPLES;

use super::judge::{Judge, tampered};
use super::site::{Site, receiver};

const LINE: &str = r#"{"type":"pull_request.opened","key":"k 1","data":{"id":17,"who":{"name":"Zoë \"Z\"","no":null},"tags":[1.0,-0]},"old":{"id":16}}"#;

/// Delivers `LINE` in a dialect whose table is `table`.
fn deliver(name: &str, table: toml::Table, secrets: &[&str]) -> Received {
    let mut site = Site::new();
    let receiver = receiver(&[200]);
    let dialects = toml::Table::from_iter([(name.to_owned(), table.into())]);
    site.configure(&toml::Table::from_iter([("dialect".to_owned(), dialects.into())]).to_string());
    site.subscribe("copy", &format!("http://{}/", receiver.addr()), name, &format!("secret = {secrets:?}"));
    site.write(&[LINE]);
    site.run();
    let mut requests = receiver.received();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

fn example(name: &str) -> toml::Table {
    EXAMPLES.iter().find(|(known, _)| *known == name).unwrap().1.parse().unwrap()
}

#[test]
fn a_receiver_for_github_accepts_its_example() {
    let Some(judge) = Judge::python("github.py", "hmac") else { return };
    let request = deliver("github", example("github"), &["It's a Secret to Everybody"]);
    assert!(judge.accepts(&request, "It's a Secret to Everybody"));
    assert!(!judge.accepts(&tampered(&request, "\"id\""), "It's a Secret to Everybody"));
    assert_eq!(request.header("x-github-event"), Some("pull_request"));
    assert!(request.header("x-github-delivery").unwrap().parse::<uuid::Uuid>().is_ok());
    assert!(request.body.starts_with(br#"{"action":"opened","pull_request":{"id":17,"#));
}

#[test]
fn a_receiver_for_stripe_accepts_its_example_with_both_secrets() {
    let Some(judge) = Judge::python("stripe.py", "hmac") else { return };
    let secrets = ["whsec_new0123456789", "whsec_old0123456789"];
    let request = deliver("stripe", example("stripe"), &secrets);
    assert!(secrets.iter().all(|secret| judge.accepts(&request, secret)));
    assert!(!judge.accepts(&request, "whsec_other"));
    assert!(!judge.accepts(&tampered(&request, "\"id\":17"), secrets[0]));
    assert_eq!(request.header("content-type"), Some("application/json; charset=utf-8"));
}

const PLANT: &str = r#"
body = '{"kind":"{{entity}}/{{trigger}}","who":{{data#/who|or:null}},"first":{{data#/tags/0|or:null}},"was":{{old#/id|or:"?"}},"note":{{data#/note|or:"none"}}{{?key}},"for":{{key}}{{/}}}'

[headers]
Content-Type = "application/vnd.plant+json"
X-Plant-Who = '{{data#/who/name|or:"nobody"}}'
X-Plant-Void = "{{data#/who/no}}"
X-Plant-Try = "{{attempt}} for {{subscription}} of {{tenant}}"

[signature]
header = "X-Plant-Signature"
headers = { X-Plant-Delivery = "{{delivery_id}}", X-Plant-Time = "{{timestamp}}" }
over = "{{delivery_id}}|{{timestamp}}|{{body}}"
join = "; "
schemes = [{ key = "whsec", algorithm = "hmac-sha256", encoding = "base64", each = "sig {{signature}}" }]
"#;

#[test]
fn a_dialect_of_ones_own_says_what_its_table_says() {
    let secrets = ["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"];
    let request = deliver("plant", PLANT.parse().unwrap(), &secrets);
    let body = r#"{"kind":"pull_request/opened","who":{"name":"Zoë \"Z\"","no":null},"first":1.0,"was":16,"note":"none","for":"k 1"}"#;
    assert_eq!(String::from_utf8_lossy(&request.body), body);
    assert_eq!(request.header("content-type"), Some("application/vnd.plant+json"));
    assert_eq!(request.header("x-plant-who"), Some("Zo%C3%AB \"Z\""));
    assert_eq!(request.header("x-plant-void"), None);
    assert_eq!(request.header("x-plant-try"), Some("1 for copy of default"));

    let Some(judge) = Judge::python("plant.py", "hmac") else { return };
    assert!(secrets.iter().all(|secret| judge.accepts(&request, secret)));
    assert!(!judge.accepts(&tampered(&request, "\"was\""), secrets[0]));
}
