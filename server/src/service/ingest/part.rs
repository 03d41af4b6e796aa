//! The part that a stream is sending.

use bytes::Bytes;
use sluice_domain::{
    ByteRange, Crc32c, Epoch, Error, Part, PartHasher, PartNumber, PartPlan, Reason, Result,
    UploadId,
};

use crate::{
    metrics,
    ports::{PartWriter, PersistedPart, Recorded},
    service::{Caller, Context, completion::check_same},
    tasks::joined,
};

/// A part between its first frame and its last.
pub(super) struct PartInProgress {
    number: PartNumber,
    start: u64,
    hasher: PartHasher,
    sink: Sink,
    /// What the upload has of its owner's quota, while its size is not known.
    reserved: Option<u64>,
}

/// Where the bytes go.
enum Sink {
    /// Into storage.
    Store(Box<dyn PartWriter>),
    /// Nowhere: they are persisted already and only compared.
    Compare(Part),
}

impl PartInProgress {
    /// Begins a part of an active upload. The record is read after the claim
    /// was won: whoever ends writers changes the record first and the claims
    /// then, so this stream sees one or the other. The part starts at `start`.
    pub(super) async fn claim(
        context: &Context,
        caller: Caller,
        id: UploadId,
        epoch: Epoch,
        number: PartNumber,
        start: u64,
    ) -> Result<Self> {
        let claimed = context.blobs.claim_part(id, epoch, number).await;
        let mut writer = claimed.map_err(|error| located(error, start))?;
        let written = context.uploads.written(caller.owner, id, number).await?;
        written.upload.check_active()?;
        written.upload.check_epoch(epoch)?;
        let sink = match written.part {
            Some(recorded) => Sink::Compare(recorded),
            None => {
                writer.begin(written.upload.plan).await?;
                Sink::Store(writer)
            }
        };
        let mut part = Self::new(number, written.upload.plan, sink);
        let unknown = written.upload.plan.size.is_none();
        part.reserved = unknown.then_some(written.upload.reserved);
        Ok(part)
    }

    /// Begins to compare a part with its record.
    pub(super) fn compare(plan: PartPlan, recorded: Part) -> Self {
        Self::new(recorded.number, plan, Sink::Compare(recorded))
    }

    fn new(number: PartNumber, plan: PartPlan, sink: Sink) -> Self {
        let start = plan.start(number);
        Self { number, start, hasher: PartHasher::new(number, start), sink, reserved: None }
    }

    /// Checks a frame and takes its checksums.
    pub(super) fn fold(&mut self, offset: u64, data: &[u8], crc32c: Crc32c) -> Result<()> {
        if self.hasher.fold(data, crc32c) {
            return Ok(());
        }
        Err(Error::new(
            Reason::ChecksumMismatch,
            format!("the frame at offset {offset} arrived damaged; send its part again"),
        )
        .with("offset", offset))
    }

    /// Offset of the part's first byte.
    pub(super) fn start(&self) -> u64 {
        self.start
    }

    /// Hands a checked frame on.
    pub(super) async fn write(&mut self, data: Bytes) -> Result<()> {
        match &mut self.sink {
            Sink::Store(writer) => {
                writer.write(data).await.map_err(|error| located(error, self.start))
            }
            Sink::Compare(_) => Ok(()),
        }
    }

    /// Takes bytes that came without a checksum, for a part that has one.
    pub(super) async fn absorb(&mut self, data: Bytes) -> Result<()> {
        self.hasher.absorb(&data);
        self.write(data).await
    }

    /// Refuses unless all bytes together have this checksum.
    pub(super) fn check_whole(&self, crc32c: Crc32c) -> Result<()> {
        let actual = self.hasher.crc32c();
        if actual == crc32c {
            return Ok(());
        }
        let message = format!("the bytes have CRC32C {actual}, not {crc32c}; send them again");
        Err(Error::new(Reason::ChecksumMismatch, message).with("offset", self.start))
    }

    /// Ends a whole part: makes it durable and records it, in this order. Runs
    /// to its end even if the stream is cut meanwhile, and keeps the claim
    /// until the record is committed. Answers which bytes are persisted now.
    pub(super) async fn finish(
        self,
        context: &Context,
        caller: Caller,
        id: UploadId,
        epoch: Epoch,
    ) -> Result<ByteRange> {
        let (start, reserved) = (self.start, self.reserved);
        let part = self.hasher.finish();
        let range = ByteRange { start, end: start + part.size };
        let mut writer = match self.sink {
            Sink::Compare(recorded) => {
                check_same(start, recorded.crc32c, part.crc32c)?;
                return Ok(range);
            }
            Sink::Store(writer) => writer,
        };
        let work = {
            let context = context.clone();
            async move {
                let bytes = writer.persist(part.crc32c).await?;
                let (now, ttl) = (context.clock.now(), context.limits.upload_ttl);
                let size = part.size;
                let part = PersistedPart { record: part, bytes };
                if reserved.is_some_and(|reserved| range.end > reserved) {
                    let quota = context.identity.policy.quota;
                    context.uploads.reserve(caller.owner, id, range.end, quota).await?;
                }
                let crc32c = part.record.crc32c;
                let recorded =
                    context.uploads.commit_part(caller.owner, id, epoch, part, now, ttl).await;
                match recorded {
                    Ok(Recorded::New) => {
                        metrics::part_persisted(size);
                        Ok(())
                    }
                    // Another process was faster.
                    Ok(Recorded::Before(before)) => {
                        writer.abandon().await;
                        check_same(start, before.crc32c, crc32c)
                    }
                    Err(error) => {
                        if is_certain(&error) {
                            writer.abandon().await;
                        }
                        Err(error)
                    }
                }
            }
        };
        joined(context.tasks.spawn(work).await).map_err(|error| located(error, start))?;
        Ok(range)
    }

    /// Gives the part up; returns when its claim has ended.
    pub(super) async fn abandon(self) {
        tracing::debug!(part = self.number.get(), bytes = self.hasher.size(), "part given up");
        if let Sink::Store(writer) = self.sink {
            writer.abandon().await;
        }
    }
}

/// Whether nothing has happened for sure.
fn is_certain(error: &Error) -> bool {
    !matches!(error.reason, Reason::StorageIo | Reason::DependencyUnavailable)
}

/// Storage knows a busy part by its number; the contract names it by offset.
fn located(error: Error, start: u64) -> Error {
    match error.reason {
        Reason::PartBusy => error.with("offset", start),
        _ => error,
    }
}
