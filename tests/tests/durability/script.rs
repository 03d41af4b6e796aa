//! What one write stream sends.

use std::time::Duration;

use rand::{RngExt, rngs::SmallRng, seq::SliceRandom};
use sluice_domain::{Crc32c, Error, MAX_FRAME_SIZE, PartNumber, RangeSet, Reason, Result};
use sluice_server::service::ingest::WriteMessage;

use crate::ledger::Entry;

/// The messages of a stream, and what to make of its answer.
pub(crate) struct Script {
    pub(crate) first: WriteMessage,
    pub(crate) rest: Vec<Result<WriteMessage>>,
    /// The parts that it sends.
    pub(crate) parts: Vec<PartNumber>,
    /// Which content it sends.
    pub(crate) content: usize,
    /// Whether the caller listens to what is said on the open stream.
    pub(crate) listens: bool,
    /// When the caller goes away.
    pub(crate) patience: Option<Duration>,
    /// Whether the last part is whole when the stream ends.
    pub(crate) fixes_size: bool,
}

impl Script {
    /// Sends these parts in this order, in a few frames each.
    pub(crate) fn honest(entry: &Entry, parts: &[PartNumber], content: usize) -> Self {
        let mut messages: Vec<WriteMessage> = Vec::new();
        for part in parts {
            let range = entry.plan().range(*part);
            let frame_size =
                entry.part_size.div_ceil(1 + u64::from(part.get() % 3)).min(MAX_FRAME_SIZE);
            let mut offset = range.start;
            while offset < range.end {
                let end = range.end.min(offset + frame_size);
                let data = entry.contents[content].bytes(offset..end);
                let crc32c = Some(Crc32c::of(&data));
                messages.push(WriteMessage { offset, data, crc32c, ..WriteMessage::default() });
                offset = end;
            }
        }
        if messages.is_empty() {
            messages.push(WriteMessage::default());
        }
        let fixes_size = entry.request.size.is_some();
        let first = messages.remove(0);
        let rest = messages.into_iter().map(Ok).collect();
        Self {
            first,
            rest,
            parts: parts.to_vec(),
            content,
            listens: false,
            patience: None,
            fixes_size,
        }
        .fixing(entry)
    }

    /// Some of the missing parts, rarely of those that are there, and sometimes
    /// not as it should be. Nothing if there is nothing to send.
    pub(crate) fn random(entry: &Entry, persisted: &RangeSet, rng: &mut SmallRng) -> Option<Self> {
        let mut parts = entry.part_numbers();
        let repeats = rng.random_ratio(1, 6);
        parts.retain(|part| repeats || !persisted.contains(entry.plan().range(*part)));
        parts.retain(|_| rng.random_bool(0.6));
        parts.shuffle(rng);
        if parts.is_empty() {
            return None;
        }
        let content = usize::from(rng.random_ratio(1, 12));
        let mut script = Self::honest(entry, &parts, content);
        script.listens = rng.random_bool(0.5);
        let at = rng.random_range(0..=script.rest.len());
        match rng.random_range(0..12) {
            0 => script.rest.insert(at, Err(Error::new(Reason::StreamIdle, "the line is dead"))),
            1 => {
                if let Some(Ok(frame)) = script.rest.get_mut(at) {
                    frame.crc32c = frame.crc32c.map(|crc| Crc32c(crc.0 ^ 1));
                }
            }
            2 => script.patience = Some(Duration::from_micros(rng.random_range(0..3000))),
            _ => {}
        }
        Some(script)
    }

    /// Completes the upload with the last message.
    pub(crate) fn completing(mut self) -> Self {
        match self.rest.last_mut() {
            Some(Ok(last)) => last.complete = true,
            _ => self.first.complete = true,
        }
        self
    }

    /// Says the size in one of the messages, where creation has not.
    fn fixing(mut self, entry: &Entry) -> Self {
        if !self.fixes_size {
            self.fixes_size = true;
            let ends_file = self.parts.last() == entry.part_numbers().last();
            match self.rest.last_mut() {
                Some(Ok(last)) if ends_file && entry.size.is_multiple_of(2) => {
                    last.final_size = Some(entry.size)
                }
                _ => self.first.final_size = Some(entry.size),
            }
        }
        self
    }
}
