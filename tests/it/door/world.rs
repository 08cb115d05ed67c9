//! An engine with two tenants, alpha and beta: each has two subscriptions, an event, a delivered and a failed delivery, and
//! tokens. Everything of alpha's has `alpha` in its name, but for ids.

use std::net::SocketAddr;

use serde_json::{Value, json};
use spoolhook::admin::Scope;
use spoolhook::receiver::Receiver;

use super::client::{Answer, Stream, ask};
use crate::usage::support::{Home, Process, receiver, until};

pub struct World {
    pub home: Home,
    pub address: SocketAddr,
    /// Of alpha.
    pub deliveries: Vec<String>,
    /// Of alpha.
    pub webhooks: Vec<u64>,
    /// Of alpha: ids and names.
    pub tokens: Vec<String>,
    /// A replay of alpha.
    pub replay: String,
    /// A line of nobody's.
    pub quarantined: String,
    bootstrap: String,
    _engine: Process,
    _receivers: [Receiver; 2],
}

/// A token whose holder sees all tenants.
pub fn all_tenants(scope: Scope) -> String {
    format!("all-{}", scope.as_str())
}

/// A token of beta.
pub fn of_beta(scope: Scope) -> String {
    format!("beta-{}", scope.as_str())
}

/// The address that an engine says it listens on.
pub fn address_of(engine: &Process) -> SocketAddr {
    let log = engine.log();
    let line = log.lines().rev().find(|line| line.contains("\"msg\":\"running\"")).unwrap_or_else(|| panic!("{log}"));
    let line: Value = serde_json::from_str(line).unwrap();
    line["api"].as_str().unwrap_or_else(|| panic!("{line}")).parse().unwrap()
}

impl World {
    pub fn new() -> Self {
        let (good, bad) = (receiver(&[200]), receiver(&[500]));
        let home = Home::empty();
        let bootstrap = "0123456789abcdef0123456789abcdef".to_owned();
        home.write("token", format!("{bootstrap}\n"));
        let mut config = "[admin]\nlisten = \"127.0.0.1:0\"\ntoken_file = \"token\"\n".to_owned();
        for tenant in ["alpha", "beta"] {
            for (name, target) in [("ok", &good), ("bad", &bad)] {
                let addr = target.addr();
                config.push_str(&format!(
                    "[[subscription]]\nname = \"{tenant}-{name}\"\ntenant = \"{tenant}\"\ndialect = \"cloudevents\"\n\
                     url = \"http://{addr}/{tenant}-{name}?key=s3cret\"\nevents = [\"{tenant}_thing.*\"]\nretry = \"none\"\n"
                ));
            }
        }
        home.write("config.toml", config);
        let lines = ["alpha", "beta"].map(|tenant| {
            json!({"type": format!("{tenant}_thing.created"), "tenant": tenant, "id": format!("{tenant}-evt-1"),
                   "key": format!("{tenant}-key"), "data": {"of": tenant}})
        });
        home.spool("a.ndjson", format!("{}\n{}\nno event at all\n", lines[0], lines[1]));
        let engine = home.engine();
        until("the engine says where it listens", || engine.log().contains("\"msg\":\"running\""));
        let address = address_of(&engine);
        let mut world = Self {
            home,
            address,
            deliveries: Vec::new(),
            webhooks: Vec::new(),
            tokens: Vec::new(),
            replay: String::new(),
            quarantined: String::new(),
            bootstrap,
            _engine: engine,
            _receivers: [good, bad],
        };
        world.make_tokens();
        until("everything is settled", || world.all("/v1/deliveries", "data").len() == 4 && world.is_settled());
        world.replay();
        world.learn();
        world
    }

    /// In place of tokens that nobody knows before, a name for each.
    fn make_tokens(&self) {
        for (tenant, scope) in [None, Some("alpha"), Some("beta")].into_iter().flat_map(|t| Scope::ALL.map(|s| (t, s)))
        {
            let name = format!("{}-{}", tenant.unwrap_or("all"), scope.as_str());
            let new = json!({"name": name, "scope": scope.as_str(), "tenant": tenant}).to_string();
            let made = ask(self.address, "POST", "/v1/tokens", Some(&self.bootstrap), &new);
            assert_eq!(made.status, 201, "{}", made.body);
            self.home.write(&format!("tokens/{name}"), made.json()["token"].as_str().unwrap());
        }
    }

    /// Has alpha's failed delivery sent again, which fails again.
    fn replay(&mut self) {
        let order = json!({"subscription": "alpha/alpha-bad"}).to_string();
        let made = ask(self.address, "POST", "/v1/replays", Some(&self.bootstrap), &order);
        assert_eq!(made.status, 202, "{}", made.body);
        self.replay = made.json()["id"].as_str().unwrap().to_owned();
        until("the replay is done", || {
            self.all("/v1/replays", "data").iter().all(|job| job["status"] == "done") && self.is_settled()
        });
    }

    fn is_settled(&self) -> bool {
        self.all("/v1/deliveries", "data").iter().all(|row| row["status"] != "pending")
            && !self.all("/v1/quarantine", "data").is_empty()
    }

    fn learn(&mut self) {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows = self.all("/v1/deliveries", "data").into_iter().filter(|row| row["tenant"] == "alpha");
        self.deliveries = rows.map(|row| text(&row["id"])).collect();
        let rows = self.all("/v1/webhooks", "webhooks").into_iter().filter(|row| row["tenant"] == "alpha");
        self.webhooks = rows.map(|row| row["id"].as_u64().unwrap()).collect();
        let rows = self.all("/v1/tokens", "data").into_iter().filter(|row| row["tenant"] == "alpha");
        self.tokens = rows.flat_map(|row| [text(&row["id"]), text(&row["name"])]).collect();
        self.quarantined = text(&self.all("/v1/quarantine", "data")[0]["id"]);
        assert_eq!((self.deliveries.len(), self.webhooks.len(), self.tokens.len()), (2, 2, 6));
    }

    /// A list as somebody sees it who sees everything.
    fn all(&self, path: &str, member: &str) -> Vec<Value> {
        let answer = ask(self.address, "GET", path, Some(&self.bootstrap), "");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()[member].as_array().unwrap().clone()
    }

    /// A token that nobody can revoke.
    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `token` is the name of one, as [`all_tenants`] and [`of_beta`] give it.
    pub fn ask(&self, method: &str, path: &str, token: Option<&str>, body: &str) -> Answer {
        let token = token.map(|name| std::fs::read_to_string(self.home.path(&format!("tokens/{name}"))).unwrap());
        ask(self.address, method, path, token.as_deref(), body)
    }

    pub fn stream(&self, path: &str, token: &str) -> Stream {
        let token = std::fs::read_to_string(self.home.path(&format!("tokens/{token}"))).unwrap();
        Stream::open(self.address, path, &token)
    }

    /// Everything that tenant alpha has, to see whether somebody touched it.
    pub fn of_alpha(&self) -> Vec<Value> {
        let lists = [
            ("/v1/webhooks", "webhooks"),
            ("/v1/deliveries", "data"),
            ("/v1/events", "data"),
            ("/v1/tokens", "data"),
            ("/v1/quarantine", "data"),
            ("/v1/replays", "data"),
        ];
        let rows = lists.into_iter().flat_map(|(path, member)| self.all(path, member));
        rows.filter(|row| row.get("tenant").is_none_or(|tenant| tenant == "alpha")).collect()
    }

    pub fn assert_nothing_of_alpha(&self, text: &str, what: &str) {
        assert!(!text.contains("alpha"), "{what}: {text}");
        // What the caller sent itself may come back with a no.
        let rows = serde_json::from_str::<Value>(text).ok().and_then(|json| json["data"].as_array().cloned());
        for row in rows.unwrap_or_default().iter().filter(|row| row["accepted"] != json!(false)) {
            for id in &self.deliveries {
                assert!(!row.to_string().contains(id.as_str()), "{what}: {row}");
            }
        }
    }
}
