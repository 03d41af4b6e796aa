//! `sluice doctor`: looks at one thing after the other, from the configuration
//! to bytes that went there and back, and says what to mend first.

#[cfg(feature = "serve")]
mod aws;
mod client;
mod network;
mod report;
#[cfg(feature = "serve")]
mod server;

use clap::Args;

use self::report::{Finding, Report};
#[cfg(feature = "serve")]
use super::{config::server as configuration, serve::ServerArguments};
use crate::{display::DisplayArguments, exit::Exit, failure::Failure, remote::RemoteArguments};

#[derive(Debug, Args)]
#[cfg_attr(
    feature = "serve",
    command(
        mut_arg("listen", |it| it.requires("serve").help_heading("With --serve")),
        mut_arg("log_level", |it| it.requires("serve").help_heading("With --serve"))
    )
)]
pub(crate) struct DoctorArguments {
    /// Look at what a server on this machine needs, instead of at the way to one
    #[cfg(feature = "serve")]
    #[arg(long)]
    serve: bool,
    /// Leave out the round trip, which uploads 1 MiB and deletes it again
    #[arg(long)]
    read_only: bool,
    #[command(flatten)]
    pub(crate) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    server: ServerArguments,
}

impl DoctorArguments {
    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        let mut report = Report::new(self.display.json);
        report.add("version", Finding::ok(format!("sluice {}", env!("CARGO_PKG_VERSION"))))?;
        #[cfg(feature = "serve")]
        if self.serve {
            let overrides = configuration::overrides(&self.remote, &self.server);
            server::look(&mut report, &overrides, self.read_only).await?;
            return report.finish();
        }
        client::look(&mut report, &self.remote, self.read_only).await?;
        report.finish()
    }
}
