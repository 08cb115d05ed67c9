//! Carbon promises one header. A bare socket sees what a web framework would hide.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::peers::site::Site;

/// Takes one request: its head, line by line, and its body.
fn take_one(listener: &TcpListener) -> (Vec<String>, Vec<u8>) {
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).unwrap(), 0, "the request ended early: {head:?}");
        match line.strip_suffix("\r\n").unwrap() {
            "" => break,
            text => head.push(text.to_owned()),
        }
    }
    let length = head.iter().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap()];
    stream.read_exact(&mut body).unwrap();
    stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
    (head, body)
}

#[test]
fn one_header_and_what_http_itself_needs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let taken = thread::spawn(move || take_one(&listener));
    let mut site = Site::new();
    site.configure(&format!(
        "[[subscription]]\nname = 'erp'\nurl = 'http://{addr}/in/T0ken?k=a%20b&x'\ndialect = 'carbon'\n\
         table = 'salesOrder'\noperations = ['update']\n[subscription.params]\ncompany_id = 'abc123'\n"
    ));
    let data = r#"{ "id": "1",  "status": "To Ship and Invoice" }"#;
    site.write(&[&format!(
        r#"{{"type":"salesOrder.updated","traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","data":{data},"old":{{"id":"1","status":"Draft"}}}}"#
    )]);
    site.run();
    let (head, body) = taken.join().unwrap();
    let expected = format!(
        r#"{{"type":"UPDATE","table":"salesOrder","companyId":"abc123","record":{data},"old":{{"id":"1","status":"Draft"}}}}"#
    );
    assert_eq!(String::from_utf8_lossy(&body), expected);
    assert_eq!(head[0], "POST /in/T0ken?k=a%20b&x HTTP/1.1");
    let mut headers: Vec<String> = head[1..].iter().map(|line| line.to_ascii_lowercase()).collect();
    headers.sort();
    let length = format!("content-length: {}", body.len());
    assert_eq!(headers, [length, "content-type: application/json".to_owned(), format!("host: {addr}")]);
}
