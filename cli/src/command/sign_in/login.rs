//! `sluice login`: signs in to a server.

use std::{path::PathBuf, time::UNIX_EPOCH};

use clap::Args;
use sluice_sdk::{Client, MemoryStore, Reason, SessionStore, SessionTokens, v1::LoginRequest};

use super::{PersonArguments, account_of, keep, keep_session, place, stranger};
use crate::{
    credentials::Secret, display::DisplayArguments, exit::Exit, failure::Failure, prompt,
    remote::RemoteArguments, settings::Settings,
};

/// What every API key begins with.
const API_KEY_PREFIX: &str = "sluice_key_";

/// What `--help` says at the top.
pub(crate) const ABOUT: &str = "\
Sign in to a server.

Asks for address and password, and keeps what the server gives for them: from then on, every command for \
this server is made in your name, until `sluice logout`. Programs had better have an API key: `sluice keys \
create` makes one, and --token-file keeps it here.";

#[derive(Debug, Args)]
pub(crate) struct LoginArguments {
    #[command(flatten)]
    person: PersonArguments,
    /// File with an API key or a refresh token to sign in with instead, - for standard input. A
    /// refresh token is used up by it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["email", "password_file"])]
    token_file: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::command) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl LoginArguments {
    pub(in crate::command) async fn run(self) -> Result<Exit, Failure> {
        let settings = self.remote.settings()?;
        // Whatever cannot be kept is not asked for.
        place()?.login(&settings.server.value)?;
        let client = stranger(&settings).await?;
        match &self.token_file {
            Some(path) => self.with_token(&settings, &client, prompt::secret_in(path)?).await?,
            None => self.with_password(&settings, &client).await?,
        }
        Ok(Exit::Success)
    }

    async fn with_password(&self, settings: &Settings, client: &Client) -> Result<(), Failure> {
        let email = self.person.address()?;
        let file = self.person.password_file.as_deref();
        let password = prompt::password("Password: ", file, "--password-file")?;
        let mut known = place()?.login(&settings.server.value)?;
        let device_token = known.devices.remove(&email.to_lowercase()).unwrap_or_default();
        let request = LoginRequest { email, password, device_token };
        let signed_in = client.login(request).await.map_err(refused)?;
        keep_session(settings, &signed_in, &self.display)
    }

    async fn with_token(
        &self,
        settings: &Settings,
        client: &Client,
        token: String,
    ) -> Result<(), Failure> {
        let token = token.trim().to_owned();
        if token.starts_with(API_KEY_PREFIX) {
            let client = settings.with_key(&token)?;
            let account = account_of(&client).await.map_err(|failure| failure.hint(WRONG_TOKEN))?;
            let secret = Secret::ApiKey(token);
            return keep(settings, secret, account.as_ref(), &self.display, |_| {});
        }
        // As a session whose access token has ended long ago.
        let store = MemoryStore::new(SessionTokens {
            access_token: String::new(),
            access_expire_time: UNIX_EPOCH,
            refresh_token: token,
            refresh_expire_time: UNIX_EPOCH,
            session_id: String::new(),
        });
        let session = client.with_session(store.clone())?;
        let account = account_of(&session).await.map_err(|failure| failure.hint(WRONG_TOKEN))?;
        let tokens = store.load().ok().flatten();
        let tokens = tokens.ok_or_else(|| Failure::new(Exit::Other, "there is no session"))?;
        keep(settings, Secret::Session((&tokens).into()), account.as_ref(), &self.display, |_| {})
    }
}

const WRONG_TOKEN: &str = "the file must have an API key or a refresh token that is still good";

/// What to do is not to sign in.
fn refused(error: sluice_sdk::Error) -> Failure {
    let wrong = error.reason() == Some(Reason::CredentialsInvalid);
    let failure = Failure::from(error);
    match wrong {
        true => failure.hint("try again; `sluice register` makes an account"),
        false => failure,
    }
}
