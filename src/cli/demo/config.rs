//! The demo's configuration: one tenant per product, each in its own dialect, all sent to the demo's receiver.

use std::net::SocketAddr;
use std::path::Path;

use crate::model::Secret;

/// Signs what the demo sends to itself; it guards nothing.
const SECRET: &str = "whsec_c3Bvb2xob29rLWRlbW8tc2VjcmV0LTAx";

/// The secret the demo's receiver verifies with.
pub fn secret() -> Secret {
    Secret::new(SECRET)
}

/// The configuration for a receiver at `receiver`, with spool and state under `home`.
pub fn text(receiver: SocketAddr, home: &Path) -> String {
    TEMPLATE
        .replace("@HOME@", &home.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
        .replace("@RECEIVER@", &receiver.to_string())
        .replace("@SECRET@", SECRET)
}

const TEMPLATE: &str = r#"# The demo's configuration; it goes away with the demo.
[spool]
dir = "@HOME@/spool"

[state]
dir = "@HOME@/state"

[admin]
listen = "127.0.0.1:0"
socket = "@HOME@/state/spoolhook.sock"

[delivery]
timeout = "5s"
retry = ["2s", "5s", "10s"]

[[tenant]]
id = "carbon"

[[tenant]]
id = "carriyo"

[[tenant]]
id = "umbra"
max_subscriptions = 10
require_https = false           # the demo's receiver speaks plain HTTP

[[tenant]]
id = "clarus"

[[subscription]]
name = "orders"
tenant = "carbon"
url = "http://@RECEIVER@/carbon?token=demo"
dialect = "carbon"
table = "salesOrder"
operations = ["insert", "update", "delete"]
mode = "at-most-once"
[subscription.params]
company_id = "demo"

[[subscription]]
name = "tracking"
tenant = "carriyo"
url = "http://@RECEIVER@/carriyo"
dialect = "carriyo"
events = ["shipment.*", "order.*", "return_request.*"]
headers = { Authorization = "Bearer demo" }

[[subscription]]
name = "books"
tenant = "umbra"
url = "http://@RECEIVER@/umbra"
dialect = "umbra"
events = ["invoice.*", "loyalty.*"]
secret = "@SECRET@"

[[subscription]]
name = "large-invoices"
tenant = "umbra"
url = "http://@RECEIVER@/umbra/large"
dialect = "umbra"
events = ["invoice.*"]
where = "data.total > 1000.0"
secret = "@SECRET@"

[[subscription]]
name = "warehouse"
tenant = "clarus"
url = "http://@RECEIVER@/clarus"
dialect = "clarus"
events = ["sales_order.completed", "stock.*"]
[subscription.params]
domain = "demo.clarus.example"
automation_id = "7"

[[subscription]]
name = "everything"
url = "http://@RECEIVER@/standard"
dialect = "standard"
events = ["**"]
secret = "@SECRET@"
"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn the_configuration_is_valid_and_names_its_places() {
        let text = text("127.0.0.1:9000".parse().unwrap(), Path::new("/tmp/d"));
        assert!(!text.contains('@'), "{text}");
        let loaded = config::load_text(Path::new("/tmp/d/config.toml"), text, &|_| None);
        let loaded = loaded.unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(loaded.config.subscriptions.len(), 6);
        assert_eq!(loaded.config.spool.dir, Path::new("/tmp/d/spool"));
        let warnings: Vec<String> = loaded.warnings.iter().map(|problem| problem.to_string()).collect();
        assert_eq!(warnings, Vec::<String>::new());
    }

    #[test]
    fn every_product_gets_its_events() {
        let text = text("127.0.0.1:9000".parse().unwrap(), Path::new("/tmp/d"));
        let loaded = config::load_text(Path::new("/tmp/d/config.toml"), text, &|_| None).unwrap();
        for subscription in &loaded.config.subscriptions {
            let dialect = loaded.config.dialects.get(&subscription.dialect).unwrap();
            assert!(dialect.bind(subscription).is_ok(), "{}", subscription.name);
        }
    }
}
