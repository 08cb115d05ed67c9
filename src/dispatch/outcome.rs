//! What an attempt meant: evidence in, outcome and verdict out. Pure.

use crate::http::{Evidence, Response};
use crate::model::{Exchange, Mode, Outcome};

/// Response bytes kept for people.
const BODY_BYTES_KEPT: usize = 1024;
const HEADERS_KEPT: usize = 32;

/// What becomes of the delivery, before the retry schedule is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    Delivered,
    /// Try again if the schedule has another attempt.
    Failed,
    /// Bytes may have left and no answer is known: an at-most-once delivery stops here.
    Unknown,
    /// The receiver is gone (410): no further attempt, and the subscription pauses.
    Gone,
}

/// The outcome that the evidence shows. A complete status line decides, whatever happened to the body.
pub fn outcome(evidence: &Evidence) -> Outcome {
    match &evidence.result {
        Ok(response) => Outcome::of_status(response.status),
        Err(failure) => failure.outcome,
    }
}

/// What the evidence means for a delivery of this mode.
pub fn judge(evidence: &Evidence, mode: Mode) -> Judgement {
    match (&evidence.result, mode) {
        (Ok(response), _) => match Outcome::of_status(response.status) {
            Outcome::Success => Judgement::Delivered,
            Outcome::Http410 => Judgement::Gone,
            _ => Judgement::Failed,
        },
        (Err(_), Mode::AtMostOnce) if evidence.request_bytes > 0 => Judgement::Unknown,
        (Err(_), _) => Judgement::Failed,
    }
}

/// Whether the receiver's whole service seems to be in trouble, rather than this one request unwelcome.
pub fn is_endpoint_trouble(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::Success | Outcome::Http3xx | Outcome::Http4xx | Outcome::TooLarge)
}

/// What is kept of the exchange for people to read.
pub fn exchange(evidence: Evidence) -> Exchange {
    let mut kept = Exchange {
        request_bytes: evidence.request_bytes,
        remote_address: evidence.remote.map(|address| address.to_string()).unwrap_or_default(),
        ..Exchange::default()
    };
    match evidence.result {
        Ok(Response { status, mut headers, mut body }) => {
            headers.truncate(HEADERS_KEPT);
            for (_, value) in &mut headers {
                truncate_at_char(value, BODY_BYTES_KEPT);
            }
            body.truncate(BODY_BYTES_KEPT);
            body.shrink_to_fit();
            kept.status_code = Some(status);
            kept.response_headers = headers;
            kept.response_body = body;
        }
        Err(failure) => kept.error = failure.message,
    }
    kept
}

fn truncate_at_char(text: &mut String, bytes_max: usize) {
    let mut end = bytes_max.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.truncate(end);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::http::Failure;

    fn answered(status: u16) -> Evidence {
        Evidence {
            result: Ok(Response { status, ..Response::default() }),
            request_bytes: 100,
            remote: None,
            elapsed: Duration::ZERO,
        }
    }

    fn broke(outcome: Outcome, request_bytes: u64) -> Evidence {
        let failure = Failure { outcome, message: String::new() };
        Evidence { result: Err(failure), request_bytes, remote: None, elapsed: Duration::ZERO }
    }

    #[test]
    fn a_status_line_decides() {
        for mode in [Mode::AtLeastOnce, Mode::AtMostOnce] {
            assert_eq!(judge(&answered(204), mode), Judgement::Delivered);
            assert_eq!(judge(&answered(302), mode), Judgement::Failed);
            assert_eq!(judge(&answered(410), mode), Judgement::Gone);
            assert_eq!(judge(&answered(503), mode), Judgement::Failed);
        }
    }

    #[test]
    fn without_an_answer_bytes_on_the_wire_make_the_difference() {
        assert_eq!(judge(&broke(Outcome::Reset, 1), Mode::AtMostOnce), Judgement::Unknown);
        assert_eq!(judge(&broke(Outcome::Refused, 0), Mode::AtMostOnce), Judgement::Failed);
        assert_eq!(judge(&broke(Outcome::Reset, 1), Mode::AtLeastOnce), Judgement::Failed);
    }
}
