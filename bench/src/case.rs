//! One row of a table, and how it is measured once.

use anyhow::Result;
use futures::future::LocalBoxFuture;
use serde::{Deserialize, Serialize};

use crate::bench::Bench;

/// A table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Group {
    /// One large file.
    File,
    /// Many small files.
    Small,
}

/// A column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    /// MiB each second, until the answer.
    Throughput,
    /// Files each second, until the last answer.
    Files,
    /// CPU seconds of the server for each GiB.
    ServerCpu,
    /// CPU seconds of the client for each GiB.
    ClientCpu,
    /// The most memory that the server has had, in MiB.
    ServerMemory,
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
            Self::File => "One large file",
            Self::Small => "Many files at a time, each an upload of its own",
        }
    }
}

impl Metric {
    /// The column's heading.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Throughput => "MiB/s",
            Self::Files => "files/s",
            Self::ServerCpu => "server CPU, s/GiB",
            Self::ClientCpu => "client CPU, s/GiB",
            Self::ServerMemory => "server's peak, MiB",
        }
    }

    /// Whether it is what the row is about: then its range is shown too.
    pub(crate) fn is_main(self) -> bool {
        matches!(self, Self::Throughput | Self::Files)
    }
}
