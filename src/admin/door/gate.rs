//! What a request over TCP passes before the routes see it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, Method, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};

use super::Door;
use super::origin::{Sender, is_our_host};
use super::tokens::Known;
use crate::admin::caller::{Caller, Scope};
use crate::admin::problem::{Problem, ProblemKind};

/// Answered to everybody: they say nothing that is worth asking under a wrong name.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[derive(Clone)]
struct Gate {
    door: Arc<Door>,
    listen: SocketAddr,
}

const METRICS: &str = "/metrics";

/// Somebody whom no token names, and what to tell them where one is needed.
#[derive(Clone, Debug)]
pub(in crate::admin) struct Stranger {
    pub advice: &'static str,
}

const NO_TOKEN: &str = "give a token: Authorization: Bearer TOKEN";
const NONE_EXISTS: &str = "no token exists yet: make one on the engine's machine with `spoolhook token create NAME --scope \
                           admin`, or put one into a file and name it as [admin] token_file; then give it: Authorization: \
                           Bearer TOKEN";
const WRONG_TOKEN: &str = "this token is not known; it may have been revoked. On the engine's machine `spoolhook token list` \
                           shows which there are";
const NOT_BEARER: &str = "the Authorization header is not understood; give a token: Authorization: Bearer TOKEN";

/// Puts the gate before `router`, which is reached at `listen`.
pub(in crate::admin) fn over_tcp(router: Router, door: Arc<Door>, listen: SocketAddr) -> Router {
    router.layer(middleware::from_fn_with_state(Gate { door, listen }, pass))
}

/// The name of the token that a request showed, for the log.
#[derive(Clone, Debug)]
pub(in crate::admin) struct Asker(pub String);

async fn pass(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let mut asker = None;
    match gate.judge(&request) {
        Ok(Ok(known)) => {
            // Tenants may have tokens of one name.
            asker = Some(Asker(match &known.caller.tenant {
                Some(tenant) => format!("{tenant}/{}", known.caller.name),
                None => known.caller.name.clone(),
            }));
            request.extensions_mut().insert(known.proof);
            request.extensions_mut().insert(known.caller);
        }
        Ok(Err(stranger)) => {
            let (mut parts, body) = request.into_parts();
            // Where a proxy stands before it, its requests may look like those of a program here.
            let reader = reader_of_metrics(&parts).filter(|_| gate.door.hosts().is_empty());
            parts.extensions.insert(stranger);
            reader.map(|reader| parts.extensions.insert(reader));
            request = Request::from_parts(parts, body);
        }
        Err(problem) => return problem.into_response(),
    }
    let mut response = next.run(request).await;
    if let Some(asker) = asker {
        response.extensions_mut().insert(asker);
    }
    response
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    // What is no text is no name of ours either.
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

/// Requests of HTTP/1.1 say where they were sent to in `Host`, or in their first line when a proxy was meant.
fn host(request: &Request) -> Option<&str> {
    text(request.headers(), &header::HOST).or_else(|| request.uri().authority().map(|authority| authority.as_str()))
}

fn peer(request: &Request) -> IpAddr {
    let known = request.extensions().get::<ConnectInfo<SocketAddr>>();
    known.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| address.ip())
}

impl Gate {
    fn judge(&self, request: &Request) -> Result<Result<Known, Stranger>, Problem> {
        let names = self.door.hosts();
        let host = host(request);
        let is_probe = PROBES.contains(&request.uri().path());
        if !is_probe && host.is_some_and(|host| !is_our_host(host, self.listen, &names)) {
            let detail = "this name is not known here, which protects against DNS rebinding; ask for the address, or add the \
                          name to [admin] hosts";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let headers = request.headers();
        let is_write = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        let (origin, fetch_site) = (text(headers, &header::ORIGIN), text(headers, &FETCH_SITE));
        if is_write && !(Sender { host, origin, fetch_site }).is_ours(&names) {
            let detail = "a page of another origin sent this; if it is yours, add its name to [admin] hosts";
            return Err(Problem::new(ProblemKind::Forbidden, detail));
        }
        let identified = self.identify(text(headers, &header::AUTHORIZATION), peer(request));
        // Whoever looks after the machine is told how it is, whatever its neighbours try.
        if is_probe { Ok(identified.unwrap_or(Err(Stranger { advice: WRONG_TOKEN }))) } else { identified }
    }

    fn identify(&self, shown: Option<&str>, peer: IpAddr) -> Result<Result<Known, Stranger>, Problem> {
        let advice = if self.door.tokens.is_empty() { NONE_EXISTS } else { NO_TOKEN };
        let Some(shown) = shown else { return Ok(Err(Stranger { advice })) };
        let Some((scheme, token)) = shown.split_once(' ') else { return Ok(Err(Stranger { advice: NOT_BEARER })) };
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Ok(Err(Stranger { advice: NOT_BEARER }));
        }
        let now = self.door.clock.monotonic();
        // Nobody finds a token of ours by trying: slowing guesses down is for one that somebody made up.
        let wait = self.door.throttle.wait(peer, now).filter(|_| self.door.tokens.has_a_guessable_one());
        match (self.door.tokens.find(token.trim()), wait) {
            (Some(known), None) => Ok(Ok(known)),
            // A neighbour's mistakes need not keep its owner out.
            (Some(known), Some(_)) if !known.is_guessable => Ok(Ok(known)),
            (_, Some(wait)) => Err(too_many(wait)),
            (None, None) => {
                self.door.throttle.wrong(peer, now);
                let advice = if self.door.tokens.is_empty() { NONE_EXISTS } else { WRONG_TOKEN };
                Ok(Err(Stranger { advice }))
            }
        }
    }
}

fn too_many(wait: Duration) -> Problem {
    let seconds = wait.as_secs() + 1;
    let detail = format!("too many wrong tokens came from this address; try again in {seconds} s");
    Problem::new(ProblemKind::RateLimited, detail).with("retry_after_s", seconds.into())
}

/// Programs on this machine may read `/metrics` without a token. A request that a proxy passed on is nobody's of this machine.
pub(super) fn reader_of_metrics(parts: &Parts) -> Option<Caller> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    let is_local = peer.is_some_and(|ConnectInfo(address)| address.ip().to_canonical().is_loopback());
    let was_passed_on = ["x-forwarded-for", "forwarded", "via"].iter().any(|name| parts.headers.contains_key(*name));
    let may = is_local && !was_passed_on && parts.uri.path() == METRICS && parts.method == Method::GET;
    may.then(|| Caller { name: "loopback".to_owned(), scope: Scope::Read, tenant: None })
}
