//! Finished attempts as lines: `tail` and `demo` print them alike.
//!
//! ```text
//! 11:41:52  invoice.updated  evt_01J9  -> erp  200   38 ms
//! 11:41:55  payment.created  evt_01JA  -> erp  503  112 ms  attempt 1/10, next 11:42:00
//! ```

use jiff::tz::TimeZone;

use super::client::Frame;
use super::error::{CliError, ExitKind};
use super::human::{clean, clock, plural};
use super::style::{Tone, paint};
use crate::admin::api::{AttemptLine, Gap};
use crate::model::{DeliveryStatus, Outcome};

/// One message of the stream.
#[derive(Clone, Debug, PartialEq)]
pub enum Live {
    Attempt(AttemptLine),
    Gap(Gap),
}

/// Reads a frame; names that are not known are passed over.
pub fn read(frame: &Frame) -> Result<Option<Live>, CliError> {
    let live = match frame.event.as_str() {
        "attempt" => serde_json::from_str(&frame.data).map(Live::Attempt),
        "gap" => serde_json::from_str(&frame.data).map(Live::Gap),
        _ => return Ok(None),
    };
    live.map(Some).map_err(|error| CliError::new(ExitKind::Io, format!("the stream cannot be read: {error}")))
}

/// One attempt as a line.
pub fn line(attempt: &AttemptLine, zone: &TimeZone) -> String {
    let delivered = attempt.status == DeliveryStatus::Delivered;
    let tone = match attempt.status {
        DeliveryStatus::Delivered => Tone::Good,
        DeliveryStatus::Pending => Tone::Warn,
        _ => Tone::Bad,
    };
    let mut text = format!(
        "{}  {:<26}  {}  -> {:<12}  {}  {:>6} ms",
        clock(zone, attempt.at),
        clean(&attempt.event_type),
        clean(&attempt.event_id),
        clean(&subscription(attempt)),
        paint(tone, &result(attempt)),
        attempt.duration_ms,
    );
    let mut notes = Vec::new();
    match attempt.next_attempt_at {
        Some(next) => {
            notes.push(format!("attempt {}/{}, next {}", attempt.attempt, attempt.max_attempts, clock(zone, next)));
        }
        None if delivered && attempt.attempt > 1 => notes.push(format!("attempt {}", attempt.attempt)),
        None if !delivered => notes.push(format!("{} after attempt {}", attempt.status.as_str(), attempt.attempt)),
        None => {}
    }
    if attempt.status_code.is_none()
        && let Some(error) = &attempt.error
    {
        notes.push(clean(error));
    }
    for note in notes {
        text.push_str("  ");
        text.push_str(&note);
    }
    text
}

fn subscription(attempt: &AttemptLine) -> String {
    match attempt.tenant.as_str() {
        "default" => attempt.subscription.clone(),
        tenant => format!("{tenant}/{}", attempt.subscription),
    }
}

/// The status code, or the class of what came instead.
fn result(attempt: &AttemptLine) -> String {
    match (attempt.status_code, attempt.outcome) {
        (Some(code), _) => code.to_string(),
        (None, Outcome::TlsUnknownCa | Outcome::TlsExpired | Outcome::TlsName | Outcome::TlsOther) => "TLS".to_owned(),
        (None, outcome) => outcome.as_str().to_owned(),
    }
}

/// What a reader missed, as a line.
pub fn gap(gap: Gap) -> String {
    paint(Tone::Warn, &format!("          ... {} not shown: the terminal was too slow", plural(gap.missed, "attempt")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::attempt_line;

    fn plain(attempt: &AttemptLine) -> String {
        anstream::adapter::strip_str(&line(attempt, &TimeZone::UTC)).to_string()
    }

    #[test]
    fn a_delivery_a_retry_and_an_end() {
        let delivered = attempt_line(DeliveryStatus::Delivered);
        assert_eq!(plain(&delivered), "10:00:00  payment.created             evt_1  -> erp           200      38 ms");
        let retried = AttemptLine { tenant: "acme".into(), ..attempt_line(DeliveryStatus::Pending) };
        assert_eq!(
            plain(&retried),
            "10:00:00  payment.created             evt_1  -> acme/erp      503      38 ms  attempt 1/10, next 10:00:05"
        );
        let failed = AttemptLine {
            outcome: Outcome::TlsUnknownCa,
            status_code: None,
            next_attempt_at: None,
            error: Some("unknown authority".into()),
            ..attempt_line(DeliveryStatus::Failed)
        };
        assert!(plain(&failed).ends_with("TLS      38 ms  failed after attempt 1  unknown authority"), "{failed:?}");
    }

    #[test]
    fn unknown_messages_are_passed_over() {
        assert_eq!(read(&Frame { event: "stats".into(), data: "{}".into() }), Ok(None));
        let gap = Frame { event: "gap".into(), data: "{\"missed\":3}".into() };
        assert_eq!(read(&gap), Ok(Some(Live::Gap(Gap { missed: 3 }))));
        assert!(read(&Frame { event: "attempt".into(), data: "{}".into() }).is_err());
    }
}
