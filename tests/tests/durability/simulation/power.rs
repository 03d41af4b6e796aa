//! When operations fail, and which ones only pretend to work.

use std::{io, path::Path};

/// What is done to a disk. Reading is not among it: it changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// Opening what exists.
    Open,
    /// Making a file or a directory.
    Create,
    Write,
    SetLength,
    Sync,
    SyncDirectory,
    Remove,
}

/// An error that the disk reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    /// How many operations go well before.
    pub(crate) after: u64,
    /// What is reported.
    pub(crate) kind: io::ErrorKind,
    /// Whether every later operation fails too, until the fault is cleared.
    pub(crate) lasts: bool,
}

impl Fault {
    /// Whether it hits this operation, the `index`-th one.
    fn hits(&self, operation: Operation, index: u64) -> bool {
        if self.after != index && !(self.lasts && self.after < index) {
            return false;
        }
        let is_full = self.kind == io::ErrorKind::StorageFull;
        match operation {
            Operation::Create | Operation::Write | Operation::SetLength => true,
            // What is on its way already has its room, mostly.
            Operation::Sync | Operation::SyncDirectory => !(is_full && self.lasts),
            // A disk that cannot be written can still be read.
            Operation::Open | Operation::Remove => !(is_full || self.lasts),
        }
    }
}

/// An operation that a fault has hit.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    /// What was tried.
    operation: Operation,
    /// The file's or directory's name.
    name: String,
}

impl Strike {
    /// Whether it hit a sync of the database's files, after which nothing in it
    /// can be trusted.
    pub(crate) fn is_database_sync(&self) -> bool {
        self.operation == Operation::Sync && self.name.starts_with("sluice.db")
    }
}

/// Syncs that a broken server, or a broken disk, leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lie {
    /// Of the files that hold parts.
    Parts,
    /// Of the folders that hold these files.
    BlobFolders,
    /// Of the folder that holds those folders.
    BlobRoot,
    /// Of the folder that holds everything.
    DataFolder,
    /// Of the database's write-ahead log.
    Log,
    /// Of the database itself.
    Database,
}

impl Lie {
    fn covers(self, operation: Operation, path: &Path) -> bool {
        let depth = path.iter().count();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let in_blobs = path.starts_with("blobs");
        match (self, operation) {
            (Self::Parts, Operation::Sync) => in_blobs,
            (Self::BlobFolders, Operation::SyncDirectory) => in_blobs && depth == 2,
            (Self::BlobRoot, Operation::SyncDirectory) => in_blobs && depth == 1,
            (Self::DataFolder, Operation::SyncDirectory) => depth == 0,
            (Self::Log, Operation::Sync) => name.ends_with("-wal"),
            (Self::Database, Operation::Sync) => name == "sluice.db",
            _ => false,
        }
    }
}

/// What becomes of an operation that is not refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Done,
    /// Nothing happens, and success is reported.
    Pretended,
}

/// Decides about every operation.
#[derive(Debug, Default)]
pub(crate) struct Power {
    off: bool,
    operations: u64,
    fails_after: Option<u64>,
    fault: Option<Fault>,
    strikes: Vec<Strike>,
    lie: Option<Lie>,
}

impl Power {
    pub(crate) fn is_off(&self) -> bool {
        self.off
    }

    pub(crate) fn turn_off(&mut self) {
        self.off = true;
    }

    /// Fails when this many more operations were done.
    pub(crate) fn fail_after(&mut self, operations: u64) {
        self.fails_after = Some(self.operations + operations);
    }

    pub(crate) fn set_fault(&mut self, fault: Option<Fault>) {
        self.fault = fault.map(|fault| Fault { after: self.operations + fault.after, ..fault });
    }

    /// What faults have hit.
    pub(crate) fn strikes(&self) -> &[Strike] {
        &self.strikes
    }

    /// Whether the fault's turn has come.
    pub(crate) fn fault_is_due(&self) -> bool {
        self.fault.is_some_and(|fault| fault.after < self.operations)
    }

    pub(crate) fn set_lie(&mut self, lie: Option<Lie>) {
        self.lie = lie;
    }

    pub(crate) fn lie(&self) -> Option<Lie> {
        self.lie
    }

    /// Refuses everything once the power is off.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.off { Err(io::Error::other("the power is off")) } else { Ok(()) }
    }

    /// Counts an operation and decides about it.
    pub(crate) fn admit(&mut self, operation: Operation, path: &Path) -> io::Result<Verdict> {
        self.check()?;
        if self.fails_after.is_some_and(|after| after <= self.operations) {
            self.off = true;
        }
        self.check()?;
        let index = self.operations;
        self.operations += 1;
        if let Some(fault) = self.fault
            && fault.hits(operation, index)
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            self.strikes.push(Strike { operation, name });
            return Err(fault.kind.into());
        }
        let pretended = self.lie.is_some_and(|lie| lie.covers(operation, path));
        Ok(if pretended { Verdict::Pretended } else { Verdict::Done })
    }
}
