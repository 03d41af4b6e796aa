//! Who somebody is to a server: `register`, `login`, `logout`, `whoami`,
//! `password`.

pub(super) mod login;
pub(super) mod logout;
pub(super) mod password;
pub(super) mod register;
pub(super) mod whoami;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sluice_sdk::{Account, Client, Reason, SignedIn};

use crate::{
    credentials::{Credentials, Login, Secret},
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    prompt,
    settings::{KeySource, Settings, is_on_this_machine},
    terminal,
};

/// Who signs in.
#[derive(Debug, Clone, Args)]
pub(crate) struct PersonArguments {
    /// Address to sign in with [default: asks]
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// File with the password, - for standard input [default: asks]
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Who has signed in as JSON.
#[derive(Debug, Serialize)]
struct SignedInView<'a> {
    server: &'a str,
    /// Absent if the credential must not see it.
    account_id: Option<&'a str>,
    email: Option<&'a str>,
    /// The file with the credential.
    path: String,
}

/// A client that has reached the server, to sign in with.
async fn stranger(settings: &Settings) -> Result<Client, Failure> {
    if !settings.is_secure() && !is_on_this_machine(&settings.server.value) {
        terminal::warning("the address begins with http://: what is typed goes there unencrypted");
    }
    settings.reach(settings.anonymous()?).await
}

/// Where credentials are kept, on every system that has a place for them.
fn place() -> Result<Credentials, Failure> {
    Credentials::usual().ok_or_else(|| {
        Failure::new(Exit::Other, "this system names no folder for a user's configuration")
    })
}

/// Keeps the session of somebody who has signed in with their address.
fn keep_session(
    settings: &Settings,
    signed_in: &SignedIn,
    display: &DisplayArguments,
) -> Result<(), Failure> {
    let SignedIn { account, tokens, device_token, .. } = signed_in;
    let (email, device) = (account.email.clone(), device_token.clone());
    let secret = Secret::Session(tokens.into());
    keep(settings, secret, Some(account), display, |login| {
        login.devices.insert(email, device);
    })
}

/// Keeps a credential, and says so.
fn keep(
    settings: &Settings,
    secret: Secret,
    account: Option<&Account>,
    display: &DisplayArguments,
    more: impl FnOnce(&mut Login),
) -> Result<(), Failure> {
    let credentials = place()?;
    let server = &*settings.server.value;
    let email = account.map(|account| &*account.email).filter(|email| !email.is_empty());
    let account_id = account.map(|account| &*account.id);
    credentials.change(server, |login| {
        login.account_id = account_id.map(ToOwned::to_owned);
        login.email = email.map(ToOwned::to_owned);
        login.secret = Some(secret);
        more(login);
    })?;
    let path = credentials.path().display().to_string();
    terminal::warning(&format!(
        "the credential is kept in {path}: not encrypted, but for you alone to read"
    ));
    if !matches!(
        settings.key.value,
        KeySource::Login(_) | KeySource::ThisMachine(_) | KeySource::Missing
    ) {
        let origin = &settings.key.origin;
        terminal::warning(&format!("commands go on using the API key that {origin} names"));
    }
    if display.json {
        return print_event("signed_in", &SignedInView { server, account_id, email, path });
    }
    terminal::note(&match email {
        Some(email) => format!("signed in to {server} as {email}"),
        None => format!("signed in to {server}"),
    });
    Ok(())
}

/// The account of a client, if its credential may see it. Answers an error if the
/// credential is not good.
async fn account_of(client: &Client) -> Result<Option<Account>, Failure> {
    match client.account().await {
        Ok(account) => Ok(Some(account)),
        Err(error) if error.reason() == Some(Reason::ScopeMissing) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

impl PersonArguments {
    /// The address, asked for if need be.
    fn address(&self) -> Result<String, Failure> {
        prompt::address(self.email.clone())
    }
}
