//! Writes one part into its upload's file, or into a row if that is small.

use std::{collections::VecDeque, sync::Arc};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use sluice_domain::{Crc32c, PartNumber, PartPlan, Result, UploadId};
use tokio::{sync::OwnedMutexGuard, task::JoinHandle, time::Instant};

use super::{
    blob_store::Shared, disk::DiskFile, io_error, small_contents::is_small, space::TakenRoom,
};
use crate::{
    adapters::claims::{Gate, Hold},
    metrics,
    ports::{PartWriter, Persisted},
    tasks::joined,
};

/// Bytes that are written in one go.
pub(super) const BATCH: usize = 1024 * 1024;

/// Slices smaller than this are copied together, so that bookkeeping never
/// outgrows the bytes and a tiny slice does not keep a large buffer alive.
const SMALL: usize = 64 * 1024;

pub(super) struct DiskPartWriter {
    shared: Arc<Shared>,
    hold: Arc<Hold>,
    upload: UploadId,
    part: PartNumber,
    /// Of a small file, which is kept in memory until its record is made.
    row: Option<TakenRoom>,
    target: Option<Target>,
    pending: Batch,
    /// The write under way: at most one, so that hashing the next frame and
    /// writing this one overlap, and no more than two batches are in memory.
    under_way: Option<JoinHandle<Result<TakenRoom>>>,
    /// Held from the sync until the writer is dropped, so that the part's
    /// record is committed before anybody else can claim the part.
    durable: Option<OwnedMutexGuard<Gate>>,
}

/// Where the bytes go.
struct Target {
    file: Arc<dyn DiskFile>,
    offset: u64,
    room: Option<TakenRoom>,
}

impl DiskPartWriter {
    pub(super) fn new(shared: Arc<Shared>, hold: Hold, upload: UploadId, part: PartNumber) -> Self {
        Self {
            shared,
            hold: Arc::new(hold),
            upload,
            part,
            row: None,
            target: None,
            pending: Batch::default(),
            under_way: None,
            durable: None,
        }
    }

    /// Waits for the write under way.
    async fn settle(&mut self) -> Result<()> {
        if let Some(under_way) = self.under_way.take() {
            let room = joined(under_way.await)?;
            if let Some(target) = &mut self.target {
                target.room = Some(room);
            }
        }
        Ok(())
    }

    /// Starts to write these bytes, which are the next.
    async fn flush(&mut self, mut slices: VecDeque<Bytes>) -> Result<()> {
        self.settle().await?;
        let buffers = self.shared.buffers.clone();
        let target = self.target.as_mut().expect("begin comes before write");
        let Some(mut room) = target.room.take().filter(|_| !slices.is_empty()) else {
            return Ok(());
        };
        let gate = self.hold.enter().await?;
        let (file, hold) = (Arc::clone(&target.file), Arc::clone(&self.hold));
        let start = target.offset;
        target.offset += slices.iter().map(|slice| slice.len() as u64).sum::<u64>();
        self.under_way = Some(self.shared.tasks.spawn_blocking(move || {
            let mut offset = start;
            while !slices.is_empty() {
                let bytes = buffers.gather(&mut slices);
                let bytes = bytes.as_ref();
                file.write_all_at(bytes, offset)
                    .map_err(|error| io_error(&error, "write a part"))?;
                offset += bytes.len() as u64;
                room.spend(bytes.len() as u64);
            }
            drop((gate, hold));
            Ok(room)
        }));
        Ok(())
    }
}

#[async_trait]
impl PartWriter for DiskPartWriter {
    async fn begin(&mut self, plan: PartPlan) -> Result<()> {
        // The claim lasts as long as the work, also if nobody waits for it: a
        // file must not be created after its upload was removed.
        let claim = (self.hold.enter().await?, Arc::clone(&self.hold));
        let range = plan.range(self.part);
        let (shared, upload) = (Arc::clone(&self.shared), self.upload);
        if is_small(plan) {
            let taken = move || shared.room.take(range.len());
            self.row = Some(self.shared.tasks.blocking(taken).await?);
            return Ok(());
        }
        let opened = move || {
            let room = shared.room.take(range.len())?;
            let file = shared
                .disk
                .open_or_create(&shared.layout.blob(upload))
                .map_err(|error| io_error(&error, "open an upload's file"))?;
            drop(claim);
            Ok(Target { file, offset: range.start, room: Some(room) })
        };
        self.target = Some(self.shared.tasks.blocking(opened).await?);
        Ok(())
    }

    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        self.hold.sign();
        self.pending.push(bytes);
        if self.pending.len >= BATCH {
            let whole = self.pending.take_whole_batches();
            self.flush(whole).await?;
        }
        Ok(())
    }

    async fn persist(&mut self, _crc32c: Crc32c) -> Result<Persisted> {
        if self.row.is_some() {
            self.durable = Some(self.hold.enter().await?);
            return Ok(Persisted::WithRecord(self.pending.take_one()));
        }
        let rest = self.pending.take();
        self.flush(rest).await?;
        self.settle().await?;
        let gate = self.hold.enter().await?;
        let target = self.target.as_ref().expect("begin comes before persist");
        let (file, shared, upload) =
            (Arc::clone(&target.file), Arc::clone(&self.shared), self.upload);
        let synced = self.shared.tasks.spawn_blocking(move || {
            // A sync that failed is never tried again: the kernel may have
            // dropped the pages, and a second sync would succeed over the loss.
            let began = Instant::now();
            file.sync_data().map_err(|error| io_error(&error, "sync a part"))?;
            metrics::part_synced(began.elapsed());
            shared.sync_entry_once(upload)?;
            Ok(gate)
        });
        self.durable = Some(joined(synced.await)?);
        Ok(Persisted::Stored(None))
    }

    async fn abandon(mut self: Box<Self>) {
        let _ = self.settle().await;
        self.durable = None;
        self.hold.settle().await;
    }
}

/// Slices that wait to be written.
#[derive(Default)]
struct Batch {
    slices: VecDeque<Bytes>,
    small: BytesMut,
    len: usize,
}

impl Batch {
    fn push(&mut self, bytes: Bytes) {
        self.len += bytes.len();
        if bytes.len() < SMALL {
            self.small.extend_from_slice(&bytes);
        } else {
            self.close_small();
            self.slices.push_back(bytes);
        }
    }

    fn close_small(&mut self) {
        if !self.small.is_empty() {
            self.slices.push_back(self.small.split().freeze());
        }
    }

    /// Everything in one piece.
    fn take_one(&mut self) -> Bytes {
        let mut slices = self.take();
        match slices.pop_front() {
            Some(only) if slices.is_empty() => only,
            first => first.iter().chain(&slices).flatten().copied().collect(),
        }
    }

    /// As many whole batches as there are; so the next one begins at a multiple
    /// of their size, where it can be written past the page cache.
    fn take_whole_batches(&mut self) -> VecDeque<Bytes> {
        let rest = self.len % BATCH;
        let mut slices = self.take();
        let mut left = rest;
        while left > 0
            && let Some(mut last) = slices.pop_back()
        {
            let kept = last.split_off(last.len().saturating_sub(left));
            left -= kept.len();
            self.slices.push_front(kept);
            if !last.is_empty() {
                slices.push_back(last);
            }
        }
        self.len = rest;
        slices
    }

    fn take(&mut self) -> VecDeque<Bytes> {
        self.close_small();
        self.len = 0;
        std::mem::take(&mut self.slices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(slices: &VecDeque<Bytes>) -> Vec<u8> {
        slices.iter().flatten().copied().collect()
    }

    #[test]
    fn whole_batches_leave_the_rest_and_the_order() {
        let mut batch = Batch::default();
        let mut expected = Vec::new();
        let mut taken = Vec::new();
        for (index, length) in
            [3, SMALL, BATCH - 5, 1, SMALL - 1, 3 * BATCH, 7, BATCH, BATCH - 1].iter().enumerate()
        {
            let slice: Vec<u8> = (0..*length).map(|at| (at * 31 + index) as u8).collect();
            expected.extend_from_slice(&slice);
            batch.push(Bytes::from(slice));
            if batch.len >= BATCH {
                taken.extend(bytes(&batch.take_whole_batches()));
                assert_eq!(taken.len() % BATCH, 0);
                assert!(batch.len < BATCH);
                assert_eq!(taken.len() + batch.len, expected.len());
            }
        }
        taken.extend(bytes(&batch.take()));
        assert_eq!(batch.len, 0);
        assert!(taken == expected);
    }

    #[test]
    fn all_is_taken_in_one_piece() {
        let mut batch = Batch::default();
        assert!(batch.take_one().is_empty());
        batch.push(Bytes::from_static(b"one"));
        assert_eq!(batch.take_one(), "one");
        let long = Bytes::from(vec![7; SMALL]);
        for slice in [Bytes::from_static(b"a"), long.clone(), Bytes::from_static(b"b")] {
            batch.push(slice);
        }
        assert_eq!(batch.take_one(), [b"a", &long[..], b"b"].concat());
    }
}
