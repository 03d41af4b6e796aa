//! `sluice ls`: what there is.

use std::{cmp::Reverse, io::Write, pin::pin};

use clap::{Args, ValueEnum};
use futures::TryStreamExt;
use serde::Serialize;
use sluice_sdk::{Client, Entry, File, ListQuery};

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    filter::{Filter, FilterArguments},
    remote::RemoteArguments,
    remote_file::{FileView, folder_prefix},
    terminal::{self, FOLDER},
    units,
};

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Folder or file; everything unless given
    #[arg(value_name = "FOLDER", default_value = "", hide_default_value = true)]
    folder: String,
    /// Size and time (UTC) of each file
    #[arg(short, long)]
    long: bool,
    /// Also what is in folders, however deep
    #[arg(short, long)]
    recursive: bool,
    /// Order: by name, or what is largest or newest first
    #[arg(long, value_name = "BY", default_value = "name")]
    sort: SortBy,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What `--sort` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SortBy {
    // Without comments for the help, which shows them on lines of their own.
    Name,
    Size,
    Time,
}

/// A folder as JSON.
#[derive(Serialize)]
struct FolderView<'a> {
    prefix: &'a str,
}

impl ListArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let filter = self.filter.compile()?;
        let client = self.remote.connect().await?;
        let prefix = folder_prefix(&self.folder);
        let query = ListQuery::by_name().prefix(&prefix);
        let query = if self.recursive { query } else { query.folded() };
        let mut entries = pin!(client.list(query));
        let folder = if self.recursive { "" } else { prefix.as_str() };
        let mut empty = true;
        // Another order than the server's is known at the end.
        let mut held = Vec::new();
        let mut show = |entry: Entry| match self.sort {
            SortBy::Name => self.print(&entry, folder),
            SortBy::Size | SortBy::Time => {
                held.push(entry);
                Ok(())
            }
        };
        if let Some(file) = self.the_file_itself(&client).await? {
            empty = false;
            show(Entry::File(file))?;
        }
        while let Some(entry) = entries.try_next().await? {
            empty = false;
            if !takes(&filter, &entry, prefix.len()) {
                continue;
            }
            show(entry)?;
        }
        self.sort.apply(&mut held);
        for entry in &held {
            self.print(entry, folder)?;
        }
        if !empty {
            return Ok(Exit::Success);
        }
        if !prefix.is_empty() {
            let message = format!("there is no file or folder {}", self.folder);
            return Err(Failure::new(Exit::NotFound, message));
        }
        if !self.display.json {
            terminal::note("no files yet: `sluice upload FILE` brings one here");
        }
        Ok(Exit::Success)
    }

    async fn the_file_itself(&self, client: &Client) -> Result<Option<File>, Failure> {
        if self.folder.is_empty() || self.folder.ends_with('/') {
            return Ok(None);
        }
        Ok(client.find(&self.folder).await?)
    }

    /// Prints an entry of a folder without the folder's name.
    fn print(&self, entry: &Entry, folder: &str) -> Result<(), Failure> {
        if self.display.json {
            return match entry {
                Entry::File(file) => print_event("file", &FileView::from(file)),
                Entry::Prefix(prefix) => print_event("folder", &FolderView { prefix }),
            };
        }
        let name = entry.name();
        let name = name.strip_prefix(folder).unwrap_or(name);
        let mut output = anstream::stdout().lock();
        if self.long {
            let (size, time) = match entry {
                Entry::File(file) => {
                    (units::bytes(file.size.cast_unsigned()).to_string(), time(file))
                }
                Entry::Prefix(_) => (String::new(), String::new()),
            };
            write!(output, "{size:>11}  {time:<19}  ")?;
        }
        match entry {
            Entry::File(_) => writeln!(output, "{name}")?,
            Entry::Prefix(_) => writeln!(output, "{FOLDER}{name}{FOLDER:#}")?,
        }
        Ok(())
    }
}

impl SortBy {
    /// Sorts what is sorted by name. Folders, which have neither size nor time,
    /// come first.
    fn apply(self, entries: &mut [Entry]) {
        let file = |entry: &Entry| match entry {
            Entry::File(file) => Some((file.size, file.create_time)),
            Entry::Prefix(_) => None,
        };
        let created = |entry: &Entry| {
            file(entry).map(|(_, time)| time.map_or((0, 0), |time| (time.seconds, time.nanos)))
        };
        match self {
            Self::Name => {}
            Self::Size => {
                entries.sort_by_key(|entry| file(entry).map(|(size, _)| Reverse(size)));
            }
            Self::Time => entries.sort_by_key(|entry| created(entry).map(Reverse)),
        }
    }
}

/// Whether the filter lets an entry of a folder be seen. Folders are, unless
/// nothing in them can be.
fn takes(filter: &Filter, entry: &Entry, prefix: usize) -> bool {
    let name = &entry.name()[prefix..];
    match entry {
        Entry::File(_) => filter.takes(name),
        Entry::Prefix(_) => filter.looks_into(name.trim_end_matches('/')),
    }
}

/// When a file was made, to the second.
fn time(file: &File) -> String {
    let Some(time) = &file.create_time else { return String::new() };
    time.to_string().chars().take(19).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
