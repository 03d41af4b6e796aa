//! Why a server does not start.

use std::{net::SocketAddr, path::PathBuf};

use crate::{
    adapters::embedded::{DataFolderError, OpenError},
    config::ConfigError,
    edge::tls::TlsError,
};

/// Why the server cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log settings are not usable.
    #[error("configuration: {0}")]
    Log(String),
    /// The data folder is not usable.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The database is not usable.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The folder of the bytes is not usable.
    #[error("cannot prepare {0}: {1}")]
    Blobs(PathBuf, std::io::Error),
    /// What the server needs of AWS is not there.
    #[error("{requirement}: {problem}; {hint}")]
    Aws {
        /// What is needed.
        requirement: &'static str,
        /// What is wrong with it.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// The API key cannot be recorded.
    #[error("cannot record the API key: {0}")]
    ApiKey(sluice_domain::Error),
    /// The address is not free, or not this machine's.
    #[error("cannot listen on {0}: {1}; choose another address with --listen")]
    Listen(SocketAddr, std::io::Error),
    /// The certificates are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics cannot be counted.
    #[error("cannot count metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The socket does not say where it listens.
    #[error("cannot tell the address: {0}")]
    Address(std::io::Error),
    /// Standard output is closed.
    #[error("cannot say that the server is ready: {0}")]
    Output(std::io::Error),
}
