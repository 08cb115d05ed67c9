//! `/v1/stream`: finished attempts as server-sent events (WHATWG HTML, section 9.2).
//!
//! ```text
//! event: attempt
//! data: {"at":"...","type":"invoice.updated",...}
//!
//! event: gap
//! data: {"missed":12}
//! ```

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Extension;
use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, KeepAliveStream, Sse};
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};

use super::super::api::{AttemptLine, Gap};
use super::super::caller::Caller;
use super::super::door::Proof;
use super::super::extract::Params;
use super::super::live::LiveFilter;
use super::super::problem::{Problem, ProblemKind};
use super::super::server::wait_for_stop;
use super::Shared;

/// Most readers at a time; one more is 503.
pub const CLIENTS_MAX: usize = 32;

/// Lines rendered ahead of a reader's socket. Behind them the hub's own bound applies.
const AHEAD: usize = 32;

const HEARTBEAT: Duration = Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamParams {
    subscription: Option<String>,
    #[serde(default)]
    failed: bool,
}

/// The receiving end of the pump, as the body wants it.
pub struct Lines(mpsc::Receiver<Event>);

impl Stream for Lines {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|event| event.map(Ok))
    }
}

pub async fn stream(
    State(shared): State<Shared>,
    caller: Caller,
    proof: Option<Extension<Proof>>,
    params: Params<StreamParams>,
) -> Result<Sse<KeepAliveStream<Lines>>, Problem> {
    let Ok(seat) = shared.stream_seats.clone().try_acquire_owned() else {
        return Err(Problem::new(ProblemKind::Unavailable, format!("{CLIENTS_MAX} readers are listening already")));
    };
    let filter = LiveFilter { subscription: params.0.subscription, failed: params.0.failed, tenant: caller.tenant };
    let (sender, receiver) = mpsc::channel(AHEAD);
    // Listen before the answer's head is sent: what ends after that is seen.
    let lines = shared.live.listen();
    let revoked = async move {
        match proof {
            Some(Extension(proof)) => shared.door.tokens.revoked(proof).await,
            None => std::future::pending().await,
        }
    };
    tokio::spawn(pump(lines, shared.stopped, revoked, filter, sender, seat));
    Ok(Sse::new(Lines(receiver)).keep_alive(KeepAlive::new().interval(HEARTBEAT)))
}

/// Carries lines from the hub to one reader until either end, the engine, or the reader's token goes away.
async fn pump(
    mut lines: broadcast::Receiver<AttemptLine>,
    mut stopped: watch::Receiver<bool>,
    revoked: impl Future<Output = ()> + Send,
    filter: LiveFilter,
    reader: mpsc::Sender<Event>,
    _seat: OwnedSemaphorePermit,
) {
    let mut revoked = std::pin::pin!(revoked);
    loop {
        let event = tokio::select! {
            line = lines.recv() => match line {
                Ok(line) if !filter.takes(&line) => continue,
                Ok(line) => event("attempt", &line),
                Err(RecvError::Lagged(missed)) => event("gap", &Gap { missed }),
                Err(RecvError::Closed) => return,
            },
            () = wait_for_stop(&mut stopped) => return,
            () = &mut revoked => return,
            () = reader.closed() => return,
        };
        if reader.send(event).await.is_err() {
            return;
        }
    }
}

fn event(name: &str, data: &impl Serialize) -> Event {
    let json = serde_json::to_string(data).expect("strings and numbers always serialise");
    Event::default().event(name).data(json)
}
