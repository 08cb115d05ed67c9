//! `bench`, at its smallest: figures, a report that stands alone, and nothing left behind, however it ends.

use std::path::Path;

use serde_json::Value;

use crate::usage::support::{Home, Process, until};

/// Processes that work in `dir`, which need not exist any more.
fn at_work_in(dir: &Path) -> usize {
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    processes.filter(|process| process.path().join("cwd").read_link().is_ok_and(|cwd| cwd.starts_with(dir))).count()
}

/// What lies in the directory that was measured.
fn left_in(dir: &Path) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

/// Its exit code, in the time that a busy machine may need.
fn end(bench: &mut Process) -> i32 {
    for _ in 0..5 {
        if crate::support::wait_until(crate::usage::support::PATIENCE, || !bench.running()) {
            break;
        }
    }
    bench.wait().unwrap()
}

/// Opening and closing tags match.
fn check_well_formed(html: &str) {
    let mut open: Vec<&str> = Vec::new();
    let body = html.strip_prefix("<!DOCTYPE html>").expect("a document type");
    for tag in body.split('<').skip(1) {
        let (tag, _) = tag.split_once('>').unwrap_or_else(|| panic!("an unfinished tag: {tag}"));
        let name = tag.split_whitespace().next().unwrap();
        match name.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed), "{tag}"),
            None if name == "meta" => {}
            None => open.push(name),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
}

fn check_figures(case: &Value, keys: &[&str]) {
    for key in keys {
        let figure = key.split('.').fold(case, |value, key| &value[key]);
        assert!(figure.as_f64().is_some_and(|figure| figure > 0.0), "{key} of {case}");
    }
}

#[test]
fn a_small_run_has_figures_and_a_report_and_leaves_nothing() {
    let home = Home::empty();
    let disk = home.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let only = "floor,at-least-once,at-most-once,latency,idle";
    let args = ["bench", "--seconds", "8", "--only", only, "--dir", "disk", "--output", "report.html", "--json"];
    let mut bench = home.spawn(&args);
    assert_eq!(end(&mut bench), 0, "{}", bench.log());
    // Nothing but the document was said, on either stream.
    let json: Value = serde_json::from_str(&bench.log()).unwrap_or_else(|error| panic!("{error}: {}", bench.log()));

    assert_eq!(json["machine"]["version"], env!("CARGO_PKG_VERSION"));
    assert!(json["machine"]["cores"].as_u64().unwrap() > 0 && json["machine"]["filesystem"] != "unknown", "{json}");
    let cases = json["cases"].as_array().unwrap();
    let names: Vec<&str> = cases.iter().map(|case| case["name"].as_str().unwrap()).collect();
    assert_eq!(names.join(","), only);
    let delivered = ["deliveries", "seconds", "per_second", "cpu_us"];
    let memory = ["rss_bytes", "peak_rss_bytes", "threads"];
    cases[..4].iter().for_each(|case| check_figures(case, &delivered));
    cases[..3].iter().for_each(|case| check_figures(case, &["of_floor"]));
    cases[1..].iter().for_each(|case| check_figures(case, &memory));
    check_figures(&cases[3], &["latency.events", "latency.p50_ms", "latency.p99_ms", "latency.max_ms"]);
    check_figures(&cases[4], &["seconds", "idle_cpu_percent"]);

    let html = std::fs::read_to_string(home.path("report.html")).unwrap();
    check_well_formed(&html);
    for plot in ["plot-rates", "plot-time-floor", "plot-time-at-least-once", "plot-time-latency", "plot-latency"] {
        assert!(html.contains(&format!("<svg id=\"{plot}\" role=\"img\"")), "{plot}");
    }
    assert_eq!((left_in(&disk).len(), at_work_in(&disk)), (0, 0));
}

#[test]
fn an_interrupted_run_leaves_nothing() {
    let home = Home::empty();
    let disk = home.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let mut bench = home.spawn(&["bench", "--seconds", "600", "--only", "idle", "--dir", "disk"]);
    until("an engine runs", || at_work_in(&disk) == 1);
    assert_eq!(left_in(&disk).len(), 1);
    bench.signal("INT");
    assert_eq!(bench.wait(), Some(130));
    assert_eq!((left_in(&disk).len(), at_work_in(&disk)), (0, 0));
    assert!(!home.path("spoolhook-bench.html").exists() && bench.log().contains("idle"), "{}", bench.log());
}

#[test]
fn what_cannot_be_measured_is_said_before_anything_runs() {
    let home = Home::empty();
    let wrong = home.run(&["bench", "--only", "floor,at-leest-once"]).expect(2);
    assert!(wrong.err.contains("'at-leest-once'") && wrong.err.contains("endpoints-1000"), "{}", wrong.err);
    home.run(&["bench", "--seconds", "1"]).expect(2);
    assert!(home.run(&["bench", "--json", "--output", "-"]).expect(2).err.contains("--output FILE"));
    assert!(home.run(&["bench", "--dir", "missing"]).expect(74).err.contains("cannot use missing: No such file"));
    assert!(home.run(&["bench", "--output", "no/report.html"]).expect(74).err.contains("cannot write no/report.html"));
}
