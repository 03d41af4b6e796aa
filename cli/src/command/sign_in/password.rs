//! `sluice password`: changes the password of the account.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sluice_sdk::Reason;

use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure, prompt,
    remote::RemoteArguments, terminal,
};

#[derive(Debug, Args)]
pub(crate) struct PasswordArguments {
    /// File with the password until now, - for standard input [default: asks]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// File with the password from now on, - for standard input [default: asks, twice]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::command) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// Nothing but that it was done, as JSON.
#[derive(Debug, Serialize)]
struct PasswordChangedView {}

impl PasswordArguments {
    pub(in crate::command) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let file = self.password_file.as_deref();
        let current = prompt::password("Password until now: ", file, "--password-file")?;
        let file = self.new_password_file.as_deref();
        let new = prompt::new_password(file, "--new-password-file")?;
        client.change_password(current, new).await.map_err(wrong_password)?;
        if self.display.json {
            print_event("password_changed", &PasswordChangedView {})?;
        }
        terminal::note("the password is changed; all other sessions have ended");
        Ok(Exit::Success)
    }
}

/// The failure of what the account's password confirms: signing in anew, which
/// is what usually helps, would not.
pub(in crate::command) fn wrong_password(error: sluice_sdk::Error) -> Failure {
    let wrong = error.reason() == Some(Reason::CredentialsInvalid);
    let failure = Failure::from(error);
    if wrong { failure.hint("type the password that the account has now") } else { failure }
}
