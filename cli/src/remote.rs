//! Which server to talk to, and with which key.

use std::{env, fs, net::IpAddr, path::PathBuf, time::Duration};

use clap::Args;
use sluice_sdk::{Client, ClientBuilder, Kind};

use crate::{exit::Exit, failure::Failure};

const KEY_VARIABLE: &str = "SLUICE_API_KEY";
const KEY_FILE: &str = "api-key";

/// Parallel streams unless the command line says otherwise.
pub(crate) const DEFAULT_STREAMS: u16 = 4;

/// A server that does not answer by then is not there.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

/// Where the server is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct RemoteArguments {
    /// Address of the server
    #[arg(
        long,
        env = "SLUICE_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:7070"
    )]
    server: String,
    /// File with the API key; SLUICE_API_KEY holds the key itself [default: that of the server on
    /// this machine]
    #[arg(long, env = "SLUICE_API_KEY_FILE", value_name = "FILE")]
    api_key_file: Option<PathBuf>,
    /// Certificate of the authority that has signed the server's, for https [default: those that
    /// this machine trusts]
    #[arg(long, env = "SLUICE_CA_CERT", value_name = "FILE")]
    ca_cert: Option<PathBuf>,
    /// Certificate to show to a server that asks for one
    #[arg(long, env = "SLUICE_CLIENT_CERT", value_name = "FILE", requires = "client_key")]
    client_cert: Option<PathBuf>,
    /// Key of the client certificate
    #[arg(long, env = "SLUICE_CLIENT_KEY", value_name = "FILE", requires = "client_cert")]
    client_key: Option<PathBuf>,
    #[command(flatten)]
    data: DataArguments,
}

/// Where the server on this machine keeps its data.
#[derive(Debug, Clone, Args)]
pub(crate) struct DataArguments {
    /// Data folder of the server on this machine [default: sluice in the user's data folder]
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl DataArguments {
    /// The folder of a server that was started without saying where.
    pub(crate) fn default_folder() -> PathBuf {
        dirs::data_dir().unwrap_or_else(|| PathBuf::from(".")).join("sluice")
    }
}

impl RemoteArguments {
    /// The server's address with its scheme.
    pub(crate) fn endpoint(&self) -> String {
        let server = self.server.trim_end_matches('/');
        if server.contains("://") { server.to_owned() } else { format!("http://{server}") }
    }

    /// A client of the server, which was reached.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        self.connect_for(DEFAULT_STREAMS).await
    }

    /// The same for this many parallel streams, each on its own connection.
    pub(crate) async fn connect_for(&self, streams: u16) -> Result<Client, Failure> {
        let endpoint = self.endpoint();
        let builder = self.with_tls(Client::builder(&endpoint).connections(streams.into()))?;
        // A wrong address is the first thing to mend.
        builder.clone().build()?;
        let client = builder.api_key(self.api_key()?).build()?;
        let reached = client.with_give_up_after(REACHABLE_WITHIN).capabilities().await;
        match reached {
            Ok(_) => Ok(client),
            Err(error) if error.kind() == Kind::Transport => {
                let cause = error.message().split(" (gave up").next().unwrap_or_default();
                let cause = cause.trim_start_matches("no connection to the server: ");
                let message = format!("cannot reach {endpoint}: {cause}");
                Err(Failure::new(Exit::Temporary, message).hint(self.reaching_hint(cause)))
            }
            Err(error) if error.kind() == Kind::Certificate => {
                let cause = error.message().trim_start_matches("no connection to the server: ");
                let message = format!("no trust between here and {endpoint}: {cause}");
                Err(Failure::new(Exit::Denied, message).hint(self.certificate_hint(cause)))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn with_tls(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| {
                Failure::new(Exit::Denied, format!("cannot read {}: {error}", path.display()))
            })
        };
        if let Some(authority) = &self.ca_cert {
            builder = builder.ca_certificates(read(authority)?);
        }
        if let (Some(certificate), Some(key)) = (&self.client_cert, &self.client_key) {
            builder = builder.client_certificate(read(certificate)?, read(key)?);
        }
        Ok(builder)
    }

    /// What to do about a server that cannot be reached.
    fn reaching_hint(&self, cause: &str) -> &'static str {
        let secure = self.endpoint().starts_with("https://");
        let answered = !cause.contains("refused") && !cause.contains("error trying to connect");
        if secure && cause.contains("corrupt message") {
            "the server does not speak TLS: use an address that begins with http://"
        } else if secure && answered {
            match self.client_cert {
                None => {
                    "check the address and the network; a server that wants to see a certificate \
                     needs --client-cert and --client-key"
                }
                Some(_) => {
                    "check the address and the network; a server that does not trust the client \
                     certificate ends the connection like this"
                }
            }
        } else if self.is_on_this_machine() {
            "start the server with `sluice serve`, or name another with --server"
        } else {
            "check the address (--server or SLUICE_SERVER) and the network"
        }
    }

    /// What to do about a certificate that was refused.
    fn certificate_hint(&self, cause: &str) -> &'static str {
        let by_the_server = cause.contains("alert");
        match (by_the_server, &self.client_cert, &self.ca_cert) {
            (true, None, _) => {
                "the server wants to see a certificate: give one with --client-cert and \
                 --client-key"
            }
            (true, Some(_), _) => {
                "the server does not trust this client certificate: ask its operator for another"
            }
            (false, _, None) => {
                "if the server's certificate is from an authority of your own, name that one's \
                 certificate with --ca-cert or SLUICE_CA_CERT"
            }
            (false, _, Some(_)) => {
                "the authority named with --ca-cert has not signed this certificate for this \
                 address: check both with the server's operator"
            }
        }
    }

    fn api_key(&self) -> Result<String, Failure> {
        if let Some(file) = &self.api_key_file {
            return fs::read_to_string(file).map_err(|error| {
                let message = format!("cannot read the API key {}: {error}", file.display());
                Failure::new(Exit::Denied, message)
            });
        }
        if let Ok(key) = env::var(KEY_VARIABLE) {
            return Ok(key);
        }
        // The key of this machine's server is nobody else's business.
        if !self.is_on_this_machine() {
            let message = format!("there is no API key for {}", self.endpoint());
            return Err(Failure::new(Exit::Denied, message)
                .hint(format!("set {KEY_VARIABLE}, or name a file with --api-key-file")));
        }
        let folder = self.data.data_dir.clone().unwrap_or_else(DataArguments::default_folder);
        let file = folder.join(KEY_FILE);
        fs::read_to_string(&file).map_err(|error| {
            let message = format!("there is no API key: {}: {error}", file.display());
            let hint = format!(
                "start a server with `sluice serve`, name its folder with --data-dir, or set \
                 {KEY_VARIABLE}"
            );
            Failure::new(Exit::Denied, message).hint(hint)
        })
    }

    fn is_on_this_machine(&self) -> bool {
        let endpoint = self.endpoint();
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
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(server: &str) -> RemoteArguments {
        let data = DataArguments { data_dir: None };
        RemoteArguments {
            server: server.into(),
            api_key_file: None,
            ca_cert: None,
            client_cert: None,
            client_key: None,
            data,
        }
    }

    #[test]
    fn an_address_may_leave_the_scheme_out() {
        assert_eq!(remote("localhost:7070").endpoint(), "http://localhost:7070");
        assert_eq!(remote("https://files.example/").endpoint(), "https://files.example");
    }

    #[test]
    fn the_local_key_goes_to_this_machine_only() {
        for here in ["localhost:7070", "http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:7"] {
            assert!(remote(here).is_on_this_machine(), "{here}");
        }
        for elsewhere in [
            "http://example.com",
            "http://localhost.example.com",
            "http://10.0.0.1:7070",
            "http://127.0.0.1.example.com",
            "http://user@127.0.0.1",
            "http://127.0.0.1:80@example.com",
        ] {
            assert!(!remote(elsewhere).is_on_this_machine(), "{elsewhere}");
        }
    }
}
