//! `sluice watch`: what happens, as it happens.

use std::io::Write;

use clap::Args;
use serde::Serialize;
use sluice_domain::{FileId, UploadId};
use sluice_sdk::{Event, WatchQuery};

use crate::{
    display::DisplayArguments, event::print_json, exit::Exit, failure::Failure, interrupt,
    remote::RemoteArguments, remote_file::FileView, remote_upload::UploadView, terminal,
};

#[derive(Debug, Args)]
pub(crate) struct WatchArguments {
    /// Ids of uploads and files; everything unless given
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// An event as JSON.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum EventView<'a> {
    SnapshotBegin,
    SnapshotEnd,
    Upload(UploadView<'a>),
    File(FileView<'a>),
    FileDeleted { file_id: &'a str },
}

impl WatchArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let query = self.query()?;
        let client = self.remote.connect().await?;
        let stop = interrupt::token();
        let mut watcher = client.watch(query);
        let mut snapshots = 0;
        loop {
            let event = tokio::select! {
                () = stop.cancelled() => return Ok(Exit::Interrupted),
                event = watcher.event() => event?,
            };
            if event == Event::SnapshotBegin {
                snapshots += 1;
            }
            match EventView::of(&event) {
                Some(view) if self.display.json => print_json(&view)?,
                Some(EventView::SnapshotBegin) if snapshots > 1 => {
                    terminal::note("something was missed; how it is now:");
                }
                Some(view) => {
                    if let Some(line) = view.line() {
                        writeln!(std::io::stdout().lock(), "{line}")?;
                    }
                }
                None => {}
            }
        }
    }

    fn query(&self) -> Result<WatchQuery, Failure> {
        self.ids.iter().try_fold(WatchQuery::everything(), |query, id| {
            if UploadId::parse(id, "id").is_ok() {
                Ok(query.upload(id))
            } else if FileId::parse(id, "id").is_ok() {
                Ok(query.file(id))
            } else {
                let message = format!("{id} is neither the id of an upload nor that of a file");
                let hint = "`sluice uploads ls` and `sluice stat` show ids";
                Err(Failure::usage(message).hint(hint))
            }
        })
    }
}

impl<'a> EventView<'a> {
    /// None for events that are newer than this program.
    fn of(event: &'a Event) -> Option<Self> {
        Some(match event {
            Event::SnapshotBegin => Self::SnapshotBegin,
            Event::SnapshotEnd => Self::SnapshotEnd,
            Event::Upload(upload) => Self::Upload(UploadView::from(&**upload)),
            Event::File(file) => Self::File(FileView::from(&**file)),
            Event::FileDeleted { file_id } => Self::FileDeleted { file_id },
            _ => return None,
        })
    }

    fn line(&self) -> Option<String> {
        match self {
            Self::SnapshotBegin | Self::SnapshotEnd => None,
            Self::Upload(upload) => Some(upload.line()),
            Self::File(file) => Some(file.line()),
            Self::FileDeleted { file_id } => Some(format!("{file_id}  deleted")),
        }
    }
}

#[cfg(test)]
mod tests {
    use sluice_sdk::File;

    use super::*;

    #[test]
    fn events_are_flat_and_tagged() {
        let file = Event::File(Box::new(File { name: "a".into(), ..File::default() }));
        let json = serde_json::to_value(EventView::of(&file)).unwrap();
        assert_eq!((&json["event"], &json["name"]), (&"file".into(), &"a".into()));
        let deleted = Event::FileDeleted { file_id: "file_1".into() };
        let json = serde_json::to_value(EventView::of(&deleted)).unwrap();
        assert_eq!((&json["event"], &json["file_id"]), (&"file_deleted".into(), &"file_1".into()));
        let json = serde_json::to_value(EventView::of(&Event::SnapshotEnd)).unwrap();
        assert_eq!(json["event"], "snapshot_end");
    }
}
