//! The files of a local folder, in the order in which the server lists names.

use std::{
    cmp::Ordering,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use futures::Stream;
use tokio::sync::mpsc;
use walkdir::{DirEntry, WalkDir};

use crate::{exit::Exit, failure::Failure, filter::Filter, join::Sorted};

/// How far looking around may be ahead of the work.
const AHEAD: usize = 1024;

/// A file in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LocalFile {
    pub(crate) path: PathBuf,
    /// Its path below the folder, with `/` on every system.
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) modified: Option<SystemTime>,
}

/// What was come across.
#[derive(Debug)]
pub(crate) enum Found {
    File(LocalFile),
    /// Nothing that could be a file elsewhere; says why.
    LeftOut(String),
    /// Something that should have been looked at and cannot be.
    Problem(PathBuf, Failure),
}

impl Sorted for Found {
    fn place(&self) -> Option<&str> {
        match self {
            Self::File(file) => Some(&file.name),
            Self::LeftOut(_) | Self::Problem(..) => None,
        }
    }
}

/// Walks through a folder and everything below it. Names come by their bytes,
/// as the server lists them. Links to files are files; links to folders are
/// left out. Blocks while it reads folders.
pub(crate) fn walk(folder: &Path, filter: Filter) -> impl Iterator<Item = Found> + use<> {
    let root = folder.to_owned();
    let below = root.clone();
    let wanted = filter.clone();
    WalkDir::new(folder)
        .min_depth(1)
        .sort_by(by_whole_name)
        .into_iter()
        .filter_entry(move |entry| {
            !entry.file_type().is_dir()
                || relative_name(entry.path().strip_prefix(&below).unwrap_or(entry.path()))
                    .map_or(true, |name| wanted.looks_into(&name))
        })
        .filter_map(move |entry| found(entry, &root, &filter))
}

/// The same as a stream, read ahead on a thread of its own.
#[expect(clippy::disallowed_methods, reason = "reading; nothing has to wait for it")]
pub(crate) fn stream(folder: &Path, filter: Filter) -> impl Stream<Item = Found> + use<> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let found = walk(folder, filter);
    tokio::task::spawn_blocking(move || {
        for found in found {
            if sender.blocking_send(found).is_err() {
                break; // Nobody wants to know any more.
            }
        }
    });
    futures::stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|found| (found, receiver))
    })
}

fn found(entry: walkdir::Result<DirEntry>, root: &Path, filter: &Filter) -> Option<Found> {
    let entry = match entry {
        Ok(entry) => entry,
        Err(error) => {
            let path = error.path().unwrap_or(root).to_owned();
            let failure = unreadable(&path, &error.into());
            return Some(Found::Problem(path, failure));
        }
    };
    if entry.file_type().is_dir() {
        return None;
    }
    let path = entry.into_path();
    let name = match relative_name(path.strip_prefix(root).unwrap_or(&path)) {
        Ok(name) => name,
        Err(failure) => return Some(Found::Problem(path, failure)),
    };
    if !filter.takes(&name) {
        return None;
    }
    let left_out = |why| Some(Found::LeftOut(format!("{} {why}; left out", path.display())));
    // Follows a link to what it points at.
    match fs::metadata(&path) {
        Ok(metadata) if metadata.is_file() => {
            let (size, modified) = (metadata.len(), metadata.modified().ok());
            Some(Found::File(LocalFile { path, name, size, modified }))
        }
        Ok(metadata) if metadata.is_dir() => left_out("is a link to a folder"),
        Ok(_) => left_out("is neither a file nor a folder"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => left_out("points to nothing"),
        Err(error) => {
            let failure = unreadable(&path, &error);
            Some(Found::Problem(path, failure))
        }
    }
}

/// Compares as the whole paths compare: what is in a folder stands where the
/// folder's name with a `/` would.
fn by_whole_name(left: &DirEntry, right: &DirEntry) -> Ordering {
    fn bytes(entry: &DirEntry) -> impl Iterator<Item = u8> + '_ {
        let slash = entry.file_type().is_dir().then_some(b'/');
        entry.file_name().as_encoded_bytes().iter().copied().chain(slash)
    }
    bytes(left).cmp(bytes(right))
}

/// A relative path as a name: segments joined by `/` on every system.
pub(crate) fn relative_name(path: &Path) -> Result<String, Failure> {
    let segments = path.iter().map(|segment| segment.to_str()).collect::<Option<Vec<_>>>();
    segments.map(|segments| segments.join("/")).ok_or_else(|| {
        let message = format!("the name of {} is not UTF-8", path.display());
        Failure::new(Exit::Refused, message).hint("upload it by itself with --name")
    })
}

pub(crate) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Other,
    };
    Failure::new(exit, format!("cannot read {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::FilterArguments;

    fn everything() -> Filter {
        FilterArguments::default().compile().unwrap()
    }

    fn names(folder: &Path) -> Vec<String> {
        let found = walk(folder, everything());
        found
            .filter_map(|found| match found {
                Found::File(file) => Some(file.name),
                Found::LeftOut(_) | Found::Problem(..) => None,
            })
            .collect()
    }

    #[test]
    fn names_come_by_their_bytes_whatever_is_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a/x", "a.txt", "a-", "a0", "b/c/d", "b/c.d", "ü/x", "z", "A"] {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        let names = names(folder.path());
        let mut sorted = names.clone();
        sorted.sort();
        assert_eq!(names, sorted);
        assert_eq!(names.len(), 9);
        assert_eq!(names[1..4], ["a-", "a.txt", "a/x"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_files_and_nowhere_else() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let photos = folder.path().join("photos");
        fs::create_dir(&photos).unwrap();
        fs::write(folder.path().join("notes.txt"), "notes").unwrap();
        fs::write(photos.join("b.jpg"), "b").unwrap();
        symlink(folder.path().join("notes.txt"), photos.join("link.txt")).unwrap();
        symlink("nowhere", photos.join("dangling")).unwrap();
        symlink(&photos, photos.join("loop")).unwrap();
        assert_eq!(names(&photos), ["b.jpg", "link.txt"]);
        let left_out = walk(&photos, everything()).filter(|it| matches!(it, Found::LeftOut(_)));
        assert_eq!(left_out.count(), 2);
    }
}
