//! Files and directories, and what is left of them after a crash.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    io,
    path::{Path, PathBuf},
};

use rand::{RngExt, SeedableRng, rngs::SmallRng};

use super::{
    content::{Content, Survival},
    power::{Operation, Power, Verdict},
};

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// It was killed: everything it wrote is still in the system's cache.
    Process,
    /// The power failed; the number decides what was lost.
    Power(u64),
}

/// An open file description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Handle(usize);

/// Names a file, whatever becomes of its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileId(usize);

struct Description {
    file: FileId,
    path: PathBuf,
    /// Failed syncs that its holder knows of.
    known_errors: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Directory,
    File(FileId),
}

#[derive(Debug, Clone, Default)]
struct Directory {
    now: BTreeMap<OsString, Entry>,
    durable: BTreeMap<OsString, Entry>,
}

/// A file system. Paths are relative to its root, which always survives.
pub(crate) struct World {
    pub(crate) power: Power,
    files: Vec<Content>,
    open: Vec<Description>,
    directories: BTreeMap<PathBuf, Directory>,
    rng: SmallRng,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            power: Power::default(),
            files: Vec::new(),
            open: Vec::new(),
            directories: BTreeMap::from([(PathBuf::new(), Directory::default())]),
            rng: SmallRng::seed_from_u64(0),
        }
    }

    pub(crate) fn open(&mut self, path: &Path, create: bool) -> io::Result<Handle> {
        if let Some(file) = self.find(path) {
            self.power.admit(Operation::Open, path)?;
            return Ok(self.describe(file, path));
        }
        if !create {
            self.power.check()?;
            return Err(io::ErrorKind::NotFound.into());
        }
        self.power.admit(Operation::Create, path)?;
        let file = self.new_file();
        self.names_beside(path)?.insert(name_of(path)?, Entry::File(file));
        Ok(self.describe(file, path))
    }

    /// Opens a file without a name.
    pub(crate) fn open_temporary(&mut self) -> Handle {
        let file = self.new_file();
        self.describe(file, Path::new("temporary"))
    }

    /// Whether there is a file with at least one byte.
    pub(crate) fn has_bytes(&self, path: &Path) -> bool {
        self.find(path).is_some_and(|file| !self.files[file.0].now().is_empty())
    }

    fn find(&self, path: &Path) -> Option<FileId> {
        let (parent, name) = split(path)?;
        match self.directories.get(parent)?.now.get(name)? {
            Entry::File(file) => Some(*file),
            Entry::Directory => None,
        }
    }

    fn new_file(&mut self) -> FileId {
        self.files.push(Content::default());
        FileId(self.files.len() - 1)
    }

    fn describe(&mut self, file: FileId, path: &Path) -> Handle {
        let known_errors = self.files[file.0].errors();
        self.open.push(Description { file, path: path.to_owned(), known_errors });
        Handle(self.open.len() - 1)
    }

    pub(crate) fn create_directory(&mut self, path: &Path) -> io::Result<()> {
        let new = !self.directories.contains_key(path);
        self.power.admit(if new { Operation::Create } else { Operation::Open }, path)?;
        self.names_beside(path)?.insert(name_of(path)?, Entry::Directory);
        self.directories.entry(path.to_owned()).or_default();
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.power.admit(Operation::Remove, path)?;
        let name = name_of(path)?;
        match self.names_beside(path)?.remove(&name) {
            Some(_) => Ok(()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    pub(crate) fn sync_directory(&mut self, path: &Path) -> io::Result<()> {
        if self.power.admit(Operation::SyncDirectory, path)? == Verdict::Pretended {
            return Ok(());
        }
        let directory = self.directories.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        directory.durable.clone_from(&directory.now);
        Ok(())
    }

    pub(crate) fn read(&self, handle: Handle) -> io::Result<&[u8]> {
        self.power.check()?;
        Ok(self.files[self.open[handle.0].file.0].now())
    }

    pub(crate) fn write(&mut self, handle: Handle, bytes: &[u8], at: u64) -> io::Result<()> {
        let description = &self.open[handle.0];
        self.power.admit(Operation::Write, &description.path)?;
        self.files[description.file.0].write(bytes, index(at)?);
        Ok(())
    }

    pub(crate) fn set_length(&mut self, handle: Handle, length: u64) -> io::Result<()> {
        let description = &self.open[handle.0];
        self.power.admit(Operation::SetLength, &description.path)?;
        self.files[description.file.0].set_length(index(length)?);
        Ok(())
    }

    pub(crate) fn sync(&mut self, handle: Handle) -> io::Result<()> {
        let description = &mut self.open[handle.0];
        let content = &mut self.files[description.file.0];
        let verdict = match self.power.admit(Operation::Sync, &description.path) {
            Err(_) if !self.power.is_off() => {
                content.fail_sync(&mut self.rng);
                Verdict::Done
            }
            verdict => verdict?,
        };
        if std::mem::replace(&mut description.known_errors, content.errors()) < content.errors() {
            return Err(io::Error::other("bytes could not be written"));
        }
        if verdict == Verdict::Done {
            content.sync();
        }
        Ok(())
    }

    /// The names of the files below a directory.
    pub(crate) fn files_below(&self, path: &Path) -> Vec<String> {
        let below =
            self.directories.range(path.to_owned()..).take_while(|(at, _)| at.starts_with(path));
        let entries = below.flat_map(|(_, directory)| &directory.now);
        let files = entries.filter(|(_, entry)| matches!(entry, Entry::File(_)));
        files.map(|(name, _)| name.to_string_lossy().into_owned()).collect()
    }

    /// Changes one bit of a file behind everybody's back.
    pub(crate) fn flip_bit(&mut self, path: &Path, bit: u64) -> io::Result<()> {
        let file = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        let content = &mut self.files[file.0];
        let at = index(bit / 8)?;
        let flipped = content.now()[at] ^ (1 << (bit % 8));
        content.write(&[flipped], at);
        content.sync();
        Ok(())
    }

    /// Ends every process on this machine and answers what the next one finds.
    pub(crate) fn crash(&mut self, loss: Loss) -> Self {
        self.power.turn_off();
        let mut next = Self::new();
        next.power.set_lie(self.power.lie());
        match loss {
            Loss::Process => {
                next.files.clone_from(&self.files);
                next.directories.clone_from(&self.directories);
                next.rng = self.rng.clone();
            }
            Loss::Power(seed) => {
                let mut rng = SmallRng::seed_from_u64(seed);
                let survival = match rng.random_range(0..5) {
                    0 | 1 => Survival::Nothing,
                    2 => Survival::Everything,
                    _ => Survival::Something,
                };
                next.salvage(self, Path::new(""), survival, &mut rng);
                next.rng = rng;
            }
        }
        next
    }

    /// Takes over what survives of a directory of `lost`.
    fn salvage(&mut self, lost: &Self, path: &Path, survival: Survival, rng: &mut SmallRng) {
        let Some(directory) = lost.directories.get(path) else { return };
        let mut survivors = BTreeMap::new();
        let names: std::collections::BTreeSet<_> =
            directory.now.keys().chain(directory.durable.keys()).collect();
        for name in names {
            let (now, durable) = (directory.now.get(name), directory.durable.get(name));
            let changed = match survival {
                Survival::Nothing => false,
                Survival::Everything => true,
                Survival::Something => rng.random(),
            };
            let Some(entry) = (if changed { now } else { durable }) else { continue };
            let survivor = match entry {
                Entry::Directory => {
                    self.salvage(lost, &path.join(name), survival, rng);
                    Entry::Directory
                }
                Entry::File(file) => {
                    self.files.push(lost.files[file.0].after_power_loss(survival, rng));
                    Entry::File(FileId(self.files.len() - 1))
                }
            };
            survivors.insert(name.clone(), survivor);
        }
        let directory = Directory { now: survivors.clone(), durable: survivors };
        self.directories.insert(path.to_owned(), directory);
    }

    fn names_beside(&mut self, path: &Path) -> io::Result<&mut BTreeMap<OsString, Entry>> {
        let (parent, _) = split(path).ok_or(io::ErrorKind::InvalidInput)?;
        let directory = self.directories.get_mut(parent).ok_or(io::ErrorKind::NotFound)?;
        Ok(&mut directory.now)
    }
}

fn split(path: &Path) -> Option<(&Path, &OsStr)> {
    Some((path.parent()?, path.file_name()?))
}

fn name_of(path: &Path) -> io::Result<OsString> {
    Ok(path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned())
}

fn index(offset: u64) -> io::Result<usize> {
    usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidInput.into())
}
