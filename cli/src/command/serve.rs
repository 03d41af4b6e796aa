//! `sluice serve`: the server in the same binary.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;
use sluice_server::{StartError, config::Overrides};

use crate::{exit::Exit, failure::Failure, settings::KeySource};

#[derive(Debug, Args)]
pub(crate) struct ServeArguments {
    /// Folder for everything [default: sluice in the user's data folder]
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "FOLDER", hide_env_values = true)]
    data_dir: Option<PathBuf>,
    /// Configuration file; `sluice config example --serve` shows one
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArguments,
}

/// What only the command line of a server has; the other commands that are
/// about a server know its data folder and its configuration file anyway.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServerArguments {
    /// Address and port; port 0 takes any free one [default: 127.0.0.1:7070]
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    /// What is logged: error, warn, info, debug, trace or a filter [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
}

impl ServeArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let overrides = Overrides {
            config_file: self.config,
            data_dir: self.data_dir,
            listen: self.server.listen,
            log_level: self.server.log_level,
        };
        let served = sluice_server::serve(overrides, KeySource::default_folder()).await;
        served.map_err(|error| {
            let exit = match &error {
                StartError::Config(_) | StartError::Log(_) => Exit::Usage,
                _ => Exit::Other,
            };
            let failure = Failure::new(exit, error.to_string());
            match exit {
                Exit::Usage => failure.hint("`sluice config example --serve` shows every setting"),
                _ => failure,
            }
        })?;
        Ok(Exit::Success)
    }
}
