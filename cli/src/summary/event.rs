//! Lines of `--json` about files.

use serde::Serialize;
use sluice_sdk::{File, Statistics};

use super::Totals;
use crate::{event::print_json, failure::Failure};

/// One line of `--json`.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event<'a> {
    /// A file was uploaded.
    Uploaded(Transferred<'a>),
    /// A file was downloaded.
    Downloaded(Transferred<'a>),
    /// A file was there already, with the same content.
    Skipped {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// Size in bytes.
        size: u64,
    },
    /// The bytes of a file are what they should be.
    Verified {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// Size in bytes.
        size: u64,
    },
    /// `--overwrite never`: there was something at the place of a file.
    Kept {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// What was there, and still is.
        path: String,
    },
    /// A file was deleted.
    Removed {
        /// Name of the file.
        name: &'a str,
        /// Id of the file; absent for a local one.
        file_id: Option<&'a str>,
        /// Where the file was, if it was a local one.
        path: Option<String>,
    },
    /// `--dry-run`: a file would be uploaded.
    WouldUpload(Planned<'a>),
    /// `--dry-run`: a file would be downloaded.
    WouldDownload(Planned<'a>),
    /// `--dry-run`: a file would be deleted.
    WouldRemove(Planned<'a>),
    /// `--dry-run`: a file would have another name.
    WouldRename {
        /// Name of the file.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// The name that it would have.
        new_name: &'a str,
    },
    /// A file has another name.
    Renamed {
        /// Name that the file had.
        name: &'a str,
        /// Id of the file.
        file_id: &'a str,
        /// The name that it has.
        new_name: &'a str,
    },
    /// It did not go well.
    Failed {
        /// Name of the file, or what the command line called it.
        name: &'a str,
        /// What happened.
        message: &'a str,
        /// The exit code that this failure has.
        code: u8,
    },
    /// The last line.
    Summary(&'a Totals),
}

impl<'a> Event<'a> {
    pub(crate) fn failed(name: &'a str, failure: &'a Failure) -> Self {
        Self::Failed { name, message: &failure.message, code: failure.exit as u8 }
    }

    pub(crate) fn print(&self) -> Result<(), Failure> {
        print_json(self)
    }
}

/// A file that went over the network.
#[derive(Debug, Serialize)]
pub(crate) struct Transferred<'a> {
    pub(super) name: &'a str,
    file_id: &'a str,
    pub(super) size: u64,
    crc32c: Option<String>,
    blake3: Option<String>,
    pub(super) bytes_sent: u64,
    pub(super) bytes_resent: u64,
    pub(super) bytes_resumed: u64,
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
}

/// A file to which something would happen. The fields are those of the event
/// that would come.
#[derive(Debug, Serialize)]
pub(crate) struct Planned<'a> {
    pub(crate) name: &'a str,
    /// Absent where there would be a new file.
    pub(crate) file_id: Option<&'a str>,
    /// Absent where it is not known before.
    pub(crate) size: Option<u64>,
    pub(crate) path: Option<String>,
}

impl<'a> Transferred<'a> {
    pub(crate) fn new(file: &'a File, statistics: &Statistics, path: Option<String>) -> Self {
        let checksums = file.checksums.as_ref();
        Self {
            name: &file.name,
            file_id: &file.id,
            size: statistics.size,
            crc32c: checksums.and_then(|sums| sums.crc32c).map(|crc| format!("{crc:08x}")),
            blake3: checksums
                .filter(|sums| !sums.blake3.is_empty())
                .map(|sums| hex::encode(&sums.blake3)),
            bytes_sent: statistics.sent,
            bytes_resent: statistics.resent,
            bytes_resumed: statistics.resumed,
            seconds: statistics.elapsed.as_secs_f64(),
            path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_flat_and_tagged() {
        let file = File { id: "file_1".into(), name: "a/b.txt".into(), size: 7, ..File::default() };
        let mut statistics = Statistics::default();
        statistics.size = 7;
        let event = Event::Uploaded(Transferred::new(&file, &statistics, None));
        let json = serde_json::to_value(&event).unwrap();
        assert_eq!(json["event"], "uploaded");
        assert_eq!(json["name"], "a/b.txt");
        assert_eq!(json["size"], 7);
        assert_eq!(json["bytes_resent"], 0);
        let json = serde_json::to_value(Event::Summary(&Totals::default())).unwrap();
        assert_eq!((&json["event"], &json["files"]), (&"summary".into(), &0.into()));
    }
}
