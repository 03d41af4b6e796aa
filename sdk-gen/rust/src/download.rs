//! Downloads to a local path: resumed, verified and published at once.

mod options;
mod target;

use std::{
    fs, panic,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use futures::{StreamExt, future, stream};
use sluice_domain::ByteRange;
use tokio::sync::mpsc::{self, Sender};
use tokio_util::task::AbortOnDropHandle;

pub use self::options::DownloadOptions;
use self::target::Target;
use crate::{
    Client, Error, File, Progress, Result, Statistics, blocking::blocking, error::Kind,
    progress::Reporter, write_stream::FileFrame,
};

/// Frames between the network and the disk.
const QUEUED_FRAMES: usize = 4;
/// What one stream fetches at a time of a file that has more than one. They are
/// put in order in memory, so that what is on the disk is always a beginning of
/// the file, which the next attempt goes on from.
const SEGMENT: u64 = 4 * 1024 * 1024;
/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Downloaded {
    /// The file.
    pub file: File,
    /// What it took; `resumed` bytes were there from an earlier attempt.
    pub statistics: Statistics,
}

impl Client {
    /// Downloads a file to `path`.
    ///
    /// The bytes go to `<path>.part` first. If there is one from an earlier
    /// attempt, only what it lacks is fetched. The whole file is verified by
    /// CRC-32C and BLAKE3 and made durable before it takes its name, replacing
    /// what was there. If the whole is not the file because the beginning was
    /// something else, everything is fetched once more.
    pub async fn download(
        &self,
        file_id: &str,
        path: impl AsRef<Path>,
        options: DownloadOptions,
    ) -> Result<Downloaded> {
        let started = Instant::now();
        let path = path.as_ref();
        let reporter = Reporter::new(options.on_progress);
        let work = async {
            let file = self.get(file_id).await?;
            let mut target = Target::beside(path);
            let streams = options.streams;
            let (mut partial, mut counts) = self.fetch(&file, &target, streams, &reporter).await?;
            if !counts.correct && counts.resumed > 0 {
                // What was there came from something else.
                drop(partial);
                target.from_scratch = true;
                let in_vain = counts.received;
                (partial, counts) = self.fetch(&file, &target, streams, &reporter).await?;
                counts.received += in_vain;
                counts.resent = in_vain;
            }
            if !counts.correct {
                let _ = tokio::fs::remove_file(&target.partial).await;
                return Err(corrupt(path, &file));
            }
            blocking(move || target.publish(&partial, options.modified)).await?;
            Ok((file, counts))
        };
        let done = options.cancel.run_until_cancelled(Box::pin(work)).await;
        let (file, counts) = done.unwrap_or_else(|| Err(Error::cancelled()))?;
        let statistics = Statistics {
            size: file.size.cast_unsigned(),
            sent: counts.received,
            resent: counts.resent,
            resumed: counts.resumed,
            elapsed: started.elapsed(),
        };
        Ok(Downloaded { file, statistics })
    }

    /// Fetches what the partial file lacks and compares the whole.
    async fn fetch(
        &self,
        file: &File,
        target: &Target,
        streams: usize,
        reporter: &Reporter,
    ) -> Result<(fs::File, Counts)> {
        let size = file.size.cast_unsigned();
        let (target, from) = (target.clone(), target.clone());
        let (partial, resumed) = blocking(move || from.open(size)).await?;
        let there = Arc::new(AtomicU64::new(resumed));
        let progress = || {
            let there = there.load(Ordering::Relaxed);
            Progress {
                total: Some(size),
                persisted: there,
                sent: there - resumed,
                resumed,
                ..Progress::default()
            }
        };

        let (sender, receiver) = mpsc::channel(QUEUED_FRAMES);
        let written = there.clone();
        let writing = blocking(move || target.write(partial, resumed, receiver, &written));
        let missing = ByteRange { start: resumed, end: size };
        let reading = self.read_in_parallel(&file.id, missing, streams, sender);
        let both = async {
            let (read, written) = future::join(reading, writing).await;
            let written = written?;
            read.map(|()| written)
        };
        let (partial, digest) = reporter.follow(progress, both).await?;
        let received = there.load(Ordering::Relaxed) - resumed;
        let counts = Counts { correct: digest.is_of(file), received, resent: 0, resumed };
        Ok((partial, counts))
    }
}

impl Client {
    /// Hands over all frames of a range in their order.
    async fn read_in_parallel(
        &self,
        file_id: &str,
        range: ByteRange,
        streams: usize,
        sender: Sender<FileFrame>,
    ) -> Result<()> {
        if streams == 1 || range.len() <= SEGMENT {
            let mut reader = self.read(file_id, range.start..range.end);
            while let Some(frame) = reader.frame().await? {
                if sender.send(frame).await.is_err() {
                    break; // The writer has failed and says why.
                }
            }
            return Ok(());
        }
        // Each on a task of its own, so that checking them takes several threads.
        let fetches = segments(range).map(|segment| {
            let mut reader = self.read(file_id, segment.start..segment.end);
            async move {
                let fetched = AbortOnDropHandle::new(tokio::spawn(async move {
                    let mut frames = Vec::new();
                    while let Some(frame) = reader.frame().await? {
                        frames.push(frame);
                    }
                    Ok::<_, Error>(frames)
                }));
                fetched.await.unwrap_or_else(|error| match error.try_into_panic() {
                    Ok(panic) => panic::resume_unwind(panic),
                    Err(_) => Err(Error::cancelled()),
                })
            }
        });
        let mut fetched = stream::iter(fetches).buffered(streams);
        while let Some(frames) = fetched.next().await {
            for frame in frames? {
                if sender.send(frame).await.is_err() {
                    return Ok(()); // The writer has failed and says why.
                }
            }
        }
        Ok(())
    }
}

/// The pieces of a range that are fetched at a time. They end at multiples of
/// their size, which is how the content is kept and verified.
fn segments(range: ByteRange) -> impl Iterator<Item = ByteRange> {
    let first = range.start / SEGMENT;
    let segments = first..range.end.div_ceil(SEGMENT);
    segments.map(move |segment| ByteRange {
        start: (segment * SEGMENT).max(range.start),
        end: ((segment + 1) * SEGMENT).min(range.end),
    })
}

/// How one pass went.
struct Counts {
    correct: bool,
    received: u64,
    resent: u64,
    resumed: u64,
}

fn corrupt(path: &Path, file: &File) -> Error {
    let message = format!(
        "what arrived for {} is not {}: its checksum differs; nothing was kept, try again",
        path.display(),
        file.name
    );
    Error::new(Kind::Corrupt, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_the_range_in_order() {
        let all = |start, end| {
            let segments = segments(ByteRange { start, end });
            segments.map(|segment| (segment.start, segment.end)).collect::<Vec<_>>()
        };
        assert_eq!(all(0, 2 * SEGMENT), [(0, SEGMENT), (SEGMENT, 2 * SEGMENT)]);
        assert_eq!(all(7, SEGMENT + 1), [(7, SEGMENT), (SEGMENT, SEGMENT + 1)]);
        assert_eq!(all(SEGMENT, SEGMENT + 5), [(SEGMENT, SEGMENT + 5)]);
    }
}
