//! Which files to upload, and what they are called on the server.

use std::{
    collections::HashSet,
    fs, io,
    path::{Path, PathBuf},
    time::SystemTime,
};

use walkdir::WalkDir;

use crate::{exit::Exit, failure::Failure, terminal};

/// How names on the server are made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Naming<'a> {
    /// The name of the only file.
    pub(super) name: Option<&'a str>,
    /// A folder for everything.
    pub(super) prefix: Option<&'a str>,
}

/// One file to upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// Where its bytes are.
    pub(super) origin: Origin,
    /// What it is called on the server.
    pub(super) name: String,
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    StandardInput,
    /// A pipe or device: read once, its size is not known.
    Pipe(PathBuf),
    File {
        path: PathBuf,
        size: u64,
        modified: Option<SystemTime>,
    },
}

/// What there is to upload, and what could not be looked at.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) items: Vec<Item>,
    pub(super) problems: Vec<(String, Failure)>,
}

impl Item {
    /// The size, where it is known.
    pub(super) fn size(&self) -> Option<u64> {
        match &self.origin {
            Origin::File { size, .. } => Some(*size),
            Origin::StandardInput | Origin::Pipe(_) => None,
        }
    }
}

/// Looks at the paths and, if asked to, into folders.
pub(super) fn collect(
    paths: &[PathBuf],
    naming: Naming<'_>,
    recursive: bool,
) -> Result<Collected, Failure> {
    if naming.name.is_some() && paths.len() > 1 {
        return Err(Failure::usage("--name is for one file; use --prefix for several"));
    }
    let mut collected = Collected::default();
    for path in paths {
        if path == Path::new("-") {
            let name = naming.name.ok_or_else(|| {
                Failure::usage("standard input has no name").hint("give it one with --name")
            })?;
            collected.items.push(Item { origin: Origin::StandardInput, name: name.to_owned() });
            continue;
        }
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_dir() {
            let name = match naming.name {
                Some(name) => name.to_owned(),
                None => naming.place(&own_name(path)?),
            };
            collected.items.push(Item { origin: origin(path, &metadata), name });
        } else if !recursive {
            let message = format!("{} is a folder", path.display());
            return Err(Failure::usage(message).hint("upload it with everything in it with -r"));
        } else if naming.name.is_some() {
            return Err(Failure::usage("--name is for one file; use --prefix for a folder"));
        } else {
            collected.add_folder(path, naming)?;
        }
    }
    collected.check_names()?;
    Ok(collected)
}

impl Collected {
    /// Adds what is in a folder, under the folder's name as `cp -r` does.
    fn add_folder(&mut self, folder: &Path, naming: Naming<'_>) -> Result<(), Failure> {
        // `.` and `..` have no name of their own; their content has.
        let top = folder.file_name().map(|_| own_name(folder)).transpose()?;
        for entry in WalkDir::new(folder).min_depth(1).sort_by_file_name() {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    let failure = unreadable(&path, &error.into());
                    self.problems.push((path.display().to_string(), failure));
                    continue;
                }
            };
            let path = entry.path();
            if entry.file_type().is_dir() {
                continue;
            }
            // Follows a link to what it points at.
            let metadata = match fs::metadata(path) {
                Ok(metadata) if metadata.is_file() => metadata,
                Ok(metadata) if metadata.is_dir() => {
                    skip(path, "is a link to a folder");
                    continue;
                }
                Ok(_) => {
                    skip(path, "is neither a file nor a folder");
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    skip(path, "points to nothing");
                    continue;
                }
                Err(error) => {
                    let failure = unreadable(path, &error);
                    self.problems.push((path.display().to_string(), failure));
                    continue;
                }
            };
            let below = path.strip_prefix(folder).unwrap_or(path);
            match relative_name(below) {
                Ok(name) => {
                    let name = top.iter().fold(name, |name, top| format!("{top}/{name}"));
                    let name = naming.place(&name);
                    self.items.push(Item { origin: origin(path, &metadata), name });
                }
                Err(failure) => self.problems.push((path.display().to_string(), failure)),
            }
        }
        Ok(())
    }

    fn check_names(&self) -> Result<(), Failure> {
        let mut names = HashSet::new();
        let twice = self.items.iter().find(|item| !names.insert(&item.name));
        match twice {
            Some(item) => {
                let message = format!("two of these files would be called {}", item.name);
                Err(Failure::usage(message).hint("upload them one by one with --name or --prefix"))
            }
            None => Ok(()),
        }
    }
}

impl Naming<'_> {
    fn place(&self, name: &str) -> String {
        match self.prefix.map(|prefix| prefix.trim_end_matches('/')) {
            None | Some("") => name.to_owned(),
            Some(prefix) => format!("{prefix}/{name}"),
        }
    }
}

fn origin(path: &Path, metadata: &fs::Metadata) -> Origin {
    let path = path.to_owned();
    if !metadata.is_file() {
        return Origin::Pipe(path);
    }
    Origin::File { path, size: metadata.len(), modified: metadata.modified().ok() }
}

fn own_name(path: &Path) -> Result<String, Failure> {
    relative_name(Path::new(path.file_name().unwrap_or(path.as_os_str())))
}

/// A relative path as a name: segments joined by `/` on every system.
fn relative_name(path: &Path) -> Result<String, Failure> {
    let segments = path.iter().map(|segment| segment.to_str()).collect::<Option<Vec<_>>>();
    segments.map(|segments| segments.join("/")).ok_or_else(|| {
        let message = format!("the name of {} is not UTF-8", path.display());
        Failure::new(Exit::Refused, message).hint("upload it by itself with --name")
    })
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    let exit = match error.kind() {
        io::ErrorKind::NotFound => Exit::NotFound,
        _ => Exit::Other,
    };
    Failure::new(exit, format!("cannot read {}: {error}", path.display()))
}

fn skip(path: &Path, why: &str) {
    terminal::warning(&format!("{} {why}; left out", path.display()));
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Naming<'_> = Naming { name: None, prefix: None };

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("photos/2024")).unwrap();
        for name in ["photos/b.jpg", "photos/2024/a.jpg", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    fn names(paths: &[PathBuf], naming: Naming<'_>, recursive: bool) -> Vec<String> {
        let collected = collect(paths, naming, recursive).unwrap();
        collected.items.into_iter().map(|item| item.name).collect()
    }

    #[test]
    fn a_folder_keeps_its_name_and_its_order() {
        let folder = folder();
        let photos = [folder.path().join("photos")];
        assert_eq!(names(&photos, PLAIN, true), ["photos/2024/a.jpg", "photos/b.jpg"]);
        let backup = Naming { prefix: Some("backup/"), ..PLAIN };
        assert_eq!(names(&photos, backup, true)[0], "backup/photos/2024/a.jpg");
        let here = [folder.path().join("photos/2024/..")];
        assert_eq!(names(&here, PLAIN, true), ["2024/a.jpg", "b.jpg"]);
    }

    #[test]
    fn a_folder_needs_to_be_asked_for() {
        let folder = folder();
        let failure = collect(&[folder.path().to_owned()], PLAIN, false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let failure = collect(&[folder.path().join("nothing")], PLAIN, false).unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
    }

    #[test]
    fn names_are_unique_and_standard_input_needs_one() {
        let folder = folder();
        let twice = [folder.path().join("notes.txt"), folder.path().join("notes.txt")];
        assert_eq!(collect(&twice, PLAIN, false).unwrap_err().exit, Exit::Usage);
        assert_eq!(collect(&["-".into()], PLAIN, false).unwrap_err().exit, Exit::Usage);
        let named = Naming { name: Some("x"), ..PLAIN };
        assert_eq!(names(&["-".into()], named, false), ["x"]);
        assert_eq!(names(&twice[..1], named, false), ["x"]);
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_to_files_and_nowhere_else() {
        use std::os::unix::fs::symlink;

        let folder = folder();
        let photos = folder.path().join("photos");
        symlink(folder.path().join("notes.txt"), photos.join("link.txt")).unwrap();
        symlink("nowhere", photos.join("dangling")).unwrap();
        symlink(&photos, photos.join("loop")).unwrap();
        let found = names(&[photos], PLAIN, true);
        assert_eq!(found, ["photos/2024/a.jpg", "photos/b.jpg", "photos/link.txt"]);
    }
}
