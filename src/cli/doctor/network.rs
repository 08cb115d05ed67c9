//! Names of endpoints, proxies, and who is trusted.

use std::collections::BTreeSet;
use std::net::ToSocketAddrs;
use std::thread;
use std::time::Duration;

use crossbeam_channel::bounded;

use super::Finding;
use crate::cli::human::plural;
use crate::config::{Config, Proxy};

/// All names together may take this long.
const PATIENCE: Duration = Duration::from_secs(5);
/// Threads that look names up.
const LOOKUPS_MAX: usize = 16;
const PROXIES: [&str; 4] = ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"];

pub fn look(config: &Config) -> Vec<Finding> {
    let mut found = vec![trust(config), proxy(config)];
    found.extend(names(config));
    found
}

fn trust(config: &Config) -> Finding {
    let own = config.subscriptions.iter().filter(|each| each.tls.ca_file.is_some()).count() as u64;
    let own = match own {
        1 => "1 subscription brings its own".to_owned(),
        several => format!("{} bring their own", plural(several, "subscription")),
    };
    let built_in = webpki_roots::TLS_SERVER_ROOTS.len();
    Finding::ok("ca store", format!("{built_in} authorities built in; {own}, and all of these files read"))
}

fn proxy(config: &Config) -> Finding {
    let set: Vec<&str> = PROXIES.into_iter().filter(|name| std::env::var_os(name).is_some()).collect();
    match &config.network.proxy {
        Proxy::Off => Finding::ok("proxy", "none, as configured"),
        Proxy::Url(_) => Finding::ok("proxy", "the one in [network] proxy"),
        Proxy::Env if set.is_empty() => Finding::ok("proxy", "none in the environment"),
        // It may carry a password.
        Proxy::Env => Finding::ok("proxy", format!("from the environment: {}", set.join(", "))),
    }
}

fn names(config: &Config) -> Vec<Finding> {
    let hosts: BTreeSet<String> = config
        .subscriptions
        .iter()
        .filter(|each| each.active)
        .filter_map(|each| {
            let url = url::Url::parse(&each.url).ok()?;
            match url.host()? {
                url::Host::Domain(name) => Some(name.to_owned()),
                url::Host::Ipv4(_) | url::Host::Ipv6(_) => None,
            }
        })
        .collect();
    if hosts.is_empty() {
        return vec![Finding::ok("dns", "every endpoint is an address")];
    }
    let (asked, questions) = bounded(hosts.len());
    let (answer, answers) = bounded(hosts.len());
    for host in &hosts {
        // There is room for all of them.
        let _ = asked.send(host.clone());
    }
    drop(asked);
    for _ in 0..LOOKUPS_MAX.min(hosts.len()) {
        let (questions, answer) = (questions.clone(), answer.clone());
        thread::spawn(move || {
            for host in questions {
                let result = (host.as_str(), 443).to_socket_addrs().map(|addresses| addresses.count());
                let _ = answer.send((host, result.map_err(|error| error.to_string())));
            }
        });
    }
    drop(answer);
    let deadline = crossbeam_channel::after(PATIENCE);
    let mut open = hosts;
    let mut found = Vec::new();
    while !open.is_empty() {
        crossbeam_channel::select! {
            recv(answers) -> told => {
                let Ok((host, result)) = told else { break };
                open.remove(&host);
                found.push(judge(&host, result));
            }
            recv(deadline) -> _ => break,
        }
    }
    let late = |host: &String| {
        Finding::fail(
            "dns",
            format!("{host}: no answer within {} s", PATIENCE.as_secs()),
            "is the name server reachable?",
        )
    };
    found.extend(open.iter().map(late));
    found.sort_by(|a, b| a.detail.cmp(&b.detail));
    found
}

fn judge(host: &str, result: Result<usize, String>) -> Finding {
    match result {
        Ok(0) => Finding::fail("dns", format!("{host} has no address"), "is the name right?"),
        Ok(1) => Finding::ok("dns", format!("{host}: 1 address")),
        Ok(count) => Finding::ok("dns", format!("{host}: {count} addresses")),
        Err(reason) => {
            Finding::fail("dns", format!("{host} is not found: {reason}"), "is the name right, and DNS set up?")
        }
    }
}
