//! Downloads to a local path: resumed, verified and published at once.

use std::{
    fmt,
    fs::{self, OpenOptions, TryLockError},
    io::{Read, Seek, SeekFrom, Write},
    panic,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Instant, SystemTime},
};

use futures::{StreamExt, future, stream};
use sluice_domain::{ByteRange, Crc32c};
use tokio::sync::mpsc::{self, Sender};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

use crate::{
    Client, Error, File, Progress, Result, Statistics,
    blocking::blocking,
    error::Kind,
    progress::{OnProgress, Reporter},
    write_stream::FileFrame,
};

/// Frames between the network and the disk.
const QUEUED_FRAMES: usize = 4;
/// Streams that fetch a large file in parallel unless the caller says
/// otherwise.
const DEFAULT_STREAMS: usize = 4;
/// What one stream fetches at a time of a file that has more than one. They are
/// put in order in memory, so that what is on the disk is always a beginning of
/// the file, which the next attempt goes on from.
const SEGMENT: u64 = 4 * 1024 * 1024;
/// Bytes read at once where what is there already is verified.
const READ_SIZE: usize = 1024 * 1024;

/// Choices about one download.
#[derive(Clone)]
#[must_use]
pub struct DownloadOptions {
    streams: usize,
    modified: Option<SystemTime>,
    on_progress: Option<OnProgress>,
    cancel: CancellationToken,
}

/// A file that was downloaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Downloaded {
    /// The file.
    pub file: File,
    /// What it took; `resumed` bytes were there from an earlier attempt.
    pub statistics: Statistics,
}

impl DownloadOptions {
    /// The defaults.
    pub fn new() -> Self {
        Self {
            streams: DEFAULT_STREAMS,
            modified: None,
            on_progress: None,
            cancel: CancellationToken::new(),
        }
    }

    /// Streams that fetch a large file in parallel; 4 unless set. Each may hold
    /// 4 MiB in memory.
    pub fn streams(mut self, count: usize) -> Self {
        self.streams = count.max(1);
        self
    }

    /// When the file shall say that it was changed, if the file system keeps
    /// such times; unless set, it is when it was written here.
    pub fn modified(mut self, time: SystemTime) -> Self {
        self.modified = Some(time);
        self
    }

    /// Called about ten times a second while the download is under way. Must
    /// not block.
    pub fn on_progress(mut self, call: impl Fn(&Progress) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(call));
        self
    }

    /// Stops the download when the token is cancelled. What has arrived is
    /// kept, and the next call goes on from there.
    pub fn cancel(mut self, token: CancellationToken) -> Self {
        self.cancel = token;
        self
    }
}

impl Default for DownloadOptions {
    fn default() -> Self {
        Self::new()
    }
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

/// Where a download goes.
#[derive(Debug, Clone)]
struct Target {
    path: PathBuf,
    partial: PathBuf,
    from_scratch: bool,
}

impl Target {
    fn beside(path: &Path) -> Self {
        let mut partial = path.as_os_str().to_owned();
        partial.push(".part");
        Self { path: path.to_owned(), partial: partial.into(), from_scratch: false }
    }

    /// Opens the partial file for this process alone; answers how much of it
    /// is of use.
    fn open(&self, size: u64) -> Result<(fs::File, u64)> {
        let fail = |error| Error::local(&self.partial, "write", error);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.partial)
            .map_err(fail)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let path = self.path.display();
                let message = format!("another process is downloading to {path} already");
                return Err(Error::new(Kind::Local, message));
            }
            // A file system without locks: as good as nobody else.
            Err(TryLockError::Error(_)) => {}
        }
        let there = file.metadata().map_err(fail)?.len();
        let of_use = if there > size || self.from_scratch { 0 } else { there };
        file.set_len(of_use).map_err(fail)?;
        Ok((file, of_use))
    }

    /// Hashes what is there, then writes frames until no more come.
    fn write(
        &self,
        mut file: fs::File,
        resumed: u64,
        mut frames: mpsc::Receiver<FileFrame>,
        there: &AtomicU64,
    ) -> Result<(fs::File, Digest)> {
        let fail = |error| Error::local(&self.partial, "write", error);
        let mut digest = Digest::default();
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        let mut buffer = vec![0; READ_SIZE];
        let mut left = resumed;
        while left > 0 {
            let count = (&mut file).take(left).read(&mut buffer).map_err(fail)?;
            if count == 0 {
                return Err(fail(std::io::ErrorKind::UnexpectedEof.into()));
            }
            let bytes = &buffer[..count];
            digest.add(bytes, Crc32c::of(bytes));
            left -= count as u64;
        }
        while let Some(frame) = frames.blocking_recv() {
            file.write_all(&frame.content).map_err(fail)?;
            digest.add(&frame.content, frame.crc32c);
            there.fetch_add(frame.len(), Ordering::Relaxed);
        }
        Ok((file, digest))
    }

    /// Makes the partial file durable under its name.
    fn publish(&self, partial: &fs::File, modified: Option<SystemTime>) -> Result<()> {
        let fail = |error| Error::local(&self.path, "write", error);
        if let Some(modified) = modified {
            // Before it has its name: then whoever changes it changes its time. The
            // bytes are there, whether or not a file system keeps times.
            let _ = partial.set_modified(modified);
        }
        partial.sync_all().map_err(fail)?;
        fs::rename(&self.partial, &self.path).map_err(fail)?;
        sync_folder_of(&self.path).map_err(fail)
    }
}

/// What a file consists of.
#[derive(Default)]
struct Digest {
    size: u64,
    crc32c: Option<Crc32c>,
    blake3: blake3::Hasher,
}

impl Digest {
    fn add(&mut self, bytes: &[u8], crc32c: Crc32c) {
        let length = bytes.len() as u64;
        self.size += length;
        self.crc32c = Some(self.crc32c.unwrap_or(Crc32c::EMPTY).combine(crc32c, length));
        self.blake3.update(bytes);
    }

    fn is_of(&self, file: &File) -> bool {
        let expected = file.checksums.clone().unwrap_or_default();
        let crc32c = self.crc32c.unwrap_or(Crc32c::EMPTY);
        self.size == file.size.cast_unsigned()
            && expected.crc32c.is_none_or(|expected| Crc32c(expected) == crc32c)
            && (expected.blake3.is_empty()
                || expected.blake3[..] == self.blake3.finalize().as_bytes()[..])
    }
}

impl fmt::Debug for DownloadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DownloadOptions").finish_non_exhaustive()
    }
}

fn corrupt(path: &Path, file: &File) -> Error {
    let message = format!(
        "what arrived for {} is not {}: its checksum differs; nothing was kept, try again",
        path.display(),
        file.name
    );
    Error::new(Kind::Corrupt, message)
}

/// A rename is durable once the folder is.
#[cfg(unix)]
fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(not(unix))]
fn sync_folder_of(_: &Path) -> std::io::Result<()> {
    Ok(())
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
