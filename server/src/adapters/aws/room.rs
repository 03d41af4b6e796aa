//! Room for parts on their way to S3: in memory, and on a disk when that is full.

use std::{fs::File, io, path::PathBuf, sync::Arc};

use sluice_domain::{Error, Reason, Result};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// What room is counted in: a semaphore hands out at most 2^32 permits at once.
const UNIT: u64 = 1024;

/// A budget of memory and one of disk, for all parts together.
///
/// A part takes room for all its bytes before its first one, in one of the two, so
/// that it can always end whatever others do; a stream waits only between parts.
/// Whoever has room on the disk uses memory all the same as long as there is any.
pub(super) struct Room {
    memory: Budget,
    disk: Budget,
    folder: PathBuf,
}

struct Budget {
    units: u64,
    free: Arc<Semaphore>,
}

impl Budget {
    fn new(bytes: u64) -> Self {
        // No machine has more than a semaphore can count.
        let units = usize::try_from(bytes / UNIT).unwrap_or(usize::MAX);
        let units = units.min(Semaphore::MAX_PERMITS);
        Self { units: units as u64, free: Arc::new(Semaphore::new(units)) }
    }

    fn try_take(&self, units: u32) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_many_owned(units).ok()
    }

    /// Waits until so much is free; for ever, if there never is.
    async fn take(&self, units: u32) -> OwnedSemaphorePermit {
        if u64::from(units) <= self.units
            && let Ok(taken) = Arc::clone(&self.free).acquire_many_owned(units).await
        {
            return taken;
        }
        std::future::pending().await
    }
}

/// Room for a part, and what of it is used.
pub(super) struct PartRoom {
    room: Arc<Room>,
    /// All of it, in memory.
    memory: Option<OwnedSemaphorePermit>,
    /// All of it, on the disk.
    disk: Option<OwnedSemaphorePermit>,
    /// What is used of the memory, where the part has its room on the disk.
    used: Option<OwnedSemaphorePermit>,
}

impl Room {
    pub(super) fn new(memory: u64, disk: u64, folder: PathBuf) -> Arc<Self> {
        Arc::new(Self { memory: Budget::new(memory), disk: Budget::new(disk), folder })
    }

    /// Takes room for a part, when there is some. `STORAGE_FULL` if there never
    /// will be.
    pub(super) async fn take(self: &Arc<Self>, bytes: u64) -> Result<PartRoom> {
        let largest = self.memory.units.max(self.disk.units);
        let units = u32::try_from(bytes.div_ceil(UNIT)).ok().filter(|it| u64::from(*it) <= largest);
        let Some(units) = units else {
            let message = "the server has no room for a part of this size; use smaller parts";
            return Err(Error::new(Reason::StorageFull, message)
                .with("limit", largest * UNIT)
                .with("used", 0));
        };
        let (memory, disk) = match self.disk.try_take(units) {
            Some(disk) => (None, Some(disk)),
            None => tokio::select! {
                biased;
                disk = self.disk.take(units) => (None, Some(disk)),
                memory = self.memory.take(units) => (Some(memory), None),
            },
        };
        Ok(PartRoom { room: Arc::clone(self), memory, disk, used: None })
    }
}

impl PartRoom {
    /// Whether so many bytes of the part can be in memory.
    pub(super) fn use_memory(&mut self, bytes: u64) -> bool {
        if self.memory.is_some() {
            return true;
        }
        let used = self.used.as_ref().map_or(0, |used| used.num_permits() as u64);
        let more = bytes.div_ceil(UNIT).saturating_sub(used);
        if more == 0 {
            return true;
        }
        let Some(more) = u32::try_from(more).ok().and_then(|more| self.room.memory.try_take(more))
        else {
            return false;
        };
        match &mut self.used {
            Some(used) => used.merge(more),
            None => self.used = Some(more),
        }
        true
    }

    /// The part leaves memory.
    pub(super) fn free_memory(&mut self) {
        self.used = None;
    }

    /// A file for the part that is gone when nobody has it open. Blocks.
    pub(super) fn file(&self) -> io::Result<File> {
        debug_assert!(self.disk.is_some(), "room in memory is for all of the part");
        tempfile::tempfile_in(&self.room.folder)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MIB: u64 = 1024 * 1024;

    fn room(memory: u64, disk: u64) -> Arc<Room> {
        Room::new(memory * MIB, disk * MIB, std::env::temp_dir())
    }

    async fn must_wait(room: &Arc<Room>, bytes: u64) {
        let waited = tokio::time::timeout(Duration::from_millis(20), room.take(bytes)).await;
        assert!(waited.is_err(), "there is room");
    }

    #[tokio::test]
    async fn a_part_waits_until_another_has_ended() {
        let room = room(4, 8);
        let parts = [room.take(4 * MIB).await, room.take(4 * MIB).await, room.take(4 * MIB).await];
        must_wait(&room, 1).await;
        for part in parts {
            drop(part);
            drop(room.take(4 * MIB).await.unwrap());
        }
    }

    #[tokio::test]
    async fn memory_is_used_as_long_as_there_is_any() {
        let room = room(4, 100);
        let mut first = room.take(10 * MIB).await.unwrap();
        let mut second = room.take(10 * MIB).await.unwrap();
        assert!(first.use_memory(3 * MIB) && second.use_memory(MIB));
        assert!(second.use_memory(MIB), "it has that already");
        assert!(!second.use_memory(MIB + 1) && !first.use_memory(4 * MIB));
        first.free_memory();
        assert!(second.use_memory(4 * MIB));
        drop(second);
        assert!(first.use_memory(4 * MIB));
        first.file().unwrap();
    }

    #[tokio::test]
    async fn without_a_disk_parts_take_memory_whole() {
        let room = room(4, 0);
        let mut first = room.take(3 * MIB).await.unwrap();
        must_wait(&room, 2 * MIB).await;
        assert!(first.use_memory(3 * MIB));
        let too_large = room.take(5 * MIB).await.err().unwrap();
        assert_eq!(too_large.reason, Reason::StorageFull);
    }
}
