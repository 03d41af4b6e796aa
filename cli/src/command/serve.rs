//! `sluice serve`: runs the server.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use sluice_server::config::Overrides;

/// Run the server until Ctrl-C or SIGTERM.
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE", env = "SLUICE_CONFIG")]
    config: Option<PathBuf>,
    /// Folder for files, records and the API key
    #[arg(long, value_name = "DIR", env = "SLUICE_DATA_DIR")]
    data_dir: Option<PathBuf>,
    /// Address and port; port 0 takes any free one
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// What is logged: error, warn, info, debug, trace, or a filter
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl Serve {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let data_dir = dirs::data_dir().unwrap_or_else(|| PathBuf::from(".")).join("sluice");
        let overrides = Overrides {
            config_file: self.config,
            data_dir: self.data_dir,
            listen: self.listen,
            log_level: self.log_level,
        };
        Ok(sluice_server::serve(overrides, data_dir).await?)
    }
}
