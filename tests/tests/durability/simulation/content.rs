//! The bytes of one file: those that readers see and those that survive.

use std::collections::HashMap;

use rand::{RngExt, rngs::SmallRng};

/// Disks write whole sectors; a page of the cache is a few of them.
const SECTOR: usize = 512;
const SECTORS_PER_PAGE: usize = 8;

/// How much of what was not synced is still there after the power failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Survival {
    /// The disk had written none of it.
    Nothing,
    /// The disk had written all of it.
    Everything,
    /// The disk had written any of it, in any order.
    Something,
}

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// Syncs that failed.
    errors: u64,
}

#[derive(Debug, Clone)]
enum Change {
    Write(usize, Vec<u8>),
    SetLength(usize),
}

impl Content {
    /// What readers see.
    pub(crate) fn now(&self) -> &[u8] {
        &self.now
    }

    /// Writes bytes, which a power failure may take back.
    pub(crate) fn write(&mut self, bytes: &[u8], offset: usize) {
        put(&mut self.now, bytes, offset);
        self.unsynced.push(Change::Write(offset, bytes.to_vec()));
    }

    /// Cuts or extends the file, which a power failure may take back.
    pub(crate) fn set_length(&mut self, length: usize) {
        self.now.resize(length, 0);
        self.unsynced.push(Change::SetLength(length));
    }

    /// Makes everything durable.
    pub(crate) fn sync(&mut self) {
        for change in std::mem::take(&mut self.unsynced) {
            match change {
                Change::Write(offset, bytes) => put(&mut self.durable, &bytes, offset),
                Change::SetLength(length) => self.durable.resize(length, 0),
            }
        }
    }

    /// A sync that failed: some of the changes reached the disk, and the system
    /// takes all of them for clean, so that no later sync writes them again.
    /// Readers see them until the pages leave the cache.
    pub(crate) fn fail_sync(&mut self, rng: &mut SmallRng) {
        self.settle(Survival::Something, rng);
        self.errors += 1;
    }

    /// How many syncs have failed. Linux tells everybody who has the file open
    /// of each of them, once, with the next sync.
    pub(crate) fn errors(&self) -> u64 {
        self.errors
    }

    /// What is on the disk after the power failed.
    pub(crate) fn after_power_loss(&self, survival: Survival, rng: &mut SmallRng) -> Self {
        let mut left = self.clone();
        left.settle(survival, rng);
        left.now.clone_from(&left.durable);
        left
    }

    /// Takes some of the changes into what is durable, sector by sector: each
    /// is left as it was at one point of time since the last sync.
    fn settle(&mut self, survival: Survival, rng: &mut SmallRng) {
        let changes = std::mem::take(&mut self.unsynced);
        let mut luck = Luck::new(survival, changes.len(), rng);
        let length_changes = luck.draw();
        let mut length = self.durable.len();
        for (index, change) in changes.into_iter().enumerate() {
            let length_survives = index < length_changes;
            match change {
                Change::Write(offset, bytes) => {
                    for (start, end) in sectors(offset, offset + bytes.len()) {
                        if index < luck.of_sector(start / SECTOR) {
                            put(&mut self.durable, &bytes[start - offset..end - offset], start);
                        }
                    }
                    if length_survives {
                        length = length.max(offset + bytes.len());
                    }
                }
                Change::SetLength(new) => {
                    for (start, end) in sectors(new, self.durable.len()) {
                        if index < luck.of_sector(start / SECTOR) {
                            self.durable[start..end].fill(0);
                        }
                    }
                    if length_survives {
                        length = new;
                    }
                }
            }
        }
        self.durable.resize(length, 0);
    }
}

/// How many of the changes, in their order, each sector has seen.
struct Luck<'a> {
    survival: Survival,
    changes: usize,
    rng: &'a mut SmallRng,
    pages: HashMap<usize, Option<usize>>,
    sectors: HashMap<usize, usize>,
}

impl<'a> Luck<'a> {
    fn new(survival: Survival, changes: usize, rng: &'a mut SmallRng) -> Self {
        Self { survival, changes, rng, pages: HashMap::new(), sectors: HashMap::new() }
    }

    fn draw(&mut self) -> usize {
        match self.survival {
            Survival::Nothing => 0,
            Survival::Everything => self.changes,
            Survival::Something => match self.rng.random_range(0..3) {
                0 => 0,
                1 => self.changes,
                _ => self.rng.random_range(0..=self.changes),
            },
        }
    }

    /// Pages are written whole, mostly; one in four was being written when the
    /// power failed.
    fn of_sector(&mut self, sector: usize) -> usize {
        let page = sector / SECTORS_PER_PAGE;
        let of_page = match self.pages.get(&page) {
            Some(of_page) => *of_page,
            None => {
                let torn = self.survival == Survival::Something && self.rng.random_ratio(1, 4);
                let of_page = if torn { None } else { Some(self.draw()) };
                self.pages.insert(page, of_page);
                of_page
            }
        };
        match (of_page, self.sectors.get(&sector)) {
            (Some(changes), _) | (None, Some(&changes)) => changes,
            (None, None) => {
                let changes = self.draw();
                self.sectors.insert(sector, changes);
                changes
            }
        }
    }
}

/// Cuts `start..end` at the borders of sectors.
fn sectors(mut start: usize, end: usize) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        let cut = ((start / SECTOR + 1) * SECTOR).min(end);
        let piece = (start < end).then_some((start, cut));
        start = cut;
        piece
    })
}

fn put(target: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if target.len() < end {
        target.resize(end, 0);
    }
    target[offset..end].copy_from_slice(bytes);
}
