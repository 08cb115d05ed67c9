//! The official SDK for CloudEvents.

use serde_json::{Value, json};
use spoolhook::receiver::Received;

use super::judge::Judge;
use super::site::deliver;

const KEY: &str = r#"Zoë "50%" 日"#;
const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn line() -> String {
    let key = json!(KEY);
    format!(
        r#"{{"type":"shipment.status_changed","id":"s:1","time":"2026-03-12T11:00:00.250+01:00","key":{key},"traceparent":"{TRACE}","data":{{"n":9007199254740993,"to":"Zoë","text":"\u00e9"}}}}"#
    )
}

fn delivered(params: &str, lines: &[&str]) -> Vec<Received> {
    deliver("cloudevents", &format!("[subscription.params]\n{params}"), lines)
}

/// What the SDK must read in either mode.
fn expected() -> Value {
    json!({
        "specversion": "1.0",
        "id": "s:1",
        "source": "https://erp.example/plant%201",
        "type": "shipment.status_changed",
        "time": "2026-03-12T11:00:00.250000+01:00",
        "subject": KEY,
        "datacontenttype": "application/json",
        "traceparent": TRACE,
    })
}

#[test]
fn the_sdk_reads_both_modes_alike() {
    let Some(judge) = Judge::python("cloud_events.py", "cloudevents.core") else { return };
    for mode in ["structured", "binary"] {
        let params = format!("mode = '{mode}'\nsource = 'https://erp.example/plant%201'");
        let request = delivered(&params, &[&line()]).remove(0);
        let answer = judge.answer(&request, "");
        assert_eq!(answer["attributes"], expected(), "{mode}");
        assert_eq!(answer["data"], json!({"n": 9_007_199_254_740_993_u64, "to": "Zoë", "text": "é"}), "{mode}");
    }
}

#[test]
fn the_sdk_reads_data_that_is_no_object_and_events_that_are_bare() {
    let Some(judge) = Judge::python("cloud_events.py", "cloudevents.core") else { return };
    for mode in ["structured", "binary"] {
        let lines = [r#"{"type":"stock.counted","data":[1,"two"]}"#, r#"{"type":"stock.counted","data":"text"}"#];
        let requests = delivered(&format!("mode = '{mode}'"), &lines);
        let mut data: Vec<Value> = requests.iter().map(|request| judge.answer(request, "")["data"].clone()).collect();
        data.sort_by_key(Value::is_string);
        assert_eq!(data, [json!([1, "two"]), json!("text")], "{mode}");
    }
}

#[test]
fn an_event_written_as_a_cloud_event_comes_out_as_the_same_event() {
    let Some(judge) = Judge::python("cloud_events.py", "cloudevents.core") else { return };
    let line = r#"{"specversion":"1.0","id":"A-7:1","source":"/erp/7","type":"order.created","time":"2026-03-12T10:00:00Z","subject":"o1","datacontenttype":"application/json","data":{"total":1.0}}"#;
    for mode in ["structured", "binary"] {
        let request = delivered(&format!("mode = '{mode}'\nsource = '/erp/7'"), &[line]).remove(0);
        let attributes = &judge.answer(&request, "")["attributes"];
        for (name, value) in [("id", "A-7:1"), ("source", "/erp/7"), ("type", "order.created"), ("subject", "o1")] {
            assert_eq!(attributes[name], value, "{mode}");
        }
    }
}
