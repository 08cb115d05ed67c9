//! TLS with real certificates: what is trusted, what is not, and who is to blame.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tempfile::TempDir;

use super::support::{AMPLE, BRIEF, Client, OK, Peer, Server, outcome, peer, request, subscription, transport};
use crate::http::{EndpointError, Evidence, Origin, RemoteClient, TlsError, Transport};
use crate::model::{Outcome, Secret, Tls};

struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    der: CertificateDer<'static>,
}

struct Leaf {
    pem: String,
    der: CertificateDer<'static>,
    key: KeyPair,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self { pem: certificate.pem(), der: certificate.der().clone(), issuer: Issuer::new(params, key) }
    }

    fn sign(&self, name: &str, change: impl Fn(&mut CertificateParams)) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Leaf { pem: certificate.pem(), der: certificate.der().clone(), key }
    }
}

fn serve(leaf: &Leaf, clients: Option<&Authority>) -> Server {
    serve_as(leaf, clients, |peer| {
        while peer.request().is_some() {
            peer.answer(OK);
        }
    })
}

fn serve_as(
    leaf: &Leaf,
    clients: Option<&Authority>,
    script: impl Fn(&mut Peer<'_>) + Send + Sync + 'static,
) -> Server {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(authority) => {
            let mut roots = RootCertStore::empty();
            roots.add(authority.der.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
            builder.with_client_cert_verifier(verifier)
        }
    };
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(leaf.key.serialize_der()));
    let config = Arc::new(builder.with_single_cert(vec![leaf.der.clone()], key).unwrap());
    Server::start_raw(move |tcp, requests: &Mutex<Vec<String>>| {
        let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(&config)).unwrap(), tcp);
        script(&mut peer(&mut stream, requests));
    })
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> Option<PathBuf> {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        Some(path)
    }
}

fn client(server: &Server, tls: Tls) -> Client {
    let mut subscription = subscription(&format!("https://localhost:{}/hooks/t0ken", server.address.port()));
    subscription.tls = tls;
    Client::of(&subscription)
}

fn check_refused(leaf: &Leaf, ca: Option<PathBuf>, expected: Outcome) -> Evidence {
    let server = serve(leaf, None);
    let evidence = client(&server, Tls { ca_file: ca, ..Tls::default() }).send(AMPLE);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (expected, 0), "{evidence:?}");
    assert_eq!(evidence.remote.map(|remote| remote.port()), Some(server.address.port()));
    assert!(server.requests().is_empty());
    evidence
}

#[test]
fn session_tickets_are_no_answer() {
    let (authority, files) = (Authority::new(), Files::new());
    let server = serve_as(&authority.sign("localhost", |_| {}), None, |peer| {
        peer.request();
        peer.hang();
    });
    let client = client(&server, Tls { ca_file: files.write("ca.pem", &authority.pem), ..Tls::default() });
    let begin = || client.transport.begin(&client.endpoint, &request(), AMPLE).unwrap();
    let mut pending = vec![begin(), begin()];
    let mut found = Vec::new();
    client.transport.await_any(&mut pending, Some(Duration::from_millis(100)), &mut found);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn the_end_of_the_certificate_is_known_once_it_was_shown() {
    let (authority, files) = (Authority::new(), Files::new());
    let until = |year, month, day| {
        let leaf = authority.sign("localhost", |params| params.not_after = date_time_ymd(year, month, day));
        let server = serve(&leaf, None);
        let client = client(&server, Tls { ca_file: files.write("ca.pem", &authority.pem), ..Tls::default() });
        assert_eq!(client.endpoint.certificate_until(), None);
        assert_eq!(outcome(&client.send(AMPLE)), Outcome::Success);
        client.endpoint.certificate_until().unwrap().to_string()
    };
    assert_eq!(until(2031, 5, 6), "2031-05-06T00:00:00.000Z");
    // What says that it never ends (RFC 5280, 4.1.2.5) ends where dates do.
    assert_eq!(until(9999, 12, 31), "9999-12-30T22:00:00.999Z");
}

#[test]
fn several_requests_share_a_tls_endpoint() {
    let (authority, files) = (Authority::new(), Files::new());
    let server = serve(&authority.sign("localhost", |_| {}), None);
    let client = client(&server, Tls { ca_file: files.write("ca.pem", &authority.pem), ..Tls::default() });
    for _ in 0..3 {
        let mut pending: Vec<_> =
            (0..4).map(|_| client.transport.begin(&client.endpoint, &request(), AMPLE).unwrap()).collect();
        let mut found = Vec::new();
        while !pending.is_empty() {
            client.transport.await_any(&mut pending, None, &mut found);
            for at in found.drain(..).rev() {
                let evidence = client.transport.end(&client.endpoint, pending.swap_remove(at));
                assert_eq!(outcome(&evidence), Outcome::Success, "{evidence:?}");
            }
        }
    }
    assert_eq!(server.connections(), 4);
}

#[test]
fn a_private_ca_is_trusted_when_it_is_named() {
    let (authority, files) = (Authority::new(), Files::new());
    let server = serve(&authority.sign("localhost", |_| {}), None);
    let client = client(&server, Tls { ca_file: files.write("ca.pem", &authority.pem), ..Tls::default() });
    for _ in 0..3 {
        let evidence = client.send(AMPLE);
        assert_eq!(outcome(&evidence), Outcome::Success, "{evidence:?}");
        assert_eq!(evidence.request_bytes, server.requests()[0].len() as u64);
    }
    assert_eq!((server.requests().len(), server.connections()), (3, 1));
}

#[test]
fn bad_certificates_have_their_own_outcomes() {
    let (authority, files) = (Authority::new(), Files::new());
    let ca = || files.write("ca.pem", &authority.pem);
    check_refused(&authority.sign("localhost", |_| {}), None, Outcome::TlsUnknownCa);
    check_refused(&authority.sign("other.example", |_| {}), ca(), Outcome::TlsName);
    let expired = authority.sign("localhost", |params| params.not_after = date_time_ymd(2020, 1, 1));
    check_refused(&expired, ca(), Outcome::TlsExpired);
    let early = authority.sign("localhost", |params| params.not_before = date_time_ymd(3000, 1, 1));
    let evidence = check_refused(&early, ca(), Outcome::TlsExpired);
    assert!(evidence.result.unwrap_err().message.contains("not valid yet"));
}

#[test]
fn an_address_is_a_name_too() {
    let (authority, files) = (Authority::new(), Files::new());
    let server = serve(&authority.sign("127.0.0.1", |_| {}), None);
    let mut subscription = subscription(&format!("https://{}/", server.address));
    subscription.tls.ca_file = files.write("ca.pem", &authority.pem);
    assert_eq!(outcome(&Client::of(&subscription).send(AMPLE)), Outcome::Success);
}

#[test]
fn a_port_that_does_not_speak_tls() {
    let plain = Server::start(|peer| {
        peer.answer(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        peer.hang();
    });
    let evidence = client(&plain, Tls::default()).send(AMPLE);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::TlsOther, 0));
    let closing = Server::start_raw(|mut stream, _| {
        std::io::Read::read(&mut stream, &mut [0; 4096]).unwrap();
    });
    let evidence = client(&closing, Tls::default()).send(AMPLE);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::Reset, 0));
}

#[test]
fn a_handshake_that_hangs() {
    let silent = Server::start(|peer| peer.hang());
    let evidence = client(&silent, Tls::default()).send(BRIEF);
    assert_eq!((outcome(&evidence), evidence.request_bytes), (Outcome::TimeoutConnect, 0));
    assert!(evidence.elapsed < BRIEF * 4);
}

#[test]
fn client_certificates() {
    let (authority, files) = (Authority::new(), Files::new());
    let server = serve(&authority.sign("localhost", |_| {}), Some(&authority));
    let ca_file = files.write("ca.pem", &authority.pem);
    let missing = client(&server, Tls { ca_file: ca_file.clone(), ..Tls::default() }).send(AMPLE);
    assert_eq!(outcome(&missing), Outcome::TlsOther, "{missing:?}");
    assert!(server.requests().is_empty());

    let own = authority.sign("spoolhook", |_| {});
    let tls = Tls {
        ca_file,
        client_cert_file: files.write("own.pem", &own.pem),
        client_key_file: files.write("own.key", &own.key.serialize_pem()),
    };
    assert_eq!(outcome(&client(&server, tls).send(AMPLE)), Outcome::Success);
}

#[test]
fn bad_files_are_errors_at_load() {
    let (authority, files) = (Authority::new(), Files::new());
    let (one, other) = (authority.sign("one", |_| {}), authority.sign("other", |_| {}));
    let certificate = files.write("one.pem", &one.pem);
    let key = files.write("one.key", &one.key.serialize_pem());
    let load = |tls: Tls| {
        let mut subscription = subscription("https://oms.lan/");
        subscription.tls = tls;
        match transport().endpoint(&subscription, Origin::File) {
            Err(EndpointError::Tls(error)) => error,
            other => panic!("loaded: {}", other.is_ok()),
        }
    };
    let ca = |text: &str| load(Tls { ca_file: files.write("ca.pem", text), ..Tls::default() });
    assert!(matches!(ca("hello"), TlsError::NoCertificate(_)));
    assert!(matches!(ca("-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n"), TlsError::Pem { .. }));
    let garbled = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    let second = ca(&format!("{}{garbled}", authority.pem));
    assert!(matches!(second, TlsError::BadCertificate { number: 2, .. }), "{second}");

    let pair = |client_cert_file, client_key_file| load(Tls { ca_file: None, client_cert_file, client_key_file });
    let mismatch = pair(certificate.clone(), files.write("other.key", &other.key.serialize_pem()));
    assert!(matches!(mismatch, TlsError::Mismatch { .. }), "{mismatch}");
    assert!(matches!(pair(certificate.clone(), None), TlsError::Incomplete));
    assert!(matches!(pair(certificate.clone(), certificate.clone()), TlsError::NoKey(_)));
    assert!(matches!(pair(key.clone(), key.clone()), TlsError::NoCertificate(_)));
    assert!(matches!(pair(certificate, Some(files.0.path().join("none.key"))), TlsError::Read { .. }));
}

#[test]
fn the_command_lines_client_trusts_the_ca_it_is_given_and_shows_its_token_to_nobody_else() {
    let (authority, dir) = (Authority::new(), TempDir::new().unwrap());
    let server = serve(&authority.sign("127.0.0.1", |_| {}), None);
    let base = format!("https://{}/", server.address);
    let client = |ca: Option<&std::path::Path>| RemoteClient::new(&base, Some(Secret::new("sph_t0ken")), ca);
    let refused = client(None).unwrap().request("GET", "/v1/status", None).unwrap_err();
    assert!(refused.to_string().contains("UnknownIssuer") && server.requests().is_empty(), "{refused}");
    let file = dir.path().join("ca.pem");
    fs::write(&file, &authority.pem).unwrap();
    let trusting = client(Some(&file)).unwrap();
    assert_eq!(trusting.request("POST", "/v1/status?a=b", None).unwrap(), (200, b"ok".to_vec()));
    let seen = server.requests().remove(0).to_lowercase();
    assert!(seen.starts_with("post /v1/status?a=b ") && seen.contains("authorization: bearer sph_t0ken"), "{seen}");
    fs::write(&file, "nothing").unwrap();
    assert!(matches!(client(Some(&file)), Err(TlsError::NoCertificate(_))));
}
