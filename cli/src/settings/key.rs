//! Where the API key is. The key itself is never part of the settings.

use std::{env, fs, net::IpAddr, path::PathBuf};

use super::{Setting, variable};
use crate::{exit::Exit, failure::Failure};

/// The file in the data folder of a server.
const KEY_FILE: &str = "api-key";

/// Where the API key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeySource {
    /// In a file of its own.
    File(PathBuf),
    /// In `SLUICE_API_KEY`.
    Variable,
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

    /// Reads the key for this server.
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
                    "start a server with `sluice serve`, name its folder with --data-dir, or set {}",
                    variable::API_KEY
                );
                denied(format!("there is no API key: {}: {error}", path.display())).hint(hint)
            }),
            Self::Missing => Err(denied(format!("there is no API key for {server}")).hint(format!(
                "set {}, or name a file with --api-key-file or in a profile whose server this is",
                variable::API_KEY
            ))),
        }
    }

    /// Where it is, for people; never what it is.
    pub(super) fn describe(&self) -> Option<String> {
        match self {
            Self::File(path) | Self::ThisMachine(path) => Some(path.display().to_string()),
            Self::Variable => Some("(not shown)".to_owned()),
            Self::Missing => None,
        }
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
