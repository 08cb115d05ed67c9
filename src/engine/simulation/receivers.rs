//! The receivers: they answer by their mood, remember every transmission, and are the judge of what was really sent.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::files::SimClock;
use crate::dispatch::worker;
use crate::env::Clock;
use crate::http::{Evidence, Failure, Response, Transport};
use crate::model::{Event, Outcome};
use crate::wire::{RenderInput, Request};

/// How an endpoint behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    Fine,
    Down,
    Failing,
    Flaky,
    Hanging,
    Breaking,
    Throttling,
    Gone,
}

pub const MOODS: [Mood; 8] =
    [Mood::Fine, Mood::Down, Mood::Failing, Mood::Flaky, Mood::Hanging, Mood::Breaking, Mood::Throttling, Mood::Gone];

/// A request that reached a receiver, or a part of one.
#[derive(Clone, Debug)]
pub struct Transmission {
    pub lane: usize,
    pub delivery: u128,
    pub attempt: u32,
    pub event: Arc<Event>,
    /// What the receiver answered, whether or not the answer arrived.
    pub status: Option<u16>,
    pub at: Duration,
}

#[derive(Default)]
struct Inner {
    moods: Vec<Mood>,
    seen: Vec<Transmission>,
    random: fastrand::Rng,
    /// The process dies at the next request: before its first byte, or after its last.
    dies: Option<bool>,
    dead: bool,
    /// A request that breaks is sent again at once: a deliberate mistake.
    resends: bool,
    /// Requests leave only after they were reported as taken: a deliberate mistake.
    later: Option<Vec<Transmission>>,
    /// Failures are reported as successes: a deliberate mistake.
    lies: bool,
}

/// Every receiver of the simulated world.
pub struct Receivers {
    clock: Arc<SimClock>,
    inner: Mutex<Inner>,
}

impl Receivers {
    pub fn new(clock: Arc<SimClock>, lanes: usize) -> Self {
        Self { clock, inner: Mutex::new(Inner { moods: vec![Mood::Fine; lanes], ..Inner::default() }) }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_mood(&self, lane: usize, mood: Mood) {
        self.lock().moods[lane] = mood;
    }

    pub fn draw_from(&self, random: fastrand::Rng) {
        self.lock().random = random;
    }

    pub fn die_at_next(&self, after: bool) {
        self.lock().dies = Some(after);
    }

    /// Whether the process died in a request.
    pub fn take_death(&self) -> bool {
        std::mem::take(&mut self.lock().dead)
    }

    pub fn resend_what_breaks(&self) {
        self.lock().resends = true;
    }

    pub fn send_later(&self) {
        self.lock().later = Some(Vec::new());
    }

    /// No death is near.
    pub fn calm(&self) {
        let mut inner = self.lock();
        inner.dies = None;
        inner.dead = false;
    }

    pub fn lie(&self) {
        self.lock().lies = true;
    }

    /// The transmissions from number `from` on.
    pub fn seen_since(&self, from: usize) -> Vec<Transmission> {
        self.lock().seen.get(from..).unwrap_or_default().to_vec()
    }
}

thread_local! {
    /// What the request in hand is about: requests carry bytes only, the judge wants to know whose.
    static IN_HAND: RefCell<Option<(Arc<Event>, u128, u32)>> = const { RefCell::new(None) };
}

impl Transport for Receivers {
    type Endpoint = usize;
    type Pending = Evidence;

    /// Answers come in any order.
    fn await_any(&self, pending: &mut [Evidence], _: Option<Duration>, found: &mut Vec<usize>) {
        let random = &mut self.lock().random;
        let first = random.usize(..pending.len());
        found.extend((0..pending.len()).filter(|at| *at == first || random.bool()));
    }

    fn end(&self, _: &usize, evidence: Evidence) -> Evidence {
        evidence
    }

    fn is_ready(&self, _: &usize) -> bool {
        self.lock().random.u8(..8) > 0
    }

    /// What has no byte on its way fails here or later.
    fn begin(&self, lane: &usize, request: &Request, timeout: Duration) -> Result<Evidence, Evidence> {
        let evidence = self.answer(lane, request, timeout);
        if evidence.request_bytes == 0 && self.lock().random.bool() { Err(evidence) } else { Ok(evidence) }
    }
}

impl Receivers {
    fn answer(&self, lane: &usize, request: &Request, timeout: Duration) -> Evidence {
        let (event, delivery, attempt) = IN_HAND.take().expect("a request was just rendered");
        let at = self.clock.monotonic();
        let mut inner = self.lock();
        let bytes = request.body.len() as u64;
        let fail = |outcome, request_bytes| Evidence {
            result: Err(Failure { outcome, message: "as the simulation wants it".into() }),
            request_bytes,
            remote: None,
            elapsed: Duration::ZERO,
        };
        if inner.dead || inner.dies == Some(false) {
            inner.dead = true;
            inner.dies = None;
            return fail(Outcome::Unknown, 1);
        }
        if let Some(later) = &mut inner.later {
            let due = std::mem::take(later);
            let status = Some(200);
            later.push(Transmission { lane: *lane, delivery, attempt, event, status, at });
            inner.seen.extend(due);
            return answer(200, None, bytes);
        }
        let mood = match inner.moods[*lane] {
            Mood::Flaky => MOODS[inner.random.usize(..7)],
            mood => mood,
        };
        let saw = |inner: &mut Inner, status| {
            inner.seen.push(Transmission { lane: *lane, delivery, attempt, event: event.clone(), status, at });
        };
        let mut evidence = match mood {
            Mood::Fine | Mood::Flaky => {
                saw(&mut inner, Some(200));
                answer(200, None, bytes)
            }
            Mood::Failing => {
                saw(&mut inner, Some(500));
                answer(if inner.lies { 200 } else { 500 }, None, bytes)
            }
            Mood::Gone => {
                saw(&mut inner, Some(410));
                answer(410, None, bytes)
            }
            Mood::Throttling => {
                saw(&mut inner, Some(429));
                let seconds = inner.random.u32(1..90);
                answer(429, Some(seconds), bytes)
            }
            Mood::Down => fail(Outcome::Refused, 0),
            Mood::Breaking => {
                // Processed or not: no answer arrives.
                let status = inner.random.bool().then_some(200);
                saw(&mut inner, status);
                if inner.resends {
                    saw(&mut inner, Some(200));
                }
                fail(Outcome::Reset, bytes)
            }
            Mood::Hanging => {
                saw(&mut inner, None);
                fail(Outcome::TimeoutResponse, bytes)
            }
        };
        if mood == Mood::Hanging {
            evidence.elapsed = timeout;
        }
        if inner.dies.take().is_some() {
            inner.dead = true;
        }
        evidence
    }
}

fn answer(status: u16, retry_after_s: Option<u32>, bytes: u64) -> Evidence {
    let headers = retry_after_s.map(|seconds| ("Retry-After".to_owned(), seconds.to_string())).into_iter().collect();
    Evidence {
        result: Ok(Response { status, headers, body: Vec::new() }),
        request_bytes: bytes,
        remote: None,
        elapsed: Duration::ZERO,
    }
}

/// A lane's target: the line as it is, to the lane's receiver.
pub struct SimTarget(pub usize);

impl worker::Target for SimTarget {
    type Endpoint = usize;

    fn render(&self, input: &RenderInput<'_>) -> Request {
        IN_HAND.set(Some((Arc::new(input.event.clone()), input.delivery.0.as_u128(), input.attempt)));
        Request { headers: Vec::new(), body: input.event.line.to_vec() }
    }

    fn endpoint(&self) -> &usize {
        &self.0
    }
}
