//! Receivers that hang, lie, break off or flood: one transmission each, and the right words for it.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::support::{AMPLE, BRIEF, Client, OK, Peer, Server, outcome, pause};
use crate::http::Evidence;
use crate::model::Outcome;

/// Sends once to a server that plays `script` after the request.
fn after_request(timeout: Duration, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> (Evidence, Server) {
    let server = Server::start(move |peer| {
        if peer.request().is_some() {
            script(peer);
        }
    });
    let evidence = Client::new(&server.url()).send(timeout);
    (evidence, server)
}

fn check_failure(timeout: Duration, expected: Outcome, script: impl Fn(&mut Peer) + Send + Sync + 'static) -> String {
    let (evidence, server) = after_request(timeout, script);
    assert_eq!(outcome(&evidence), expected, "{evidence:?}");
    assert!(evidence.request_bytes > 0 && evidence.remote == Some(server.address));
    assert!(evidence.elapsed < timeout + Duration::from_millis(500), "{:?}", evidence.elapsed);
    assert_eq!(server.requests().len(), 1);
    evidence.result.unwrap_err().message
}

fn check_response(timeout: Duration, status: u16, answer: &'static [u8]) -> Evidence {
    let (evidence, server) = after_request(timeout, move |peer| {
        peer.answer(answer);
    });
    assert_eq!(evidence.result.as_ref().map(|response| response.status), Ok(status), "{evidence:?}");
    assert_eq!(server.requests().len(), 1);
    evidence
}

#[test]
fn nobody_listens() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let evidence = Client::new(&format!("http://{address}/hooks")).send(AMPLE);
    assert_eq!((outcome(&evidence), evidence.request_bytes, evidence.remote), (Outcome::Refused, 0, None));
    assert_eq!(evidence.result.unwrap_err().message, format!("{address} refused the connection"));
}

#[test]
fn no_answer() {
    check_failure(BRIEF, Outcome::TimeoutResponse, |peer| peer.hang());
}

#[test]
fn only_provisional_answers() {
    check_failure(BRIEF, Outcome::TimeoutResponse, |peer| {
        for _ in 0..20 {
            peer.answer(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n");
        }
        peer.answer(b"HTTP/1.1 100 Continue\r\n\r\n");
        peer.hang();
    });
}

#[test]
fn a_provisional_answer_before_the_real_one() {
    check_response(AMPLE, 204, b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn a_head_that_drips() {
    check_failure(BRIEF, Outcome::TimeoutResponse, |peer| {
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" {
            pause(Duration::from_millis(20));
            peer.answer(&[*byte]);
        }
    });
}

#[test]
fn a_request_that_is_never_taken() {
    let server = Server::start_raw(|mut stream, _| {
        stream.read_exact(&mut [0; 10]).unwrap();
        pause(Duration::from_millis(600));
    });
    let client = Client::new(&server.url());
    let request = crate::wire::Request { headers: Vec::new(), body: vec![b'x'; 32 << 20] };
    let evidence = crate::http::Transport::send(&client.transport, &client.endpoint, &request, BRIEF);
    assert_eq!(outcome(&evidence), Outcome::TimeoutResponse);
    assert!(evidence.request_bytes > 0 && evidence.request_bytes < 32 << 20);
}

#[test]
fn closed_without_an_answer() {
    check_failure(AMPLE, Outcome::Reset, |_| {});
}

#[test]
fn closed_in_the_middle_of_the_head() {
    check_failure(AMPLE, Outcome::Reset, |peer| peer.answer(b"HTTP/1.1 200 OK\r\nContent-"));
}

#[test]
fn reset_before_the_request_is_read() {
    let server = Server::start_raw(|mut stream, _| {
        stream.read_exact(&mut [0; 1]).unwrap();
        // Closing with unread bytes makes the kernel answer with RST.
    });
    let evidence = Client::new(&server.url()).send(AMPLE);
    assert_eq!(outcome(&evidence), Outcome::Reset);
    assert!(evidence.request_bytes > 0);
}

#[test]
fn not_http() {
    let message = check_failure(AMPLE, Outcome::InvalidResponse, |peer| peer.answer(b"SSH-2.0-OpenSSH_9.6\r\n"));
    assert!(message.starts_with("the answer is not HTTP"), "{message}");
    check_failure(AMPLE, Outcome::InvalidResponse, |peer| peer.answer(b"HTTP/1.1 099 Odd\r\n\r\n"));
    check_failure(AMPLE, Outcome::InvalidResponse, |peer| peer.answer(b"HTTP/7.1 200 OK\r\n\r\n"));
}

#[test]
fn a_status_line_without_end() {
    check_failure(AMPLE, Outcome::TooLarge, |peer| {
        peer.answer(b"HTTP/1.1 200 ");
        for _ in 0..40 {
            peer.answer(&[b'x'; 4096]);
        }
    });
}

#[test]
fn a_huge_head() {
    check_failure(AMPLE, Outcome::TooLarge, |peer| {
        peer.answer(format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(70_000)).as_bytes());
    });
    check_failure(AMPLE, Outcome::TooLarge, |peer| {
        peer.answer(format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(10_000)).as_bytes());
    });
}

#[test]
fn a_large_head_within_the_limit() {
    let (evidence, _server) = after_request(AMPLE, |peer| {
        peer.answer(format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(60_000)).as_bytes());
    });
    assert_eq!(evidence.result.unwrap().headers[0].1.len(), 60_000);
}

#[test]
fn redirects_are_not_followed() {
    let other = Server::answering(OK);
    for status in [301, 302, 307, 308] {
        let location = format!("HTTP/1.1 {status} Moved\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", other.url());
        let evidence = check_response(AMPLE, status, location.leak().as_bytes());
        assert_eq!(outcome(&evidence), Outcome::Http3xx);
        assert_eq!(evidence.result.unwrap().headers[0].0, "location");
    }
    check_response(AMPLE, 302, b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n");
    assert_eq!(other.connections(), 0);
}

#[test]
fn every_way_to_say_nothing() {
    check_response(AMPLE, 200, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    check_response(AMPLE, 204, b"HTTP/1.1 204 No Content\r\n\r\n");
    check_response(AMPLE, 204, b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello");
    check_response(AMPLE, 200, b"HTTP/1.1 200 OK\r\n\r\n");
    check_response(AMPLE, 200, b"HTTP/1.0 200 OK\r\n\r\nhello");
    let evidence =
        check_response(AMPLE, 200, b"HTTP/1.1 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n");
    assert_eq!(evidence.result.unwrap().body, b"ok");
}

#[test]
fn bytes_after_the_answer_spoil_the_connection_only() {
    let server = Server::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 500 Bogus\r\n\r\n");
    let client = Client::new(&server.url());
    for _ in 0..3 {
        assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success);
    }
    assert_eq!(server.connections(), 3);
}

#[test]
fn a_2xx_head_is_success_whatever_the_body_does() {
    let evidence = check_response(AMPLE, 200, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartial");
    assert_eq!(evidence.result.unwrap().body, b"partial");
    check_response(AMPLE, 202, b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n");
    let (evidence, _server) = after_request(BRIEF, |peer| {
        peer.answer(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow");
        peer.hang();
    });
    assert_eq!(evidence.result.unwrap().body, b"slow");
}

#[test]
fn compressed_bodies_stay_as_they_are() {
    let answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00";
    let response = check_response(AMPLE, 200, answer).result.unwrap();
    assert_eq!(response.body, b"\x1f\x8b\x08\x00");
    assert!(response.headers.contains(&("content-encoding".to_owned(), "gzip".to_owned())));
}

#[test]
fn a_connection_closed_while_idle_is_replaced_before_anything_is_sent() {
    let server = Server::start(|peer| {
        peer.request();
        peer.answer(OK);
    });
    let client = Client::new(&server.url());
    for _ in 0..3 {
        assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success);
        pause(Duration::from_millis(20));
    }
    assert_eq!((server.requests().len(), server.connections()), (3, 3));
}

#[test]
fn a_connection_that_dies_under_a_request_is_one_transmission() {
    let server = Server::start(|peer| {
        peer.request();
        peer.answer(OK);
        peer.request();
    });
    let client = Client::new(&server.url());
    assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success);
    let second = client.send(AMPLE);
    assert_eq!(outcome(&second), Outcome::Reset);
    assert!(second.request_bytes > 0 && second.remote == Some(server.address));
    assert_eq!((server.requests().len(), server.connections()), (2, 1));
}

#[test]
fn slow_and_fast_endpoints_do_not_share_anything() {
    let arrived = std::sync::Arc::new(AtomicUsize::new(0));
    let counter = std::sync::Arc::clone(&arrived);
    let slow = Server::start(move |peer| {
        peer.request();
        counter.fetch_add(1, Ordering::SeqCst);
        peer.hang();
    });
    let transport = super::support::transport();
    let endpoint = |server: &Server| {
        transport.endpoint(&super::support::subscription(&server.url()), crate::http::Origin::File).unwrap()
    };
    let fast = Server::answering(OK);
    let (slow_endpoint, fast_endpoint) = (endpoint(&slow), endpoint(&fast));
    std::thread::scope(|scope| {
        use crate::http::Transport;
        let hanging = scope.spawn(|| transport.send(&slow_endpoint, &super::support::request(), BRIEF * 2));
        while arrived.load(Ordering::SeqCst) == 0 {
            std::thread::yield_now();
        }
        let quick = transport.send(&fast_endpoint, &super::support::request(), AMPLE);
        assert_eq!(outcome(&quick), Outcome::Success);
        assert!(!hanging.is_finished());
        assert_eq!(outcome(&hanging.join().unwrap()), Outcome::TimeoutResponse);
    });
}

#[test]
fn a_reset_in_the_body_changes_nothing() {
    let server = Server::start_raw(|mut stream, _| {
        stream.read_exact(&mut [0; 20]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart").unwrap();
        pause(Duration::from_millis(30));
    });
    assert_eq!(outcome(&Client::new(&server.url()).send(AMPLE)), Outcome::Success);
}
