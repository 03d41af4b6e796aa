//! `sluice keys`: API keys, which are credentials for programs.

use std::{io::Write, time::Duration};

use clap::{Args, Subcommand};
use futures::{StreamExt, TryStreamExt};
use serde::Serialize;
use sluice_sdk::{ApiKey, Scope};

use super::examples;
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, terminal, units,
};

/// What a key may be used for, by the names of the contract.
const SCOPES: [(&str, Scope); 7] = [
    ("uploads:read", Scope::UploadsRead),
    ("uploads:write", Scope::UploadsWrite),
    ("files:read", Scope::FilesRead),
    ("files:write", Scope::FilesWrite),
    ("account:read", Scope::AccountRead),
    ("account:write", Scope::AccountWrite),
    ("admin", Scope::Admin),
];

/// What `create --help` says at the top.
const ABOUT: &str = "\
Make an API key and print its secret.

The secret is printed this once and cannot be had again: put it where the program finds it, in a file for \
--api-key-file or in SLUICE_API_KEY. A key can do what its scopes say and nothing else:

  uploads:read    see uploads                   files:write     rename and delete files
  uploads:write   upload files                  account:read    see the account and its keys
  files:read      list and download files       account:write   change the account and its keys
                                                admin           look after all accounts";

#[derive(Debug, Args)]
pub(crate) struct KeysArguments {
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// List the keys, without their secrets
    #[command(after_help = examples::KEYS_LS)]
    Ls(ListArguments),
    /// Make a key and print its secret
    #[command(after_help = examples::KEYS_CREATE, long_about = ABOUT)]
    Create(CreateArguments),
    /// End an API key
    #[command(after_help = examples::KEYS_REVOKE)]
    Revoke(RevokeArguments),
}

#[derive(Debug, Args)]
struct ListArguments {
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

#[derive(Debug, Args)]
struct CreateArguments {
    /// What people call the key
    #[arg(value_name = "NAME")]
    name: String,
    /// What it may be used for, such as uploads:write; may be repeated
    #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = parse_scope)]
    scopes: Vec<Scope>,
    /// How long it is good for, such as 30d [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = units::parse_span)]
    expires: Option<Duration>,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

#[derive(Debug, Args)]
struct RevokeArguments {
    /// Id of the key
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A key as JSON.
#[derive(Debug, Serialize)]
struct KeyView<'a> {
    api_key_id: &'a str,
    name: &'a str,
    scopes: Vec<&'static str>,
    create_time: Option<String>,
    expire_time: Option<String>,
    last_use_time: Option<String>,
    /// Only when the key was made.
    secret: Option<&'a str>,
}

/// What was ended as JSON.
#[derive(Debug, Serialize)]
struct RevokedView<'a> {
    api_key_id: &'a str,
}

impl KeysArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            KeysCommand::Ls(arguments) => &arguments.display,
            KeysCommand::Create(arguments) => &arguments.display,
            KeysCommand::Revoke(arguments) => &arguments.display,
        }
    }

    pub(crate) async fn run(self) -> Result<Exit, Failure> {
        match self.command {
            KeysCommand::Ls(arguments) => arguments.run().await,
            KeysCommand::Create(arguments) => arguments.run().await,
            KeysCommand::Revoke(arguments) => arguments.run().await,
        }
    }
}

impl ListArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let mut keys = client.api_keys().boxed();
        let mut empty = true;
        while let Some(key) = keys.try_next().await? {
            empty = false;
            let view = KeyView::new(&key, None);
            match self.display.json {
                true => print_event("api_key", &view)?,
                false => writeln!(std::io::stdout().lock(), "{}", view.line())?,
            }
        }
        if empty && !self.display.json {
            terminal::note("there is no key");
        }
        Ok(Exit::Success)
    }
}

impl CreateArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let made = client.create_api_key(self.name, self.scopes, self.expires).await?;
        let view = KeyView::new(&made.api_key, Some(&made.secret));
        if self.display.json {
            print_event("api_key", &view)?;
            return Ok(Exit::Success);
        }
        terminal::note(&view.line());
        terminal::note("the secret of the key, which cannot be shown again:");
        writeln!(std::io::stdout().lock(), "{}", made.secret)?;
        Ok(Exit::Success)
    }
}

impl RevokeArguments {
    async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let revoked = client.revoke_api_key(&self.id).await;
        revoked.map_err(|error| Failure::from(error).about(&self.id))?;
        if self.display.json {
            print_event("api_key_revoked", &RevokedView { api_key_id: &self.id })?;
        }
        terminal::note(&format!("{} is good for nothing any more", self.id));
        Ok(Exit::Success)
    }
}

impl<'a> KeyView<'a> {
    fn new(key: &'a ApiKey, secret: Option<&'a str>) -> Self {
        Self {
            api_key_id: &key.id,
            name: &key.name,
            scopes: key.scopes().map(scope_name).collect(),
            create_time: key.create_time.map(|time| time.to_string()),
            expire_time: key.expire_time.map(|time| time.to_string()),
            last_use_time: key.last_use_time.map(|time| time.to_string()),
            secret,
        }
    }

    /// The same as a line for people.
    fn line(&self) -> String {
        let scopes = self.scopes.join(",");
        let until = match &self.expire_time {
            Some(time) => format!("  until {time}"),
            None => String::new(),
        };
        let used = match &self.last_use_time {
            Some(time) => format!("  used {time}"),
            None => "  never used".to_owned(),
        };
        format!("{}  {}  {scopes}{until}{used}", self.api_key_id, self.name)
    }
}

fn parse_scope(text: &str) -> Result<Scope, String> {
    let found = SCOPES.iter().find(|(name, _)| *name == text);
    found.map(|(_, scope)| *scope).ok_or_else(|| {
        let names: Vec<_> = SCOPES.iter().map(|(name, _)| *name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// The name of a scope, as it is given to `--scope`.
fn scope_name(scope: Scope) -> &'static str {
    SCOPES.iter().find(|(_, it)| *it == scope).map_or("unknown", |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_of_the_contract_has_its_name() {
        for scope in sluice_domain::Scope::ALL {
            let parsed = parse_scope(scope.as_str()).unwrap();
            assert_eq!(scope_name(parsed), scope.as_str());
            let in_contract = format!("SCOPE_{}", scope.as_str().to_uppercase().replace(':', "_"));
            assert_eq!(parsed.as_str_name(), in_contract);
        }
        assert!(parse_scope("files").unwrap_err().contains("files:read"));
    }
}
