//! Who may do what over TCP, on every route there is: the cases are made from the route table, so that a new route is covered
//! by itself.

mod client;
mod command_line;
mod things;
mod world;

use spoolhook::admin::{RouteInfo, Scope, routes};

use self::client::Answer;
use self::things::{Thing, body_for, things};
pub use self::world::World;
use self::world::{all_tenants, of_beta};

const VERBS: [&str; 5] = ["GET", "POST", "PUT", "DELETE", "PATCH"];

/// Every way to ask for a route's things, paired with one that names nothing.
fn cases(world: &World, route: &RouteInfo) -> Vec<(Thing, Thing)> {
    things(world, route).unwrap_or_else(|complaint| panic!("{complaint}"))
}

fn say(route: &RouteInfo, answer: &Answer) -> String {
    format!("{} {}: {} {}", route.method, route.path, answer.status, answer.body)
}

#[test]
fn without_a_token_no_route_answers() {
    let world = World::new();
    for route in routes() {
        for (thing, _) in cases(&world, &route) {
            let answer = world.ask(route.method, &thing.path, None, &body_for(&world, &route));
            if route.path == "/metrics" {
                assert_eq!(answer.status, 200, "programs of this machine may: {}", say(&route, &answer));
                continue;
            }
            assert_eq!(answer.status, 401, "{}", say(&route, &answer));
            assert!(answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
            assert!(!answer.body.contains("alpha"), "{}", say(&route, &answer));
        }
    }
}

#[test]
fn a_scope_that_is_too_small_opens_no_route() {
    let world = World::new();
    let before = world.of_alpha();
    let mut tried = 0;
    for route in routes() {
        for scope in Scope::ALL.into_iter().filter(|scope| *scope < route.scope) {
            for (thing, _) in cases(&world, &route) {
                let token = all_tenants(scope);
                let answer = world.ask(route.method, &thing.path, Some(&token), &body_for(&world, &route));
                assert_eq!(answer.status, 403, "{}", say(&route, &answer));
                tried += 1;
            }
        }
    }
    assert!(tried > 10, "only {tried} cases");
    assert_eq!(world.of_alpha(), before);
}

/// Another tenant's thing is as good as one that does not exist: not a byte of the answer tells the two apart.
#[test]
fn things_of_another_tenant_do_not_exist() {
    let world = World::new();
    let before = world.of_alpha();
    let mut tried = 0;
    for route in routes().into_iter().filter(|route| route.path.contains('{')) {
        let body = body_for(&world, &route);
        for (theirs, nobodys) in cases(&world, &route) {
            let answer = world.ask(route.method, &theirs.path, Some(&of_beta(Scope::Admin)), &body);
            let nothing = world.ask(route.method, &nobodys.path, Some(&of_beta(Scope::Admin)), &body);
            assert!(matches!(answer.status, 403 | 404), "{}", say(&route, &answer));
            assert_eq!(answer.status, nothing.status, "{}", say(&route, &answer));
            assert_eq!(theirs.hidden(&answer.body), nobodys.hidden(&nothing.body), "{}", theirs.path);
            tried += 1;
        }
    }
    assert!(tried > 15, "only {tried} cases");
    assert_eq!(world.of_alpha(), before, "something of tenant alpha was changed");
}

#[test]
fn lists_and_writes_of_one_tenant_neither_show_nor_touch_another() {
    let world = World::new();
    let before = world.of_alpha();
    for route in routes().into_iter().filter(|route| !route.path.contains('{')) {
        let filters: &[&str] = match route.method {
            "GET" => &["", "?tenant=alpha", "?subscription=alpha%2Falpha-ok", "?event_id=alpha-evt-1", "?limit=200"],
            _ => &[""],
        };
        for filter in filters {
            let path = format!("{}{filter}", route.path);
            let answer = world.ask(route.method, &path, Some(&of_beta(Scope::Admin)), &body_for(&world, &route));
            assert!(answer.status < 500, "{}", say(&route, &answer));
            // A refusal may repeat what it was asked.
            if answer.status < 300 {
                world.assert_nothing_of_alpha(&answer.body, &path);
            }
        }
    }
    assert_eq!(world.of_alpha(), before, "something of tenant alpha was changed");
}

#[test]
fn verbs_that_no_route_takes_are_refused_alike() {
    let world = World::new();
    let all = routes();
    for route in &all {
        let is_taken = |verb: &str| all.iter().any(|other| other.path == route.path && other.method == verb);
        for verb in VERBS.into_iter().filter(|verb| !is_taken(verb)) {
            for (thing, _) in cases(&world, route) {
                let answer = world.ask(verb, &thing.path, Some(&of_beta(Scope::Admin)), "");
                assert_eq!(answer.status, 405, "{verb} {}", say(route, &answer));
            }
        }
    }
}

#[test]
fn a_prefix_leads_to_ones_own_deliveries_only() {
    let world = World::new();
    for id in &world.deliveries {
        for length in 6..id.len() {
            let path = format!("/v1/deliveries/{}", &id[..length]);
            let answer = world.ask("GET", &path, Some(&of_beta(Scope::Read)), "");
            assert!(!answer.body.contains(id.as_str()), "{path}: {}", answer.body);
            assert!(!answer.body.contains("alpha"), "{path}: {}", answer.body);
        }
    }
}

#[test]
fn the_stream_tells_a_tenant_its_own_attempts() {
    let world = World::new();
    let mut stream = world.stream("/v1/stream", &of_beta(Scope::Read));
    for tenant in ["alpha", "beta"] {
        let sent = world.home.run(&["send", &format!("{tenant}_thing.changed"), "--tenant", tenant, "--wait"]);
        assert_eq!(sent.code, 1, "one of its two subscriptions fails: {}", sent.all());
    }
    let mut told = 0;
    while told < 2 {
        let line = stream.line();
        assert!(!line.contains("alpha"), "{line}");
        told += u32::from(line.contains("beta_thing.changed"));
    }
}

#[test]
fn a_stream_ends_with_its_token() {
    let world = World::new();
    let mut stream = world.stream("/v1/stream", &of_beta(Scope::Replay));
    let gone = world.ask("DELETE", "/v1/tokens/beta-replay", Some(&of_beta(Scope::Admin)), "");
    assert_eq!(gone.status, 200, "{}", gone.body);
    stream.assert_ends();
}

#[test]
fn a_tenant_is_told_its_own_figures() {
    let world = World::new();
    let own = world.ask("GET", "/v1/status", Some(&of_beta(Scope::Read)), "").json();
    let all = world.ask("GET", "/v1/status", Some(&all_tenants(Scope::Read)), "").json();
    assert_eq!((&own["deliveries"]["delivered"], &all["deliveries"]["delivered"]), (&1.into(), &2.into()));
    assert_eq!((&own["config"]["path"], &own["spool"]["events"]), (&"".into(), &0.into()));
    let books = world.ask("GET", "/v1/audit", Some(&of_beta(Scope::Read)), "").json();
    assert_eq!(books["subscriptions"].as_array().map(Vec::len), Some(2), "{books}");
    let url = |scope| {
        let answer = world.ask("GET", "/v1/webhooks/beta%2Fbeta-ok", Some(&of_beta(scope)), "").json();
        answer["webhook"]["url"].as_str().unwrap().to_owned()
    };
    assert!(url(Scope::Admin).ends_with("/beta-ok?key=s3cret"));
    assert!(url(Scope::Replay).ends_with("/***"), "a URL may hold a token");
}
