//! The text that Prometheus reads (exposition format 0.0.4).
//!
//! ```text
//! # HELP spoolhook_deliveries_pending Deliveries that are not settled.
//! # TYPE spoolhook_deliveries_pending gauge
//! spoolhook_deliveries_pending{tenant="default",subscription="erp"} 14
//! ```

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::Histogram;

/// What a family of series is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A page under way.
#[derive(Clone, Debug, Default)]
pub struct Page(String);

/// One name of the page: its series follow each other.
pub struct Family<'a> {
    page: &'a mut String,
    name: &'a str,
}

/// A number as the format writes it.
fn number(value: f64) -> String {
    match value {
        value if value == f64::INFINITY => "+Inf".to_owned(),
        value if value == f64::NEG_INFINITY => "-Inf".to_owned(),
        value => value.to_string(),
    }
}

fn escape(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

impl Page {
    /// Begins a family. `help` is one line.
    pub fn family<'a>(&'a mut self, name: &'a str, kind: Kind, help: &str) -> Family<'a> {
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        self.0.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {}\n", kind.as_str()));
        Family { page: &mut self.0, name }
    }

    /// A family of one series without labels.
    pub fn single(&mut self, name: &str, kind: Kind, help: &str, value: f64) {
        self.family(name, kind, help).put(&[], value);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

impl Family<'_> {
    /// One series.
    pub fn put(&mut self, labels: &[(&str, &str)], value: f64) {
        self.line("", labels, None, &number(value));
    }

    /// One series with a whole number, which is exact however great it is.
    pub fn put_count(&mut self, labels: &[(&str, &str)], value: u64) {
        self.line("", labels, None, &value.to_string());
    }

    /// One distribution.
    pub fn put_histogram(&mut self, labels: &[(&str, &str)], histogram: &Histogram) {
        for (bound, count) in histogram.cumulative() {
            self.line("_bucket", labels, Some(&number(bound)), &count.to_string());
        }
        let count = histogram.count().to_string();
        self.line("_bucket", labels, Some("+Inf"), &count);
        self.line("_sum", labels, None, &number(histogram.sum()));
        self.line("_count", labels, None, &count);
    }

    fn line(&mut self, suffix: &str, labels: &[(&str, &str)], bound: Option<&str>, value: &str) {
        let Self { page, name } = self;
        page.push_str(name);
        page.push_str(suffix);
        let all = labels.iter().copied().chain(bound.map(|bound| ("le", bound)));
        for (index, (label, text)) in all.enumerate() {
            page.push(if index == 0 { '{' } else { ',' });
            page.push_str(label);
            page.push_str("=\"");
            escape(text, page);
            page.push('"');
        }
        if !labels.is_empty() || bound.is_some() {
            page.push('}');
        }
        // Writing to a String does not fail.
        let _ = writeln!(page, " {value}");
    }
}

/// What is wrong with a page by Prometheus' conventions: each family declared once and in one piece, counters and nothing
/// else ending in `_total`, base units, no series twice.
pub fn problems(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut declared = BTreeSet::new();
    let mut helped = BTreeSet::new();
    let mut series = BTreeSet::new();
    let mut current = ("", "");
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap_or((help, ""));
            if words.is_empty() || !helped.insert(name) {
                found.push(format!("{name}: HELP is empty, or there twice"));
            }
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            if !declared.insert(name) || !helped.contains(name) {
                found.push(format!("{name}: TYPE comes twice, or before HELP"));
            }
            if (kind == "counter") != name.ends_with("_total") {
                found.push(format!("{name}: counters, and only they, end in _total"));
            }
            let odd = ["_ms", "_milliseconds", "_minutes", "_kilobytes", "_mb", "_count", "_sum", "_bucket"];
            if odd.iter().any(|suffix| name.trim_end_matches("_total").ends_with(suffix)) {
                found.push(format!("{name}: not a base unit, or a suffix of histograms"));
            }
            current = (name, kind);
        } else {
            let name = line.split(['{', ' ']).next().unwrap_or_default();
            let parts = ["_bucket", "_sum", "_count"];
            let own = match current.1 {
                "histogram" => parts.iter().find_map(|part| name.strip_suffix(part)).unwrap_or_default(),
                _ => name,
            };
            if own != current.0 {
                found.push(format!("{name}: stands outside of its family"));
            }
            let key = line.rsplit_once(' ').map_or(line, |(key, _)| key);
            if !series.insert(key) {
                found.push(format!("{key}: there twice"));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_reads_as_the_format_wants_it() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "Two\nlines.").put_count(&[("name", "q\"b\\n\nl")], u64::MAX);
        page.single("b", Kind::Gauge, "One.", f64::INFINITY);
        let mut histogram = Histogram::new(&[0.005, 1.0]);
        histogram.observe(0.5);
        page.family("c_seconds", Kind::Histogram, "Three.").put_histogram(&[("name", "x")], &histogram);
        let text = page.into_text();
        assert_eq!(
            text,
            "# HELP a_total Two\\nlines.\n# TYPE a_total counter\na_total{name=\"q\\\"b\\\\n\\nl\"} 18446744073709551615\n\
             # HELP b One.\n# TYPE b gauge\nb +Inf\n\
             # HELP c_seconds Three.\n# TYPE c_seconds histogram\n\
             c_seconds_bucket{name=\"x\",le=\"0.005\"} 0\nc_seconds_bucket{name=\"x\",le=\"1\"} 1\n\
             c_seconds_bucket{name=\"x\",le=\"+Inf\"} 1\nc_seconds_sum{name=\"x\"} 0.5\nc_seconds_count{name=\"x\"} 1\n"
        );
        assert_eq!(problems(&text), Vec::<String>::new());
    }

    #[test]
    fn the_lint_finds_what_it_is_there_for() {
        let bad = [
            "# HELP a One.\n# TYPE a counter\na 1\n",
            "# HELP a_ms One.\n# TYPE a_ms gauge\na_ms 1\n",
            "# HELP a One.\n# TYPE a gauge\na 1\na 2\n",
            "# HELP a One.\n# TYPE a gauge\nb 1\n",
            "# HELP a One.\n# TYPE a gauge\n# HELP a One.\n# TYPE a gauge\n",
        ];
        for text in bad {
            assert!(!problems(text).is_empty(), "{text}");
        }
    }
}
