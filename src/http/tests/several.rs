//! Several requests of one worker on their way at a time.

use std::time::Duration;

use super::support::{AMPLE, BRIEF, Client, OK, Peer, Server, outcome, pause};
use crate::http::{Evidence, Transport};
use crate::model::Outcome;
use crate::wire::Request;

/// Sends requests with these bodies at once and ends them as they are found. In the order of the bodies.
fn exchange(client: &Client, bodies: &[&str], timeout: Duration) -> Vec<Evidence> {
    let request = |body: &&str| Request { headers: Vec::new(), body: body.as_bytes().to_vec() };
    let begin = |body| client.transport.begin(&client.endpoint, &request(body), timeout).expect("it is sent");
    let (mut pending, mut places): (Vec<_>, Vec<_>) = bodies.iter().map(begin).zip(0..).unzip();
    let mut ended: Vec<Option<Evidence>> = bodies.iter().map(|_| None).collect();
    let mut found = Vec::new();
    while !pending.is_empty() {
        client.transport.await_any(&mut pending, None, &mut found);
        assert!(!found.is_empty());
        for at in found.drain(..).rev() {
            let evidence = client.transport.end(&client.endpoint, pending.swap_remove(at));
            ended[places.swap_remove(at)] = Some(evidence);
        }
    }
    ended.into_iter().map(Option::unwrap).collect()
}

/// Answers each request with the status that its body names.
fn echo(peer: &mut Peer<'_>) {
    while let Some(request) = peer.request() {
        let body = request.split_once("\r\n\r\n").unwrap().1.to_owned();
        peer.answer(format!("HTTP/1.1 {body} X\r\nContent-Length: 0\r\n\r\n").as_bytes());
    }
}

#[test]
fn each_gets_the_answer_to_its_own_request() {
    let server = Server::start(echo);
    let client = Client::new(&server.url());
    let bodies = ["200", "201", "202", "400", "404", "500", "503", "204"];
    for _ in 0..20 {
        let statuses: Vec<String> = exchange(&client, &bodies, AMPLE)
            .into_iter()
            .map(|evidence| evidence.result.unwrap().status.to_string())
            .collect();
        assert_eq!(statuses, bodies);
    }
    assert_eq!(server.connections(), bodies.len(), "connections are used again");
}

#[test]
fn what_came_in_time_counts_though_another_took_all_of_it() {
    let server = Server::start(|peer| {
        if let Some(request) = peer.request() {
            if !request.ends_with("drip") {
                return peer.answer(OK);
            }
            for byte in b"HTTP/1.1 200 OK\r\nX: ".iter().chain(&[b'x'; 2000]) {
                peer.answer(&[*byte]);
                pause(Duration::from_millis(5));
            }
        }
    });
    let client = Client::new(&server.url());
    let request = |body: &str| Request { headers: Vec::new(), body: body.into() };
    let begin = |body| client.transport.begin(&client.endpoint, &request(body), Duration::from_secs(1)).unwrap();
    let (quick, slow) = (begin("quick"), begin("drip"));
    // The worker comes to the slow one first, which takes all the time there is.
    let slow = client.transport.end(&client.endpoint, slow);
    let quick = client.transport.end(&client.endpoint, quick);
    assert_eq!((outcome(&slow), outcome(&quick)), (Outcome::TimeoutResponse, Outcome::Success), "{quick:?}");
}

#[test]
fn a_connection_that_cannot_be_made_is_known_at_once() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let client = Client::new(&format!("http://{address}/"));
    assert!(!client.transport.is_ready(&client.endpoint), "nothing is known of it");
    let request = Request { headers: Vec::new(), body: Vec::new() };
    let evidence = client.transport.begin(&client.endpoint, &request, AMPLE).err().expect("nobody listens");
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::Refused, 0));
    let server = Server::start(echo);
    let client = Client::new(&server.url());
    assert_eq!(exchange(&client, &["200"], AMPLE).len(), 1);
    assert!(client.transport.is_ready(&client.endpoint), "there is an idle connection");
}

#[test]
fn waiting_ends_when_it_should() {
    let server = Server::start(|peer| peer.hang());
    let client = Client::new(&server.url());
    let request = Request { headers: Vec::new(), body: Vec::new() };
    let mut found = vec![7];
    let mut pending = vec![client.transport.begin(&client.endpoint, &request, AMPLE).unwrap()];
    client.transport.await_any(&mut pending, Some(Duration::from_millis(5)), &mut found);
    assert!(found.is_empty(), "silence");
    pending.push(client.transport.begin(&client.endpoint, &request, BRIEF).unwrap());
    client.transport.await_any(&mut pending, None, &mut found);
    assert_eq!(found, vec![1], "its time is over");
    let evidence = client.transport.end(&client.endpoint, pending.swap_remove(1));
    assert_eq!(outcome(&evidence), Outcome::TimeoutResponse);
}
