//! `sluice serve`: the server in the same binary.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use sluice_server::config::Overrides;

use crate::{exit::Exit, failure::Failure, remote::DataArguments};

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    #[command(flatten)]
    data: DataArguments,
    /// Address and port; port 0 takes any free one [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// Configuration file (TOML)
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: error, warn, info, debug, trace or a filter [default: info]
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
}

impl ServeArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let overrides = Overrides {
            config_file: self.config,
            data_dir: self.data.data_dir,
            listen: self.listen,
            log_level: self.log_level,
        };
        let served = sluice_server::serve(overrides, DataArguments::default_folder()).await;
        served.map_err(|error| Failure::new(Exit::Other, error.to_string()))?;
        Ok(Exit::Success)
    }
}
