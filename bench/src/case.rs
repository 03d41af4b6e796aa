//! One row of a table, and how it is measured once.

use anyhow::Result;
use futures::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use crate::bench::Bench;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// Bytes that nobody keeps.
    Transport,
    /// One large file.
    File,
    /// Files of several sizes, by one client.
    Sizes,
    /// Several clients.
    Clients,
    /// Many small files.
    Small,
    /// Broken connections and killed clients.
    Cuts,
    /// One large file by the SDK of each language.
    Sdks,
    /// One large file to a store with S3's API.
    S3,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// MiB each second, until the answer.
    Throughput,
    /// MiB each second, until the answer and a sync of the disk after it.
    Synced,
    /// Files each second, until the last answer.
    Files,
    /// Time of the call that completes the upload, in milliseconds.
    Completion,
    /// CPU seconds of the server for each GiB.
    ServerCpu,
    /// CPU seconds of the client for each GiB.
    ClientCpu,
    /// CPU seconds of the store with S3's API for each GiB.
    StorageCpu,
    /// The most memory that the server has had, in MiB.
    ServerMemory,
    /// MiB that were sent again after all connections were cut.
    AfterCut,
    /// MiB that were sent again after the client was killed and started anew.
    AfterKill,
}

/// What one measurement of a row has found.
pub(crate) type Values = Vec<(Metric, f64)>;

/// How a row is measured.
type Work = Box<dyn for<'a> Fn(&'a Bench) -> LocalBoxFuture<'a, Result<Values>>>;

/// A row.
pub(crate) struct Case {
    pub(crate) group: Group,
    pub(crate) name: String,
    work: Work,
}

impl Case {
    /// A row that `work` measures.
    pub(crate) fn new(
        group: Group,
        name: impl Into<String>,
        work: impl for<'a> Fn(&'a Bench) -> LocalBoxFuture<'a, Result<Values>> + 'static,
    ) -> Self {
        Self { group, name: name.into(), work: Box::new(work) }
    }

    /// Measures it once.
    pub(crate) async fn measure(&self, bench: &Bench) -> Result<Values> {
        (self.work)(bench).await
    }
}

impl Group {
    /// The table's heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Transport => "Sent, and not stored",
            Self::File => "One large file",
            Self::Sizes => "Work that grows: larger files",
            Self::Clients => "Work that grows: more clients",
            Self::Small => "Many files, each an upload of its own",
            Self::Cuts => "Sent twice, when half was sent",
            Self::Sdks => "One large file by each SDK",
            Self::S3 => "One large file to S3",
        }
    }
}

impl Metric {
    /// The column's heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Throughput => "MiB/s",
            Self::Synced => "MiB/s with sync",
            Self::Files => "files/s",
            Self::Completion => "completion, ms",
            Self::ServerCpu => "server CPU, s/GiB",
            Self::ClientCpu => "client CPU, s/GiB",
            Self::StorageCpu => "storage CPU, s/GiB",
            Self::ServerMemory => "server's peak, MiB",
            Self::AfterCut => "connections cut, MiB",
            Self::AfterKill => "client killed, MiB",
        }
    }

    /// Whether it is what the row is about: then its range is shown too.
    pub(crate) fn is_main(self) -> bool {
        matches!(self, Self::Throughput | Self::Files | Self::Completion)
    }
}
