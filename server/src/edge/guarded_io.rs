//! A connection's bytes, with an eye on a peer that floods or does not read.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

use super::frame_budget::FrameBudget;
use crate::metrics;

/// How long a write may wait for a peer that takes nothing.
const WRITE_STALL: Duration = Duration::from_secs(60);

/// A PING of the wrong length. HTTP/2 obliges the receiver to end the
/// connection with GOAWAY (RFC 9113, section 6.7), which is how the protocol
/// engine is told to do so: it offers no other way.
const POISON: [u8; 9] = [0, 0, 0, 6, 0, 0, 0, 0, 0];

/// Wraps a socket. The bytes that were read to find out the protocol come
/// first.
pub(super) struct GuardedIo<T> {
    inner: T,
    begun: Vec<u8>,
    begun_read: usize,
    /// Of HTTP/2 connections.
    budget: Option<FrameBudget>,
    /// How much of the poison was given, once it is due.
    poison: Option<usize>,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<T> GuardedIo<T> {
    pub(super) fn http1(inner: T, begun: Vec<u8>) -> Self {
        Self { inner, begun, begun_read: 0, budget: None, poison: None, stalled: None }
    }

    pub(super) fn http2(inner: T, begun: Vec<u8>) -> Self {
        Self { budget: Some(FrameBudget::new()), ..Self::http1(inner, begun) }
    }

    /// Notes how a write went; fails one that has waited for too long.
    fn watch<R>(
        &mut self,
        context: &mut Context<'_>,
        write: Poll<R>,
    ) -> Poll<Result<R, io::Error>> {
        if let Poll::Ready(done) = write {
            self.stalled = None;
            return Poll::Ready(Ok(done));
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(WRITE_STALL)));
        if stalled.as_mut().poll(context).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Poll::Pending
    }

    fn wrote(&mut self, bytes: usize) {
        if let Some(budget) = &mut self.budget {
            budget.earn(bytes);
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for GuardedIo<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Some(given) = &mut this.poison {
            // After it comes the end of the stream.
            let rest = &POISON[*given..];
            let taken = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..taken]);
            *given += taken;
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        if this.begun_read < this.begun.len() {
            let rest = &this.begun[this.begun_read..];
            let taken = rest.len().min(buffer.remaining());
            buffer.put_slice(&rest[..taken]);
            this.begun_read += taken;
        } else {
            ready!(Pin::new(&mut this.inner).poll_read(context, buffer))?;
        }
        let Some(budget) = &mut this.budget else { return Poll::Ready(Ok(())) };
        if let Some(wanted) = budget.take(&buffer.filled()[before..]) {
            // Counted rather than warned of: a flood must not flood the log.
            metrics::connection_flooded();
            tracing::debug!("a peer floods its connection with empty frames; closing it");
            buffer.set_filled(before + wanted);
            this.poison = Some(0);
            if wanted == 0 {
                return Pin::new(this).poll_read(context, buffer);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for GuardedIo<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write(context, bytes);
        let wrote = ready!(self.watch(context, wrote))??;
        self.wrote(wrote);
        Poll::Ready(Ok(wrote))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let wrote = Pin::new(&mut self.inner).poll_write_vectored(context, slices);
        let wrote = ready!(self.watch(context, wrote))??;
        self.wrote(wrote);
        Poll::Ready(Ok(wrote))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(context);
        ready!(self.watch(context, flushed))?.into()
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let ended = Pin::new(&mut self.inner).poll_shutdown(context);
        ready!(self.watch(context, ended))?.into()
    }
}
