//! Which files to upload, and what they are called on the server.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

use crate::{
    failure::Failure,
    filter::Filter,
    join::Sorted,
    local_tree::{Found, LocalFile, relative_name, unreadable, walk},
};

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
pub(crate) struct Item {
    /// Where its bytes are.
    pub(crate) origin: Origin,
    /// What it is called on the server.
    pub(crate) name: String,
}

/// Where bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
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
    /// What was named together, each sorted by name: all files, then folder by
    /// folder.
    pub(super) groups: Vec<Vec<Item>>,
    pub(super) problems: Vec<(String, Failure)>,
    /// Why something is not among them.
    pub(super) left_out: Vec<String>,
}

impl Item {
    /// A file of a folder whose name on the server begins so.
    pub(crate) fn of_folder(file: LocalFile, prefix: &str) -> Self {
        let LocalFile { path, name, size, modified } = file;
        Self { name: format!("{prefix}{name}"), origin: Origin::File { path, size, modified } }
    }

    /// The size, where it is known.
    pub(crate) fn size(&self) -> Option<u64> {
        match &self.origin {
            Origin::File { size, .. } => Some(*size),
            Origin::StandardInput | Origin::Pipe(_) => None,
        }
    }

    /// When it was changed, where that is known.
    pub(crate) fn modified(&self) -> Option<SystemTime> {
        match &self.origin {
            Origin::File { modified, .. } => *modified,
            Origin::StandardInput | Origin::Pipe(_) => None,
        }
    }

    /// Where its bytes are, for people.
    pub(crate) fn path(&self) -> Option<&Path> {
        match &self.origin {
            Origin::File { path, .. } | Origin::Pipe(path) => Some(path),
            Origin::StandardInput => None,
        }
    }
}

impl Sorted for Item {
    fn place(&self) -> Option<&str> {
        Some(&self.name)
    }
}

/// Looks at the paths and, if asked to, into folders.
pub(super) fn collect(
    paths: &[PathBuf],
    naming: Naming<'_>,
    recursive: bool,
    filter: &Filter,
) -> Result<Collected, Failure> {
    if naming.name.is_some() && paths.len() > 1 {
        return Err(Failure::usage("--name is for one file; use --prefix for several"));
    }
    let mut collected = Collected::default();
    let mut files = Vec::new();
    for path in paths {
        if path == Path::new("-") {
            let name = naming.name.ok_or_else(|| {
                Failure::usage("standard input has no name").hint("give it one with --name")
            })?;
            files.push(Item { origin: Origin::StandardInput, name: name.to_owned() });
            continue;
        }
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if !metadata.is_dir() {
            let name = match naming.name {
                Some(name) => name.to_owned(),
                None => naming.place(&own_name(path)?),
            };
            files.push(Item { origin: origin(path, &metadata), name });
        } else if !recursive {
            let message = format!("{} is a folder", path.display());
            return Err(Failure::usage(message).hint("upload it with everything in it with -r"));
        } else if naming.name.is_some() {
            return Err(Failure::usage("--name is for one file; use --prefix for a folder"));
        } else {
            collected.add_folder(path, naming, filter)?;
        }
    }
    files.sort_by(|left, right| left.name.cmp(&right.name));
    collected.groups.insert(0, files);
    collected.check_names()?;
    Ok(collected)
}

impl Collected {
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.groups.iter().flatten()
    }

    /// Adds what is in a folder, under the folder's name as `cp -r` does.
    fn add_folder(
        &mut self,
        folder: &Path,
        naming: Naming<'_>,
        filter: &Filter,
    ) -> Result<(), Failure> {
        // `.` and `..` have no name of their own; their content has.
        let top = folder.file_name().map(|_| own_name(folder)).transpose()?;
        let prefix = naming.place(&top.map_or(String::new(), |top| format!("{top}/")));
        let mut items = Vec::new();
        for found in walk(folder, filter.clone()) {
            match found {
                Found::File(file) => items.push(Item::of_folder(file, &prefix)),
                Found::LeftOut(why) => self.left_out.push(why),
                Found::Problem(path, failure) => {
                    self.problems.push((path.display().to_string(), failure));
                }
            }
        }
        self.groups.push(items);
        Ok(())
    }

    fn check_names(&self) -> Result<(), Failure> {
        let mut names = HashSet::new();
        let twice = self.items().find(|item| !names.insert(&item.name));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{exit::Exit, filter::FilterArguments};

    const PLAIN: Naming<'_> = Naming { name: None, prefix: None };

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("photos/2024")).unwrap();
        for name in ["photos/b.jpg", "photos/2024/a.jpg", "notes.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        folder
    }

    fn all(paths: &[PathBuf], naming: Naming<'_>, recursive: bool) -> Result<Vec<String>, Failure> {
        let filter = FilterArguments::default().compile()?;
        let collected = collect(paths, naming, recursive, &filter)?;
        Ok(collected.groups.into_iter().flatten().map(|item| item.name).collect())
    }

    #[test]
    fn a_folder_keeps_its_name_and_its_order() {
        let folder = folder();
        let photos = [folder.path().join("photos")];
        let names = |paths, naming| all(paths, naming, true).unwrap();
        assert_eq!(names(&photos, PLAIN), ["photos/2024/a.jpg", "photos/b.jpg"]);
        let backup = Naming { prefix: Some("backup/"), ..PLAIN };
        assert_eq!(names(&photos, backup)[0], "backup/photos/2024/a.jpg");
        let here = [folder.path().join("photos/2024/..")];
        assert_eq!(names(&here, PLAIN), ["2024/a.jpg", "b.jpg"]);
        assert_eq!(names(&here, backup), ["backup/2024/a.jpg", "backup/b.jpg"]);
    }

    #[test]
    fn a_folder_needs_to_be_asked_for() {
        let folder = folder();
        let failure = all(&[folder.path().to_owned()], PLAIN, false).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage);
        let failure = all(&[folder.path().join("nothing")], PLAIN, false).unwrap_err();
        assert_eq!(failure.exit, Exit::NotFound);
    }

    #[test]
    fn names_are_unique_and_standard_input_needs_one() {
        let folder = folder();
        let twice = [folder.path().join("notes.txt"), folder.path().join("notes.txt")];
        assert_eq!(all(&twice, PLAIN, false).unwrap_err().exit, Exit::Usage);
        assert_eq!(all(&["-".into()], PLAIN, false).unwrap_err().exit, Exit::Usage);
        let named = Naming { name: Some("x"), ..PLAIN };
        assert_eq!(all(&["-".into()], named, false).unwrap(), ["x"]);
        assert_eq!(all(&twice[..1], named, false).unwrap(), ["x"]);
    }
}
