//! Room on the data disk, given out part by part.

use std::{
    io,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sluice_domain::{Error, Reason, Result};

use super::{disk::Disk, io_error};

/// Gives out room and keeps a reserve free, so that the database can always
/// record what was stored, or removed.
pub(super) struct Room {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    reserve: u64,
    /// Bytes given out and not yet written.
    promised: AtomicU64,
}

impl Room {
    pub(super) fn new(disk: Arc<dyn Disk>, path: PathBuf, reserve: u64) -> Self {
        Self { disk, path, reserve, promised: AtomicU64::new(0) }
    }

    /// Takes room for `bytes`, or answers `STORAGE_FULL`. Blocks.
    pub(super) fn take(self: &Arc<Self>, bytes: u64) -> Result<TakenRoom> {
        let space =
            self.disk.space(&self.path).map_err(|error| io_error(&error, "read free space"))?;
        let promised = self.promised.fetch_add(bytes, Ordering::Relaxed);
        let taken = TakenRoom { room: Arc::clone(self), bytes };
        let needed = promised.saturating_add(bytes).saturating_add(self.reserve);
        if space.available < needed {
            return Err(full(space.total, space.total.saturating_sub(space.available)));
        }
        Ok(taken)
    }

    /// `STORAGE_FULL` with what is known now. Blocks.
    pub(super) fn check(&self) -> Result<()> {
        let space = self
            .disk
            .space(&self.path)
            .map_err(|error: io::Error| io_error(&error, "read free space"))?;
        if space.available < self.reserve {
            return Err(full(space.total, space.total.saturating_sub(space.available)));
        }
        Ok(())
    }
}

fn full(limit: u64, used: u64) -> Error {
    Error::new(
        Reason::StorageFull,
        "the server's disk is full; delete files or ask its operator for more room",
    )
    .with("limit", limit)
    .with("used", used)
}

/// Room for one part. Dropping it gives back what was not written.
pub(super) struct TakenRoom {
    room: Arc<Room>,
    bytes: u64,
}

impl TakenRoom {
    /// These bytes were written: the disk itself counts them from now on.
    pub(super) fn spend(&mut self, bytes: u64) {
        let spent = bytes.min(self.bytes);
        self.bytes -= spent;
        self.room.promised.fetch_sub(spent, Ordering::Relaxed);
    }
}

impl Drop for TakenRoom {
    fn drop(&mut self) {
        self.room.promised.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
