//! Collects one part and sends it to S3.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use sluice_domain::{Crc32c, Error, PartNumber, PartPlan, Result, UploadId};
use tokio::{sync::OwnedMutexGuard, time::Instant};

use super::{blob_store::Shared, part_content::PartContent, room::PartRoom, storage_tag::StoredAs};
use crate::{
    adapters::claims::{Gate, Hold},
    metrics,
    ports::{PartWriter, Persisted},
    tasks::joined,
};

/// Slices smaller than this are copied together, so that bookkeeping never
/// outgrows the bytes and a tiny slice does not keep a large buffer alive.
const SMALL: usize = 64 * 1024;

/// Bytes that are written to a file in one go.
const BATCH: u64 = 1024 * 1024;

/// How often a writer that waits for room says that it is alive.
const SIGN: Duration = Duration::from_millis(300);

pub(super) struct S3PartWriter {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
    upload: UploadId,
    part: PartNumber,
    begun: Option<Begun>,
    /// Held from sending the part until the writer is dropped, so that the part's
    /// record is committed before anybody else can claim the part.
    durable: Option<OwnedMutexGuard<Gate>>,
    stored: Option<StoredAs>,
}

/// A part that takes bytes.
struct Begun {
    plan: PartPlan,
    room: PartRoom,
    pending: Pending,
    /// Bytes in all.
    size: u64,
    spilled: Option<Spilled>,
}

/// Where the beginning of a part is that does not fit into memory.
struct Spilled {
    file: Arc<File>,
    size: u64,
}

impl S3PartWriter {
    pub(super) fn new(shared: Arc<Shared>, hold: Hold, upload: UploadId, part: PartNumber) -> Self {
        Self {
            shared,
            hold: Arc::new(hold),
            upload,
            part,
            begun: None,
            durable: None,
            stored: None,
        }
    }

    /// Writes to the disk what is in memory.
    async fn spill(&self, begun: &mut Begun) -> Result<()> {
        let spilled = match begun.spilled.take() {
            Some(spilled) => spilled,
            None => {
                let file = begun.room.file().map_err(|error| disk_error(&error))?;
                Spilled { file: Arc::new(file), size: 0 }
            }
        };
        let (slices, file) = (begun.pending.take(), Arc::clone(&spilled.file));
        let mut size = spilled.size;
        let written = move || {
            for slice in slices {
                file.write_all_at(&slice, size).map_err(|error| disk_error(&error))?;
                size += slice.len() as u64;
            }
            Ok(size)
        };
        let size = self.shared.tasks.blocking(written).await?;
        begun.spilled = Some(Spilled { size, ..spilled });
        begun.room.free_memory();
        Ok(())
    }
}

#[async_trait]
impl PartWriter for S3PartWriter {
    async fn begin(&mut self, plan: PartPlan) -> Result<()> {
        drop(self.hold.enter().await?);
        let taken = self.shared.room.take(plan.range(self.part).len());
        let mut taken = std::pin::pin!(taken);
        let room = loop {
            tokio::select! {
                room = &mut taken => break room?,
                () = tokio::time::sleep(SIGN) => self.hold.sign(),
            }
        };
        self.hold.sign();
        self.begun =
            Some(Begun { plan, room, pending: Pending::default(), size: 0, spilled: None });
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.hold.sign();
        let mut begun = self.begun.take().ok_or_else(not_begun)?;
        begun.size += bytes.len() as u64;
        begun.pending.push(bytes);
        let full = match begun.spilled {
            Some(_) => begun.pending.size >= BATCH,
            None => !begun.room.use_memory(begun.size),
        };
        if full {
            self.spill(&mut begun).await?;
        }
        self.begun = Some(begun);
        Ok(())
    }

    async fn persist(&mut self, crc32c: Crc32c) -> Result<Persisted> {
        let mut begun = self.begun.take().ok_or_else(not_begun)?;
        if begun.spilled.is_some() {
            self.spill(&mut begun).await?;
        }
        let gate = self.hold.enter().await?;
        let Begun { plan, room, mut pending, size, spilled } = begun;
        let content = match spilled {
            Some(Spilled { file, size }) => {
                PartContent::File { file, size, tasks: self.shared.tasks.clone() }
            }
            None => PartContent::Memory(pending.take().into()),
        };
        // A short part is the last one, also where nobody has said the size yet.
        let is_whole =
            self.part == PartNumber::FIRST && (plan.size == Some(size) || size < plan.part_size);
        let (shared, hold, upload, part) =
            (Arc::clone(&self.shared), Arc::clone(&self.hold), self.upload, self.part);
        // Whoever claims the part next must find that nothing is under way, also if
        // nobody waits for this any more.
        let sent = self.shared.tasks.spawn(Box::pin(async move {
            let began = Instant::now();
            let stored = if is_whole {
                Box::pin(shared.put_whole(upload, &content, crc32c)).await?
            } else {
                Box::pin(shared.put_part(upload, part, &content, crc32c)).await?
            };
            metrics::part_synced(began.elapsed());
            drop((room, hold));
            Ok((gate, stored))
        }));
        let (gate, stored) = joined(sent.await)?;
        let tag = stored.tag();
        self.durable = Some(gate);
        self.stored = Some(stored);
        Ok(Persisted::Stored(Some(tag)))
    }

    async fn abandon(mut self: Box<Self>) {
        if let Some(StoredAs::Object { attempt, .. }) = self.stored.take() {
            self.shared.remove_whole(self.upload, attempt).await;
        }
        self.begun = None;
        self.durable = None;
        self.hold.settle().await;
    }
}

/// Slices in memory.
#[derive(Default)]
struct Pending {
    slices: Vec<Bytes>,
    small: BytesMut,
    size: u64,
}

impl Pending {
    fn push(&mut self, bytes: Bytes) {
        self.size += bytes.len() as u64;
        if bytes.len() >= SMALL {
            self.close_small();
            self.slices.push(bytes);
            return;
        }
        if self.small.is_empty() {
            self.small.reserve(2 * SMALL);
        }
        self.small.extend_from_slice(&bytes);
        if self.small.len() >= SMALL {
            self.close_small();
        }
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.slices.push(std::mem::take(&mut self.small).freeze());
        }
    }

    fn take(&mut self) -> Vec<Bytes> {
        self.close_small();
        self.size = 0;
        std::mem::take(&mut self.slices)
    }
}

fn not_begun() -> Error {
    Error::storage_io("the part was given up after an error; send it again")
}

fn disk_error(error: &io::Error) -> Error {
    tracing::error!(%error, "a part cannot be kept on the disk");
    Error::storage_io("the server's disk reported an error; try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_keep_their_order_and_small_ones_are_few() {
        let mut pending = Pending::default();
        let mut expected = Vec::new();
        for (index, length) in
            [3, SMALL, 1, SMALL - 1, 3 * SMALL, 7].into_iter().chain([10; 20_000]).enumerate()
        {
            let slice: Vec<u8> = (0..length).map(|at| (at * 31 + index) as u8).collect();
            expected.extend_from_slice(&slice);
            pending.push(slice.into());
            assert_eq!(pending.size, expected.len() as u64);
        }
        let slices = pending.take();
        assert!(slices.len() < 12, "{} slices", slices.len());
        assert!(slices.concat() == expected);
        assert!(pending.take().is_empty());
    }
}
