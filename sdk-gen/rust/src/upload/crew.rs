//! How many streams one upload has at a time.

use std::time::Duration;

use sluice_domain::{Sample, Tempo};
use tokio::time::{self, Instant};

use super::{UploadOptions, parts::Parts};
use crate::Client;

/// A sample is so long: streams move several parts in that time, or the link is
/// too slow for more of them to help.
const SAMPLE: Duration = Duration::from_secs(1);
/// What a cut may cost, as time that was spent sending: each stream may lose the
/// part that it is in, so that a slow link has no more streams than at first.
const AT_STAKE: Duration = Duration::from_secs(2);

/// Has more streams as long as that moves more bytes.
pub(super) struct Crew<'a> {
    client: &'a Client,
    parts: &'a Parts,
    tempo: Tempo,
    first: usize,
    /// As many as may lose their parts.
    affordable: usize,
    /// Since the present sample began.
    began: Instant,
    sent: u64,
    slowdowns: u64,
}

impl<'a> Crew<'a> {
    pub(super) fn new(client: &'a Client, parts: &'a Parts, options: &UploadOptions) -> Self {
        let first = options.first_streams();
        let tempo = Tempo::new(first, options.most_streams());
        parts.allow(tempo.limit());
        Self {
            client,
            parts,
            tempo,
            first,
            affordable: first,
            began: Instant::now(),
            sent: parts.progress().sent,
            slowdowns: client.slowdowns(),
        }
    }

    /// How many streams there shall be.
    pub(super) fn size(&self) -> usize {
        self.tempo.limit().min(self.affordable)
    }

    /// Waits for the end of a sample and changes the number if that may help.
    #[expect(clippy::cast_precision_loss, reason = "compared by percents")]
    pub(super) async fn learn(&mut self) {
        time::sleep_until(self.began + SAMPLE).await;
        let (sent, slowdowns) = (self.parts.progress().sent, self.client.slowdowns());
        let rate = (sent - self.sent) as f64 / self.began.elapsed().as_secs_f64();
        let affordable = rate * AT_STAKE.as_secs_f64() / self.parts.part_size() as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
        let affordable = (affordable as usize).max(self.first);
        self.affordable = affordable;
        self.tempo.observe(Sample {
            rate,
            was_full: self.parts.has_missing() && affordable > self.tempo.limit(),
            was_slowed: slowdowns > self.slowdowns,
        });
        self.parts.allow(self.size());
        (self.began, self.sent, self.slowdowns) = (Instant::now(), sent, slowdowns);
    }
}

#[cfg(test)]
mod tests {
    use sluice_domain::RangeSet;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// How many streams there are after half a minute with a server that works on
    /// so many at a time, each with this rate.
    async fn streams_for(options: UploadOptions, lanes: usize, rate: u64) -> usize {
        let client = Client::builder("http://127.0.0.1:1").build().expect("a client");
        let parts = Parts::new(MIB, 10_000 * MIB, &RangeSet::default());
        let mut crew = Crew::new(&client, &parts, &options);
        let stream = parts.open_stream().expect("it is allowed");
        for _ in 0..30 {
            let part = parts.take(stream).expect("there are more");
            parts.sent(stream, part, crew.size().min(lanes) as u64 * rate);
            crew.learn().await;
        }
        crew.size()
    }

    #[tokio::test(start_paused = true)]
    async fn there_are_as_many_streams_as_help() {
        let far = streams_for(UploadOptions::new(), 12, MIB).await;
        assert!((8..=16).contains(&far), "{far} streams where 12 help");
        let near = streams_for(UploadOptions::new(), 2, 4 * MIB).await;
        assert!((4..=5).contains(&near), "{near} streams where 2 help");
        let fixed = streams_for(UploadOptions::new().streams(3), 12, MIB).await;
        assert_eq!(fixed, 3);
        // Each part takes its stream four seconds: a cut would cost as much.
        let slow = streams_for(UploadOptions::new(), 12, MIB / 4).await;
        assert_eq!(slow, 4);
    }
}
