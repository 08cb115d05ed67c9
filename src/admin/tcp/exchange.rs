//! One request and its answer: from the end of the head to the last byte of the answer the other side waits for us.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{ConnectInfo, Request};
use axum::middleware::{self, Next};
use axum::response::Response;
use http_body::{Frame, SizeHint};
use tokio::time::Instant;

use super::acceptor::Peer;
use super::connection::Alarm;
use super::watch::Watch;

/// Tells the connection when it may be in a hurry, and the routes who asks.
pub(in crate::admin) fn watched(router: Router) -> Router {
    router.layer(middleware::from_fn(attend))
}

async fn attend(ConnectInfo(peer): ConnectInfo<Peer>, mut request: Request, next: Next) -> Response {
    peer.watch.begin();
    let answering = Answering(peer.watch.clone());
    let patience = peer.watch.limits().body;
    request.extensions_mut().insert(ConnectInfo(peer.address));
    let request = request.map(|body| Body::new(Prompt { body, patience, until: None, alarm: Alarm::default() }));
    next.run(request).await.map(|body| Body::new(Answer { body, _answering: answering }))
}

/// Until it is dropped the other side waits for us.
struct Answering(Arc<Watch>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.end(Instant::now());
    }
}

/// The body of an answer. It is dropped when all of it was handed over.
struct Answer {
    body: Body,
    _answering: Answering,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body of a request, which keeps coming.
struct Prompt {
    body: Body,
    patience: Duration,
    until: Option<Instant>,
    alarm: Alarm,
}

impl HttpBody for Prompt {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let me = self.get_mut();
        let frame = Pin::new(&mut me.body).poll_frame(context);
        if frame.is_ready() {
            me.until = None;
            return frame;
        }
        let until = *me.until.get_or_insert_with(|| Instant::now() + me.patience);
        ready!(me.alarm.poll(until, context));
        let late = io::Error::new(io::ErrorKind::TimedOut, format!("nothing more of it came for {:?}", me.patience));
        Poll::Ready(Some(Err(axum::Error::new(late))))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
