//! Which server to talk to, and with which key.

use std::{env, fs, path::PathBuf, time::Duration};

use clap::Args;
use sluice_sdk::{Client, ClientBuilder, Error, Kind};

use crate::{
    credentials::{Credentials, Secret},
    exit::Exit,
    failure::Failure,
    handshake,
    settings::{KeySource, Origin, Setting, Settings, is_on_this_machine},
    units,
};

/// Parallel streams unless somebody says otherwise.
pub(crate) const DEFAULT_STREAMS: u16 = 4;

/// A server that does not answer by then is not there, unless somebody has said
/// how long to wait.
const REACHABLE_WITHIN: Duration = Duration::from_secs(3);

/// Where the server is, and how to talk to it.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct RemoteArguments {
    /// Profile of the configuration file [env: SLUICE_PROFILE]
    #[arg(long, value_name = "NAME")]
    pub(crate) profile: Option<String>,
    /// Address of the server [env: SLUICE_SERVER] [default: http://127.0.0.1:7070]
    #[arg(long, value_name = "URL")]
    pub(crate) server: Option<String>,
    /// File with the API key [env: SLUICE_API_KEY_FILE, or SLUICE_API_KEY for the key itself]
    /// [default: whoever has signed in with `sluice login`, or that of the server on this machine]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) api_key_file: Option<PathBuf>,
    /// Certificate of the authority that has signed the server's, for https [env: SLUICE_CA_CERT]
    /// [default: those that this machine trusts]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) ca_cert: Option<PathBuf>,
    /// Certificate to show to a server that asks for one [env: SLUICE_CLIENT_CERT]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_cert: Option<PathBuf>,
    /// Key of the client certificate [env: SLUICE_CLIENT_KEY]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) client_key: Option<PathBuf>,
    /// Give up after so long without any progress, such as 30s or 10m [env: SLUICE_TIMEOUT]
    /// [default: 2m; 3s for a server that does not answer at all]
    #[arg(long, value_name = "TIME", hide_short_help = true, value_parser = units::parse_span)]
    pub(crate) timeout: Option<Duration>,
    /// Give up after trying again so often without any progress [env: SLUICE_RETRIES] [default: any
    /// number of times]
    #[arg(long, value_name = "COUNT", hide_short_help = true)]
    pub(crate) retries: Option<u32>,
    /// Data folder of a server on this machine, which has its API key [env: SLUICE_DATA_DIR]
    /// [default: sluice in the user's data folder]
    #[arg(long, value_name = "FOLDER", hide_short_help = true)]
    pub(crate) data_dir: Option<PathBuf>,
    /// Configuration file with profiles [env: SLUICE_CLIENT_CONFIG] [default: as `sluice config
    /// path` says]
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub(crate) config: Option<PathBuf>,
}

impl RemoteArguments {
    /// Everything that holds, with what the environment and the profile say.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let settings = Settings::resolve(self.clone(), |variable| env::var_os(variable))?;
        Ok(settings.with_login(Credentials::usual().as_ref()))
    }

    /// The server's address with its scheme.
    pub(crate) fn endpoint(&self) -> Result<String, Failure> {
        Ok(self.settings()?.server.value)
    }

    /// A client of the server, which was reached.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        self.connect_for(DEFAULT_STREAMS).await
    }

    /// The same for this many parallel streams, each on its own connection.
    pub(crate) async fn connect_for(&self, streams: u16) -> Result<Client, Failure> {
        self.settings()?.connect(streams).await
    }
}

impl Settings {
    /// A client of the server, which was reached.
    pub(crate) async fn connect(&self, streams: u16) -> Result<Client, Failure> {
        self.reach(self.client(streams)?).await
    }

    /// The same client, once the server has answered.
    pub(crate) async fn reach(&self, client: Client) -> Result<Client, Failure> {
        let within = match &self.timeout {
            Setting { origin: Origin::Default, .. } => REACHABLE_WITHIN,
            timeout => timeout.value,
        };
        let server = &*self.server.value;
        tracing::info!(server, "connecting");
        match client.with_give_up_after(within).capabilities().await {
            Ok(capabilities) => {
                tracing::info!(server, version = capabilities.version, "connected");
                Ok(client)
            }
            Err(error) => Err(self.unreachable(error).await),
        }
    }

    /// A client that has not connected yet.
    pub(crate) fn client(&self, streams: u16) -> Result<Client, Failure> {
        let builder = self.builder(streams)?;
        // A wrong address is the first thing to mend.
        builder.clone().build()?;
        let server = &self.server.value;
        if let (KeySource::Login(_), Some(credentials)) = (&self.key.value, Credentials::usual()) {
            let login = credentials.login(server)?;
            return match &login.secret {
                Some(Secret::ApiKey(key)) => Ok(builder.api_key(key).build()?),
                _ => Ok(builder.build()?.with_session(credentials.store(server, &login))?),
            };
        }
        Ok(builder.api_key(self.key.value.read(server)?).build()?)
    }

    /// A client with this key, on one connection.
    pub(crate) fn with_key(&self, key: &str) -> Result<Client, Failure> {
        Ok(self.builder(1)?.api_key(key).build()?)
    }

    /// A client without a key, on one connection.
    pub(crate) fn anonymous(&self) -> Result<Client, Failure> {
        Ok(self.builder(1)?.build()?)
    }

    fn builder(&self, streams: u16) -> Result<ClientBuilder, Failure> {
        let builder = Client::builder(&self.server.value)
            .connections(streams.into())
            .give_up_after(self.timeout.value);
        let builder = match &self.retries {
            Some(retries) => builder.retries(retries.value),
            None => builder,
        };
        self.with_tls(builder)
    }

    fn with_tls(&self, mut builder: ClientBuilder) -> Result<ClientBuilder, Failure> {
        let read = |path: &Setting<PathBuf>| {
            let path = path.value.as_path();
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

    pub(crate) fn is_secure(&self) -> bool {
        self.server.value.starts_with("https://")
    }

    /// Why the server was not reached, and what to do about it.
    pub(crate) async fn unreachable(&self, error: Error) -> Failure {
        const PREFIX: &str = "no connection to the server: ";
        let endpoint = &self.server.value;
        let cause = error.message().trim_start_matches(PREFIX);
        match error.kind() {
            Kind::Certificate => self.distrust(cause),
            Kind::Transport => {
                let cause = cause.split(" (gave up").next().unwrap_or_default();
                // A server that does not like what it was shown says so only to
                // who listens, and requests are under way by then.
                if self.is_secure()
                    && let Err(handshake::Refusal::Certificate(why)) = handshake::with(self).await
                {
                    return self.distrust(&why);
                }
                let message = format!("cannot reach {endpoint}: {cause}");
                Failure::new(Exit::Temporary, message).hint(self.reaching_hint(cause))
            }
            _ => error.into(),
        }
    }

    pub(crate) fn distrust(&self, cause: &str) -> Failure {
        let message = format!("no trust between here and {}: {cause}", self.server.value);
        Failure::new(Exit::Denied, message).hint(self.certificate_hint(cause))
    }

    /// What to do about a server that cannot be reached.
    pub(crate) fn reaching_hint(&self, cause: &str) -> &'static str {
        if self.is_secure() && cause.contains("corrupt message") {
            "the server does not speak TLS: use an address that begins with http://"
        } else if is_on_this_machine(&self.server.value) {
            "start the server with `sluice serve`, or name another with --server"
        } else {
            "check the address (--server, SLUICE_SERVER or the profile) and the network; `sluice \
             doctor` looks at each step"
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
}
