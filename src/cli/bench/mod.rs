//! How `bench` shows what came out: a table, a JSON document, and a page with plots that needs nothing but itself.

mod chart;
pub mod page;
mod plots;
pub mod table;

use std::path::Path;

use serde_json::{Value, json};

use crate::bench::{Figures, Machine};

/// What was measured, where, and when.
pub struct Report<'a> {
    pub machine: &'a Machine,
    pub caveats: Vec<String>,
    pub date: String,
    pub figures: &'a [Figures],
}

impl Report<'_> {
    /// The same for programs; `page` is where the report was written.
    pub fn json(&self, page: &Path) -> Value {
        json!({
            "date": self.date,
            "machine": self.machine,
            "caveats": self.caveats,
            "cases": self.figures,
            "report": page,
        })
    }
}

#[cfg(test)]
pub mod samples {
    //! Made-up figures for tests of how they are shown.

    use std::path::PathBuf;

    use crate::bench::{Bucket, Figures, Latency, Machine, Point};

    pub fn machine() -> Machine {
        Machine {
            version: "0.1.0".to_owned(),
            build: "release",
            cpu: "A <CPU> & \"more\"".to_owned(),
            cores: 2,
            memory_bytes: 8 << 30,
            kernel: "Linux 6.1.0".to_owned(),
            dir: PathBuf::from("/srv/<b>"),
            filesystem: "ext4".to_owned(),
            device: "/dev/vda".to_owned(),
        }
    }

    fn none(name: &'static str, label: &'static str) -> Figures {
        Figures { name, label, seconds: 2.0, ..Figures::default() }
    }

    fn delivered(name: &'static str, label: &'static str, per_second: f64) -> Figures {
        let point = |seconds: f64| Point { seconds, per_second: per_second * (1.0 + seconds / 10.0) };
        Figures {
            deliveries: (per_second * 2.0) as u64,
            per_second: Some(per_second),
            of_floor: Some(per_second / 64_500.0),
            cpu_us: Some(14.96),
            timeline: [0.5, 1.0, 1.5, 2.0].map(point).to_vec(),
            ..none(name, label)
        }
    }

    pub fn figures() -> Vec<Figures> {
        let bucket = |below_ms, events| Bucket { below_ms, events };
        let latency = Latency {
            events: 2_000,
            p50_ms: 1.26,
            p90_ms: 3.0,
            p99_ms: 11.58,
            p999_ms: 14.0,
            max_ms: 15.12,
            buckets: vec![bucket(1.0, 200), bucket(2.0, 1_500), bucket(5.0, 0), bucket(10.0, 250), bucket(20.0, 50)],
        };
        let memory = |figures| Figures {
            rss_bytes: Some(45 << 20),
            peak_rss_bytes: Some(48 << 20),
            threads: Some(41),
            ..figures
        };
        vec![
            delivered("floor", "bare sockets", 64_500.0),
            memory(delivered("at-least-once", "at least <once>", 19_500.0)),
            memory(Figures { latency: Some(latency), of_floor: None, ..delivered("latency", "one by one", 1_000.0) }),
            memory(Figures { idle_cpu_percent: Some(0.0214), ..none("idle", "idle") }),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_json_has_machine_and_cases() {
        let (machine, figures) = (samples::machine(), samples::figures());
        let report = Report { machine: &machine, caveats: Vec::new(), date: "now".to_owned(), figures: &figures };
        let json = report.json(Path::new("r.html"));
        assert_eq!((&json["machine"]["cores"], &json["report"]), (&json!(2), &json!("r.html")));
        assert_eq!(json["cases"][2]["latency"]["p99_ms"], json!(11.58));
        assert_eq!(json["cases"][3]["per_second"], Value::Null);
    }
}
