//! Where the credential is. The secret itself is never part of the settings.

use std::{env, fs, net::IpAddr, path::PathBuf};

use super::{Setting, Settings, variable};
use crate::{
    credentials::Credentials,
    exit::Exit,
    failure::{Failure, SIGN_IN},
};

/// Files in the data folder of a server.
const KEY_FILE: &str = "api-key";
const SETUP_TOKEN_FILE: &str = "setup-token";

/// Where the credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In a file of its own.
    File(PathBuf),
    /// In `SLUICE_API_KEY`.
    Variable,
    /// In this file, where somebody has signed in to the server.
    Login(PathBuf),
    /// In the data folder of the server on this machine.
    ThisMachine(PathBuf),
    /// Nowhere.
    Missing,
}

impl KeySource {
    /// The folder of a server that was started without saying where.
    pub(crate) fn default_folder() -> PathBuf {
        dirs::data_dir().unwrap_or_else(|| PathBuf::from(".")).join("sluice")
    }

    /// That of this machine's server, which is nobody else's business.
    pub(super) fn of_this_machine(server: &str, data_dir: &Setting<PathBuf>) -> Setting<Self> {
        match is_on_this_machine(server) {
            true => {
                let file = Self::ThisMachine(data_dir.value.join(KEY_FILE));
                Setting::new(file, data_dir.origin.clone())
            }
            false => Setting::by_default(Self::Missing),
        }
    }

    /// Reads the API key for this server.
    pub(crate) fn read(&self, server: &str) -> Result<String, Failure> {
        let denied = |message: String| Failure::new(Exit::Denied, message);
        match self {
            Self::File(path) => fs::read_to_string(path).map_err(|error| {
                denied(format!("cannot read the API key {}: {error}", path.display()))
            }),
            Self::Variable => env::var(variable::API_KEY)
                .map_err(|error| denied(format!("{}: {error}", variable::API_KEY))),
            Self::ThisMachine(path) => fs::read_to_string(path).map_err(|error| {
                let hint = format!(
                    "start a server with `sluice serve`, name its folder with --data-dir, or \
                     {SIGN_IN}"
                );
                denied(format!("there is no API key: {}: {error}", path.display())).hint(hint)
            }),
            Self::Login(_) | Self::Missing => {
                let message = format!("nobody has signed in to {server}, and there is no API key");
                Err(denied(message).hint(SIGN_IN))
            }
        }
    }

    /// Where it is, for people; never what it is.
    pub(super) fn describe(&self) -> Option<String> {
        match self {
            Self::File(path) | Self::Login(path) | Self::ThisMachine(path) => {
                Some(path.display().to_string())
            }
            Self::Variable => Some("(not shown)".to_owned()),
            Self::Missing => None,
        }
    }
}

impl Settings {
    /// The same, where somebody has signed in to the server and no other
    /// credential was named for it.
    pub(crate) fn with_login(self, credentials: Option<&Credentials>) -> Self {
        let by_itself = matches!(self.key.value, KeySource::ThisMachine(_) | KeySource::Missing);
        // A file that cannot be read is told about when it is needed.
        let signed_in = |credentials: &&Credentials| {
            credentials.secret(&self.server.value).map_or(true, |secret| secret.is_some())
        };
        match credentials.filter(signed_in) {
            Some(credentials) if by_itself => {
                let login = KeySource::Login(credentials.path().to_owned());
                Self { key: Setting::by_default(login), ..self }
            }
            _ => self,
        }
    }

    /// The token with which the first account of this machine's server is made,
    /// as long as nobody has used it.
    pub(crate) fn setup_token_file(&self) -> Option<PathBuf> {
        let file = self.data_dir.value.join(SETUP_TOKEN_FILE);
        (is_on_this_machine(&self.server.value) && file.exists()).then_some(file)
    }
}

/// Whether an address is the loopback one.
pub(crate) fn is_on_this_machine(endpoint: &str) -> bool {
    let authority = endpoint.split("://").nth(1).unwrap_or_default();
    let authority = authority.split('/').next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    // Before an `@` stands a user, not a host.
    let plain = !authority.contains('@');
    plain
        && (host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_local_key_goes_to_this_machine_only() {
        for here in
            ["http://localhost:7070", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:7"]
        {
            assert!(is_on_this_machine(here), "{here}");
        }
        for elsewhere in [
            "http://example.com",
            "http://localhost.example.com",
            "http://10.0.0.1:7070",
            "http://127.0.0.1.example.com",
            "http://user@127.0.0.1",
            "http://127.0.0.1:80@example.com",
        ] {
            assert!(!is_on_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
