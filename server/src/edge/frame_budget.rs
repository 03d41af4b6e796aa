//! How many HTTP/2 frames a peer may send that carry nothing.
//!
//! Resets, pings, settings and the like cost the peer nothing and this server
//! a little each; sent without end they are an attack (CVE-2023-44487,
//! CVE-2019-9512, CVE-2019-9515). A peer earns the right to send them with
//! time and with the bytes that really move, in either direction: a busy
//! client may ping and open windows as much as it needs.

use tokio::time::Instant;

/// What a new connection may spend at once.
const BURST: f64 = 16_000.0;

/// What it earns in a second.
const EARNED_PER_SECOND: f64 = 1_600.0;

/// What it earns with a byte of content that it sends or takes.
const EARNED_PER_BYTE: f64 = 8.0 / 1024.0;

/// Length of the header of every frame (RFC 9113, section 4.1).
const HEADER: usize = 9;

/// Length of what an HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: usize = 24;

/// Follows the frames that a peer sends, and what they cost.
#[derive(Debug)]
pub(super) struct FrameBudget {
    credit: f64,
    refilled: Instant,
    /// Bytes that must come before the next header begins.
    skip: usize,
    header: [u8; HEADER],
    header_length: usize,
    spent: bool,
}

impl FrameBudget {
    /// Of a connection whose preface has not been read yet.
    pub(super) fn new() -> Self {
        Self {
            credit: BURST,
            refilled: Instant::now(),
            skip: PREFACE,
            header: [0; HEADER],
            header_length: 0,
            spent: false,
        }
    }

    /// Content was sent to the peer.
    pub(super) fn earn(&mut self, bytes: usize) {
        #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
        let earned = bytes as f64 * EARNED_PER_BYTE;
        self.credit = (self.credit + earned).min(BURST);
    }

    /// Takes the next bytes of the peer. Once the budget is spent it answers how
    /// many of them belong to frames that had begun; the rest is not wanted.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> Option<usize> {
        let all = bytes.len();
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip > 0 {
                return None;
            }
            if self.spent {
                return Some(all - bytes.len());
            }
            let wanted = HEADER - self.header_length;
            let taken = wanted.min(bytes.len());
            self.header[self.header_length..][..taken].copy_from_slice(&bytes[..taken]);
            self.header_length += taken;
            bytes = &bytes[taken..];
            if self.header_length < HEADER {
                return None;
            }
            self.header_length = 0;
            self.judge();
        }
    }

    fn judge(&mut self) {
        let [a, b, c, kind, flags, ..] = self.header;
        let length = u32::from_be_bytes([0, a, b, c]) as usize;
        self.skip = length;
        let cost = cost(kind, flags, length);
        if cost == 0.0 {
            return self.earn(if kind == DATA { length } else { 0 });
        }
        let now = Instant::now();
        let earned = now.duration_since(self.refilled).as_secs_f64() * EARNED_PER_SECOND;
        self.refilled = now;
        self.credit = (self.credit + earned).min(BURST) - cost;
        self.spent = self.credit < 0.0;
    }
}

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;

/// What a frame costs, beside the work that it asks for.
fn cost(kind: u8, flags: u8, length: usize) -> f64 {
    match kind {
        DATA if length > 0 || flags & END_STREAM != 0 => 0.0,
        // Requests are counted where they are served.
        HEADERS => 0.0,
        WINDOW_UPDATE => 1.0,
        CONTINUATION if length > 0 => 0.0,
        _ => 8.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, length: usize) -> Vec<u8> {
        let mut frame = u32::try_from(length).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        frame.resize(HEADER + length, 7);
        frame
    }

    fn connection() -> FrameBudget {
        let mut budget = FrameBudget::new();
        assert_eq!(budget.take(&[b'P'; PREFACE]), None);
        budget
    }

    #[test]
    fn pings_without_end_are_noticed_at_a_frame_boundary() {
        for chunk in [1, 8, 9, 16, 17, 1000] {
            let mut budget = connection();
            let pings = frame(6, 0, 8).repeat(20_000);
            let mut position = 0;
            let cut = pings.chunks(chunk).find_map(|bytes| {
                let cut = budget.take(bytes);
                position += bytes.len();
                cut.map(|cut| position - bytes.len() + cut)
            });
            let cut = cut.expect("a flood ends");
            assert_eq!(cut % 17, 0, "in chunks of {chunk}");
            assert!((2_000..3_000).contains(&(cut / 17)), "{} pings", cut / 17);
        }
    }

    #[test]
    fn whoever_moves_bytes_may_ping() {
        let mut budget = connection();
        for _ in 0..20_000 {
            assert_eq!(budget.take(&frame(6, 0, 8)), None);
            assert_eq!(budget.take(&frame(8, 0, 4)), None);
            assert_eq!(budget.take(&frame(DATA, 0, 2048)), None);
        }
        for _ in 0..20_000 {
            assert_eq!(budget.take(&frame(6, 0, 8)), None);
            budget.earn(2048);
        }
    }

    #[test]
    fn requests_and_data_are_free() {
        let mut budget = connection();
        for _ in 0..50_000 {
            assert_eq!(budget.take(&frame(HEADERS, 4, 30)), None);
            assert_eq!(budget.take(&frame(DATA, END_STREAM, 0)), None);
        }
    }

    #[test]
    fn every_kind_of_empty_frame_is_bounded() {
        for (kind, length) in [(DATA, 0), (2, 5), (3, 4), (4, 0), (6, 8), (8, 4), (9, 0), (77, 0)] {
            let mut budget = connection();
            let spent = (0..20_000).any(|_| budget.take(&frame(kind, 0, length)).is_some());
            assert!(spent, "frames of kind {kind}");
        }
    }
}
