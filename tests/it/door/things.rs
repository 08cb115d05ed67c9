//! What stands in for the braces of a route: things of tenant alpha, and beside each one that does not exist.

use serde_json::json;
use spoolhook::admin::RouteInfo;

use super::world::World;

/// A path with its braces filled in.
#[derive(Clone, Debug)]
pub struct Thing {
    pub path: String,
    /// What was filled in, as answers may repeat it.
    names: Vec<String>,
}

impl Thing {
    /// An answer without the names that were asked for, and without the request's number.
    pub fn hidden(&self, body: &str) -> String {
        let mut text = body.to_owned();
        for name in &self.names {
            text = text.replace(name.as_str(), "?");
        }
        let Ok(mut json) = serde_json::from_str::<serde_json::Value>(&text) else { return text };
        if let Some(members) = json.as_object_mut() {
            members.remove("instance");
        }
        json.to_string()
    }
}

/// Names of one kind of thing: alpha's, and nobody's of the same form.
fn names(world: &World, collection: &str, parameter: &str) -> Option<Vec<(String, String)>> {
    let pair = |theirs: &str, nobodys: &str| (theirs.to_owned(), nobodys.to_owned());
    let names = match (collection, parameter) {
        ("webhooks", _) => {
            let numbers = world.webhooks.iter().map(|id| (id.to_string(), "4711".to_owned()));
            numbers.chain([pair("alpha-ok", "nobody"), pair("alpha/alpha-bad", "nobody/nobody")]).collect()
        }
        ("deliveries", _) => {
            let nobodys = "ffffffff-ffff-8fff-bfff-ffffffffffff".to_owned();
            world.deliveries.iter().map(|id| (id.clone(), nobodys.clone())).collect()
        }
        ("attempts", _) => vec![pair("1", "1")],
        ("events", _) => vec![pair("alpha-evt-1", "nobody-evt")],
        ("replays", _) => vec![(world.replay.clone(), "rpl_00000000000000000000000000".to_owned())],
        ("quarantine", _) => vec![(world.quarantined.clone(), "01KKGMZ7G00000000000000000-1".to_owned())],
        ("tokens", _) => world.tokens.iter().map(|name| (name.clone(), "nobody".to_owned())).collect(),
        _ => return None,
    };
    Some(names)
}

/// Every way to fill in a route's braces; the path as it is, when it has none.
pub fn things(world: &World, route: &RouteInfo) -> Result<Vec<(Thing, Thing)>, String> {
    let empty = Thing { path: String::new(), names: Vec::new() };
    let mut found = vec![(empty.clone(), empty)];
    let mut collection = "";
    for segment in route.path.split('/').skip(1) {
        let parameter = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let choices = match parameter {
            None => {
                collection = segment;
                vec![(segment.to_owned(), segment.to_owned())]
            }
            Some(parameter) => names(world, collection, parameter).ok_or_else(|| complaint(route, collection))?,
        };
        let is_name = parameter.is_some();
        found = found
            .iter()
            .flat_map(|(theirs, nobodys)| {
                choices.iter().map(move |(mine, none)| (add(theirs, mine, is_name), add(nobodys, none, is_name)))
            })
            .collect();
    }
    Ok(found)
}

fn complaint(route: &RouteInfo, collection: &str) -> String {
    format!(
        "{} {} names a thing of \"{collection}\", which this test does not know. Have `World` (tests/it/door/world.rs) make one \
         for tenant alpha, add an arm for \"{collection}\" to `names` (tests/it/door/things.rs) with its id and one that does not \
         exist, and, if tenants have lists of them, the list to `World::of_alpha`.",
        route.method, route.path
    )
}

fn add(thing: &Thing, segment: &str, is_name: bool) -> Thing {
    let mut names = thing.names.clone();
    if is_name {
        names.push(segment.to_owned());
    }
    Thing { path: format!("{}/{}", thing.path, segment.replace('/', "%2F")), names }
}

/// What a write says that means harm: it names alpha's things wherever a route might look for a name.
pub fn body_for(world: &World, route: &RouteInfo) -> String {
    match (route.method, route.path) {
        ("GET" | "DELETE", _) => String::new(),
        (_, "/v1/replays") => json!({"ids": world.deliveries, "consent": true}).to_string(),
        (_, "/v1/events/match" | "/v1/events") => {
            json!({"type": "alpha_thing.created", "tenant": "alpha", "data": {}}).to_string()
        }
        (_, "/v1/tokens") => json!({"name": "mine", "scope": "admin", "tenant": "alpha"}).to_string(),
        (_, path) if path.ends_with("/replay") => json!({"consent": true}).to_string(),
        ("PUT", "/v1/webhooks/{id}") => json!({"is_active": false}).to_string(),
        (_, "/v1/webhooks") => {
            json!({"url": "http://127.0.0.1:9/", "events": ["alpha_thing.*"], "tenant": "alpha"}).to_string()
        }
        _ => String::new(),
    }
}
