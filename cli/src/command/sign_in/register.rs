//! `sluice register`: makes an account.

use std::path::PathBuf;

use clap::Args;
use sluice_sdk::{Reason, v1::RegisterRequest};

use super::{PersonArguments, keep_session, place, stranger};
use crate::{
    display::DisplayArguments, exit::Exit, failure::Failure, prompt, remote::RemoteArguments,
    settings::Settings,
};

/// What `--help` says at the top.
pub(crate) const ABOUT: &str = "\
Make an account and sign in.

The first account of a server is its operator's. It takes the one-time set-up token that the server shows \
at its first start; on the server's own machine it is found by itself. Others need an invitation, which the \
operator makes with `sluice admin invite`, unless the server is open to all.";

#[derive(Debug, Args)]
pub(crate) struct RegisterArguments {
    #[command(flatten)]
    person: PersonArguments,
    /// What people call you
    #[arg(long, value_name = "NAME", default_value = "", hide_default_value = true)]
    name: String,
    /// File with the set-up token or the invitation, - for standard input [default: that of the
    /// server on this machine; or asks]
    #[arg(long, value_name = "FILE")]
    setup_token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::command) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl RegisterArguments {
    pub(in crate::command) async fn run(self) -> Result<Exit, Failure> {
        let settings = self.remote.settings()?;
        // Whatever cannot be kept is not asked for.
        place()?.login(&settings.server.value)?;
        let client = stranger(&settings).await?;
        let email = self.person.address()?;
        let file = self.person.password_file.as_deref();
        let password = prompt::new_password(file, "--password-file")?;
        let request = RegisterRequest {
            email,
            password,
            display_name: self.name.clone(),
            setup_token: self.setup_token(&settings)?,
        };
        let signed_in = client.register(request).await.map_err(refused)?;
        keep_session(&settings, &signed_in, &self.display)?;
        Ok(Exit::Success)
    }

    /// The token, or nothing where it may be that none is needed.
    fn setup_token(&self, settings: &Settings) -> Result<String, Failure> {
        let file = self.setup_token_file.clone().or_else(|| settings.setup_token_file());
        let token = match file {
            Some(file) => prompt::secret_in(&file)?,
            None if prompt::somebody_is_here() => {
                prompt::secret("Set-up token or invitation, if you have one: ")?
            }
            None => String::new(),
        };
        Ok(token.trim().to_owned())
    }
}

fn refused(error: sluice_sdk::Error) -> Failure {
    let hint = match error.reason() {
        Some(Reason::CredentialsInvalid) => {
            "put the set-up token or invitation into a file and name it with --setup-token-file"
        }
        Some(Reason::AccountExists) => "sign in with `sluice login`",
        _ => return error.into(),
    };
    Failure::from(error).hint(hint)
}
