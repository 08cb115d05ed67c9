//! A socket that does not wait for ever: reads end with an error when the other side is late, writes when it takes nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, Sleep, sleep_until};

use super::watch::Watch;

/// A time at which a task is woken.
#[derive(Debug, Default)]
pub(super) struct Alarm(Option<Pin<Box<Sleep>>>);

impl Alarm {
    /// Ready once it is `until`.
    pub(super) fn poll(&mut self, until: Instant, context: &mut Context<'_>) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(until)));
        if sleep.deadline() != until {
            sleep.as_mut().reset(until);
        }
        sleep.as_mut().poll(context)
    }
}

/// One of the connections there may be.
#[derive(Debug)]
pub(in crate::admin) struct Connection {
    stream: TcpStream,
    watch: Arc<Watch>,
    silence: Alarm,
    /// Since when nothing is taken, with what that may last.
    stuck: Option<Instant>,
    standstill: Alarm,
    _seat: OwnedSemaphorePermit,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, watch: Arc<Watch>, seat: OwnedSemaphorePermit) -> Self {
        let (silence, standstill) = (Alarm::default(), Alarm::default());
        Self { stream, watch, silence, stuck: None, standstill, _seat: seat }
    }

    fn written(&mut self, context: &mut Context<'_>, count: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if count.is_ready() {
            self.stuck = None;
            self.watch.sent(Instant::now());
            return count;
        }
        let until = *self.stuck.get_or_insert_with(|| Instant::now() + self.watch.limits().write);
        ready!(self.standstill.poll(until, context));
        // What the kernel still holds for it goes, too.
        self.stream.set_zero_linger()?;
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let me = self.get_mut();
        if me.watch.due().is_some_and(|until| me.silence.poll(until, context).is_ready()) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut me.stream).poll_read(context, buf);
        match &polled {
            Poll::Ready(Ok(())) => me.watch.received(buf.filled().len() - before, Instant::now()),
            Poll::Ready(Err(_)) => {}
            Poll::Pending => me.watch.reads(context.waker()),
        }
        polled
    }
}

impl AsyncWrite for Connection {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let count = Pin::new(&mut me.stream).poll_write(context, bytes);
        me.written(context, count)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let me = self.get_mut();
        let count = Pin::new(&mut me.stream).poll_write_vectored(context, parts);
        me.written(context, count)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
