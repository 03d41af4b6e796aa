//! A request's body that must come at a pace and within the memory.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use sluice_domain::Error;
use tokio::time::{Instant, Sleep, sleep_until};

use super::{
    Pace,
    memory::{Charge, MessageMemory},
    rate::{RateWatch, too_slow},
};

/// Why a body was cut off, if it was.
#[derive(Debug, Clone, Default)]
pub struct Cut(Arc<OnceLock<Error>>);

impl Cut {
    /// The refusal.
    pub fn get(&self) -> Option<&Error> {
        self.0.get()
    }
}

/// The reason for which a body was cut off, where an error comes from that.
pub fn cut_reason(error: &(dyn std::error::Error + 'static)) -> Option<Error> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(reason) = error.downcast_ref::<Error>() {
            return Some(reason.clone());
        }
        cause = error.source();
    }
    None
}

/// Reads a request's body for as long as it keeps to the limits. What is cut
/// off ends with a [`sluice_domain::Error`] as its source.
pub struct GuardedBody {
    body: Body,
    pace: Pace,
    rate: RateWatch,
    waiting_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    charge: Option<Charge>,
    cut: Cut,
}

impl GuardedBody {
    /// Guards a body; with `memory`, one of gRPC messages.
    pub fn new(body: Body, pace: Pace, memory: Option<Arc<MessageMemory>>) -> Self {
        Self {
            body,
            pace,
            rate: RateWatch::new(pace),
            waiting_since: None,
            timer: None,
            charge: memory.map(Charge::new),
            cut: Cut::default(),
        }
    }

    /// Where to find out afterwards whether it was cut off.
    pub fn cut(&self) -> Cut {
        self.cut.clone()
    }

    /// Takes note of the time that the caller was waited for until now.
    fn account(&mut self) -> Result<(), Error> {
        let Some(since) = self.waiting_since.take() else { return Ok(()) };
        self.rate.waited(since.elapsed())?;
        let overdue = |charge: &Charge| {
            charge.extra_since().is_some_and(|since| since.elapsed() >= self.pace.idle)
        };
        if self.charge.as_ref().is_some_and(overdue) { Err(too_slow(self.pace)) } else { Ok(()) }
    }

    /// Waits for the caller, until it is too late.
    fn poll_patience(&mut self, context: &mut Context<'_>) -> Poll<Error> {
        loop {
            let now = Instant::now();
            self.waiting_since.get_or_insert(now);
            let until = now + self.rate.patience();
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(until)));
            ready!(timer.as_mut().poll(context));
            if let Err(error) = self.account() {
                return Poll::Ready(error);
            }
            timer_at(&mut self.timer, Instant::now() + self.rate.patience());
        }
    }

    fn refuse(&mut self, error: Error) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.body = Body::empty();
        self.charge = None;
        let error = self.cut.0.get_or_init(|| error).clone();
        Poll::Ready(Some(Err(axum::Error::new(error))))
    }
}

fn timer_at(timer: &mut Option<Pin<Box<Sleep>>>, at: Instant) {
    if let Some(timer) = timer {
        timer.as_mut().reset(at);
    }
}

impl http_body::Body for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        if let Some(charge) = &mut this.charge {
            ready!(charge.poll_room(context));
        }
        let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) else {
            let error = ready!(this.poll_patience(context));
            return this.refuse(error);
        };
        if let Err(error) = this.account() {
            return this.refuse(error);
        }
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.rate.moved(data.len());
            if let Some(charge) = &mut this.charge {
                charge.took(data);
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
