//! What the connections to one database share beside its bytes: file locks and
//! the memory of the write-ahead log's index. None of it survives anything.

use std::{
    collections::{HashMap, HashSet},
    sync::{Mutex, atomic::AtomicU64},
};

use super::disk::lock;

/// A connection.
pub(crate) type Holder = u64;

/// SQLite's levels of file locks, as it numbers them.
const NONE: i32 = 0;
const SHARED: i32 = 1;
const RESERVED: i32 = 2;
const PENDING: i32 = 3;

/// Somebody else is in the way.
#[derive(Debug)]
pub(crate) struct Busy;

#[derive(Default)]
pub(crate) struct Coordination {
    levels: Mutex<HashMap<Holder, i32>>,
    slots: Mutex<[Slot; 8]>,
    memory: Mutex<Memory>,
}

/// One lock of the log's index.
#[derive(Default)]
struct Slot {
    sharers: HashSet<Holder>,
    owner: Option<Holder>,
}

#[derive(Default)]
struct Memory {
    users: HashSet<Holder>,
    regions: Vec<Box<[AtomicU64]>>,
}

impl Coordination {
    /// Raises a file lock.
    pub(crate) fn lock(&self, holder: Holder, level: i32) -> Result<(), Busy> {
        let mut levels = lock(&self.levels);
        let highest_other =
            levels.iter().filter(|(other, _)| **other != holder).map(|(_, level)| *level).max();
        let others = highest_other.unwrap_or(NONE);
        let own = levels.entry(holder).or_insert(NONE);
        let barred = if level == SHARED { PENDING } else { RESERVED };
        if others >= barred {
            return Err(Busy);
        }
        if level > RESERVED && others >= SHARED {
            *own = PENDING;
            return Err(Busy);
        }
        *own = level.max(*own);
        Ok(())
    }

    /// Lowers a file lock.
    pub(crate) fn unlock(&self, holder: Holder, level: i32) {
        let mut levels = lock(&self.levels);
        if level == NONE {
            levels.remove(&holder);
        } else {
            levels.insert(holder, level);
        }
    }

    /// Whether somebody is about to write.
    pub(crate) fn is_reserved(&self) -> bool {
        lock(&self.levels).values().any(|level| *level >= RESERVED)
    }

    /// Takes some of the index's locks, all or none.
    pub(crate) fn lock_slots(
        &self,
        holder: Holder,
        slots: std::ops::Range<usize>,
        exclusive: bool,
    ) -> Result<(), Busy> {
        let mut all = lock(&self.slots);
        let wanted = &mut all[slots];
        let barred = |slot: &Slot| {
            slot.owner.is_some_and(|owner| owner != holder)
                || exclusive && slot.sharers.iter().any(|sharer| *sharer != holder)
        };
        if wanted.iter().any(barred) {
            return Err(Busy);
        }
        for slot in wanted {
            if exclusive {
                slot.owner = Some(holder);
            } else {
                slot.sharers.insert(holder);
            }
        }
        Ok(())
    }

    /// Gives some of the index's locks back.
    pub(crate) fn unlock_slots(&self, holder: Holder, slots: std::ops::Range<usize>) {
        for slot in &mut lock(&self.slots)[slots] {
            slot.owner = slot.owner.filter(|owner| *owner != holder);
            slot.sharers.remove(&holder);
        }
    }

    /// The address of a region of the index, of `size` bytes; it stays until
    /// the last connection has let go of the memory.
    pub(crate) fn map(
        &self,
        holder: Holder,
        region: usize,
        size: usize,
        extend: bool,
    ) -> Option<*mut AtomicU64> {
        let mut memory = lock(&self.memory);
        memory.users.insert(holder);
        while extend && memory.regions.len() <= region {
            memory.regions.push((0..size.div_ceil(8)).map(|_| AtomicU64::new(0)).collect());
        }
        memory.regions.get_mut(region).map(|region| region.as_mut_ptr())
    }

    /// Lets go of the memory.
    pub(crate) fn unmap(&self, holder: Holder) {
        self.unlock_slots(holder, 0..8);
        let mut memory = lock(&self.memory);
        memory.users.remove(&holder);
        if memory.users.is_empty() {
            memory.regions.clear();
        }
    }
}
