//! JSON that no library would write back the same: it must arrive byte for byte, in every dialect.

use spoolhook::receiver::Received;
use spoolhook::wire::EXAMPLES;

use crate::peers::site::{Site, receiver};

const SECRET: &str = "secret = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'";

/// Numbers beyond every type, keys out of order and twice, escapes that mean nothing else, a lone surrogate, blanks.
const RECORD: &str = concat!(
    r#"{ "huge":1e400,"tiny":-1E-0400 , "big":9007199254740993,"wide":123456789012345678901234567890.10,"minus":-0,"#,
    r#""float":1.0,"exp":1E+2,"z":1,"a":2,"twice":{"k":1,"k":"2","k":1},"escaped":"\u00e9\u0041\/","plain":"é/","#,
    r#""lone":"\ud800","pair":"\ud83d\ude00","nul":"\u0000","line":"\u2028 "#,
    "\u{2028}\u{feff}",
    r#"","":{},"quotes":"\"{{data}}\" \\ \\u00e9","  blank  ":  [  1 ,"#,
    "\t2 ,\r3",
    r#"  ] ,"empty":[ ] }"#,
);

const DATA: [&str; 7] = [RECORD, "1e400", "-0", "9007199254740993", "\"\\ud800 é \\u00e9\"", "[ ]", "{ }"];

/// Name, dialect, more of the subscription, and the body around what the producer wrote.
const SHAPES: &[(&str, &str, &str, &str)] = &[
    ("carbon", "carbon", "", r#"{"type":"UPDATE","table":"order","companyId":"default","record":DATA,"old":OLD}"#),
    ("carriyo", "carriyo", "", r#"{"oldImage":OLD,"newImage":DATA,"trigger":"updated","operation":"UPDATE"}"#),
    (
        "umbra",
        "umbra",
        SECRET,
        r#"{"event":"order.updated","data":DATA,"timestamp":"2026-03-12T10:00:00Z","deliveryId":"DELIVERY"}"#,
    ),
    ("clarus", "clarus", "[subscription.params]\ndomain = 'd'\nautomation_id = '7'", "DATA"),
    ("standard", "standard", SECRET, r#"{"type":"order.updated","timestamp":"2026-03-12T10:00:00Z","data":DATA}"#),
    (
        "structured",
        "cloudevents",
        "",
        r#"{"specversion":"1.0","id":"ID","source":"/spoolhook/default","type":"order.updated","time":"2026-03-12T10:00:00Z","datacontenttype":"application/json","data":DATA}"#,
    ),
    ("binary", "cloudevents", "[subscription.params]\nmode = 'binary'", "DATA"),
    ("github", "github", SECRET, r#"{"action":"updated","order":DATA}"#),
    (
        "stripe",
        "stripe",
        SECRET,
        r#"{"id":"ID","object":"event","type":"order.updated","data":{"object":DATA,"previous_attributes":OLD}}"#,
    ),
    ("mine", "mine", "", r#"{"now":DATA,"then":OLD,"the":{"whole":EVENT}}"#),
];

const MINE: &str =
    "[dialect.mine]\nbody = '{\"now\":{{data}},\"then\":{{old|or:null}},\"the\":{\"whole\":{{event}}}}'\n";

fn event(id: &str, data: &str) -> String {
    format!(
        r#" {{"old" : {RECORD} ,"type":"order.updated","id":"{id}","time":"2026-03-12T10:00:00Z","extra":1e999, "data":{data} }} "#
    )
}

/// Everything that is sent for one event per `DATA`, each subscription to a path of its own.
fn deliver() -> Vec<Received> {
    let mut site = Site::new();
    let receiver = receiver(&[200]);
    site.configure(MINE);
    for (name, table) in EXAMPLES {
        let dialects = toml::Table::from_iter([((*name).to_owned(), table.parse::<toml::Table>().unwrap().into())]);
        site.configure(&toml::Table::from_iter([("dialect".to_owned(), dialects.into())]).to_string());
    }
    for (name, dialect, more, _) in SHAPES {
        site.subscribe(name, &format!("http://{}/{name}", receiver.addr()), dialect, more);
    }
    let lines: Vec<String> =
        (0..).map(|number| format!("e{number}")).zip(DATA).map(|(id, data)| event(&id, data)).collect();
    site.write(&lines.iter().map(String::as_str).collect::<Vec<_>>());
    site.run();
    receiver.received()
}

#[test]
fn awkward_json_arrives_as_it_was_written() {
    let requests = deliver();
    for (name, _, _, shape) in SHAPES {
        let sent: Vec<&Received> = requests.iter().filter(|request| request.path == format!("/{name}")).collect();
        assert_eq!(sent.len(), DATA.len(), "{name}");
        for (number, data) in DATA.into_iter().enumerate() {
            let id = format!("e{number}");
            // The delivery's id is told by a header alone; any other part of a body is known beforehand.
            let expected = |request: &Received| {
                let delivery = request.header("x-webhook-delivery-id").unwrap_or_default();
                let whole = event(&id, data);
                let filled = shape.replace("EVENT", whole.trim_matches(' ')).replace("DELIVERY", delivery);
                filled.replace("\"ID\"", &format!("\"{id}\"")).replace("DATA", data).replace("OLD", RECORD).into_bytes()
            };
            let arrived = sent.iter().any(|request| request.body == expected(request));
            let bodies: Vec<_> = sent.iter().map(|request| String::from_utf8_lossy(&request.body)).collect();
            assert!(arrived, "{name}: {data} is not among {bodies:#?}");
        }
    }
}
