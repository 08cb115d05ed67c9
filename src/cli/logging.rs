//! Log lines of the processes that stay: to stderr, as text on a terminal, as lines with a priority under systemd, as
//! JSON anywhere else, or as `[logging] format` and `SPOOLHOOK_LOG_FORMAT` say.
//!
//! ```text
//! {"ts":"2026-03-12T10:00:00.000Z","level":"info","msg":"attempt failed","target":"spoolhook::engine",
//!  "subscription":"oms","delivery_id":"...","outcome":"http_5xx","status_code":503,"duration_ms":112}
//! ```

use std::fmt::{self, Debug};
use std::io::{self, IsTerminal};

use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::{Compact, Format, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::args::Global;
use super::places;
use crate::env::{Clock, SystemClock};
use crate::metrics::note_log_message;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Journal,
    Json,
}

impl Shape {
    /// As asked for, or as it fits whoever reads stderr.
    fn of(asked: Option<&str>, is_terminal: bool, is_journal: bool) -> Self {
        match asked {
            Some("text") => Self::Text,
            Some("json") => Self::Json,
            Some("journal") => Self::Journal,
            _ if is_terminal => Self::Text,
            _ if is_journal => Self::Journal,
            _ => Self::Json,
        }
    }
}

/// Starts logging. `SPOOLHOOK_LOG` takes filter directives (`info,spoolhook::ingest=debug`) and wins over the flags.
pub fn start(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "warn",
        (_, 0) => "info",
        (_, 1) => "debug",
        _ => "trace",
    };
    let filter =
        EnvFilter::try_from_env("SPOOLHOOK_LOG").unwrap_or_else(|_| EnvFilter::new(format!("spoolhook={level}")));
    let asked = std::env::var("SPOOLHOOK_LOG_FORMAT").ok().or_else(|| places::log_format(global));
    let is_journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let shape = Shape::of(asked.as_deref(), io::stderr().is_terminal(), is_journal);
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_target(false);
    let base = tracing_subscriber::registry().with(filter).with(Counting);
    // A second start, as in tests, keeps the first.
    let _ = match shape {
        Shape::Text => base.with(lines.with_ansi(io::stderr().is_terminal()).compact()).try_init(),
        Shape::Journal => base.with(lines.with_ansi(false).event_format(Journal::new())).try_init(),
        Shape::Json => base.with(lines.with_ansi(false).event_format(Json(SystemClock::new()))).try_init(),
    };
}

/// Counts lines for the metrics; what the filter leaves out does not come here.
struct Counting;

impl<S: Subscriber> Layer<S> for Counting {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        note_log_message(match *event.metadata().level() {
            Level::ERROR => 0,
            Level::WARN => 1,
            Level::INFO => 2,
            Level::DEBUG => 3,
            Level::TRACE => 4,
        });
    }
}

/// `<6>` and the line: sd-daemon(3). The journal adds the time itself.
struct Journal(Format<Compact, ()>);

impl Journal {
    fn new() -> Self {
        Self(Format::default().compact().without_time().with_target(false).with_level(false))
    }
}

/// The priority of syslog(3).
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

impl<S, N> FormatEvent<S, N> for Journal
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        write!(out, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, out, event)
    }
}

/// One object per line.
struct Json(SystemClock);

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let metadata = event.metadata();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let mut line = Map::new();
        line.insert("ts".into(), self.0.now().to_string().into());
        line.insert("level".into(), metadata.level().as_str().to_lowercase().into());
        line.insert("msg".into(), fields.0.remove("message").unwrap_or_default());
        line.insert("target".into(), metadata.target().into());
        line.extend(fields.0);
        writeln!(out, "{}", Value::Object(line))
    }
}

#[derive(Default)]
struct Fields(Map<String, Value>);

impl Visit for Fields {
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Captured {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn json_lines_carry_the_documented_keys() {
        let captured = Captured::default();
        let out = captured.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || out.clone());
        let subscriber = tracing_subscriber::registry().with(lines.event_format(Json(SystemClock::new())));
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(
                subscription = "oms",
                attempt = 2,
                status_code = Some(503),
                error = "said \"no\"",
                "attempt failed"
            );
        });
        let line: Value = serde_json::from_str(captured.text().trim_end()).unwrap();
        assert_eq!(
            (&line["level"], &line["msg"], &line["attempt"]),
            (&"warn".into(), &"attempt failed".into(), &2.into())
        );
        assert_eq!((&line["subscription"], &line["error"]), (&"oms".into(), &"said \"no\"".into()));
        assert!(line["ts"].as_str().is_some_and(|ts| ts.ends_with('Z')) && line["target"].is_string(), "{line}");
    }

    #[test]
    fn journal_lines_begin_with_their_priority() {
        let captured = Captured::default();
        let out = captured.clone();
        let lines = tracing_subscriber::fmt::layer().with_writer(move || out.clone()).with_ansi(false);
        let subscriber = tracing_subscriber::registry().with(lines.event_format(Journal::new()));
        tracing::subscriber::with_default(subscriber, || tracing::error!(thread = "intake", "the line stops"));
        let text = captured.text();
        assert!(text.starts_with("<3>") && text.contains("the line stops") && text.contains("intake"), "{text}");
    }

    #[test]
    fn the_shape_follows_the_reader_unless_somebody_says() {
        assert_eq!(Shape::of(None, true, true), Shape::Text);
        assert_eq!(Shape::of(Some("auto"), false, true), Shape::Journal);
        assert_eq!(Shape::of(None, false, false), Shape::Json);
        assert_eq!(Shape::of(Some("text"), false, false), Shape::Text);
    }
}
