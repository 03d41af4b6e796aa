//! One TLS handshake, to look at it: how it goes, and what the server shows.

use std::{fs, io, net::SocketAddr, path::Path, sync::Arc, time::Duration};

use rustls::{
    ClientConfig, ProtocolVersion, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::settings::Settings;

/// Nothing of a handshake takes longer, unless it is not going to happen.
const LIMIT: Duration = Duration::from_secs(5);

/// A server that does not like a certificate says so by then, unless it is far
/// away; then the answer to what is said next tells.
const OBJECTION: Duration = Duration::from_millis(250);

/// How a client begins HTTP/2: a fixed text, and settings without any change.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

/// A connection whose handshake went well.
pub(crate) struct Secured {
    /// What the server has shown, the first one being its own.
    pub(crate) certificates: Vec<CertificateDer<'static>>,
    pub(crate) version: Option<ProtocolVersion>,
    /// Whether both sides will speak HTTP/2.
    pub(crate) http2: bool,
}

/// Why there is no connection.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// One side does not trust the other.
    Certificate(String),
    /// Anything else.
    Other(String),
}

/// A handshake with the server of these settings. It has gone well when the
/// server says something: in TLS 1.3 a server looks at the client's certificate
/// when the client believes that all is done.
pub(crate) async fn with(settings: &Settings) -> Result<Secured, Refusal> {
    let (host, port) = host_and_port(&settings.server.value);
    let stream = async {
        let mut addresses = lookup_host((&*host, port)).await?;
        let address = addresses.next().ok_or(io::ErrorKind::NotFound)?;
        TcpStream::connect(address).await
    };
    let stream = within(stream).await?;
    let mut stream = begin(settings, &host, stream, &[b"h2", b"http/1.1"]).await?;
    let (_, session) = stream.get_ref();
    let secured = Secured {
        certificates: session.peer_certificates().unwrap_or_default().to_vec(),
        version: session.protocol_version(),
        http2: session.alpn_protocol() == Some(b"h2"),
    };
    if secured.http2 {
        let mut answer = [0; 9];
        match timeout(OBJECTION, stream.read(&mut answer)).await {
            Ok(read) => read.map_err(|error| Refusal::from(&error)).map(drop)?,
            // No objection. The server answers the beginning of HTTP/2.
            Err(_) => {
                within(async {
                    stream.write_all(PREFACE).await?;
                    stream.flush().await?;
                    stream.read(&mut answer).await
                })
                .await?;
            }
        }
    }
    Ok(secured)
}

/// Begins TLS on a connection.
pub(crate) async fn begin(
    settings: &Settings,
    host: &str,
    stream: TcpStream,
    protocols: &[&[u8]],
) -> Result<TlsStream<TcpStream>, Refusal> {
    let mut config = config(settings).map_err(Refusal::Other)?;
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|error| Refusal::Other(format!("{host}: {error}")))?;
    within(TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

/// Host and port of an address that was checked before.
pub(crate) fn host_and_port(endpoint: &str) -> (String, u16) {
    let uri: http::Uri = endpoint.parse().unwrap_or_default();
    let usual = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    (host.to_owned(), uri.port_u16().unwrap_or(usual))
}

/// All addresses of a host.
pub(crate) async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(lookup_host((host, port)).await?.collect())
}

async fn within<T>(work: impl Future<Output = io::Result<T>>) -> Result<T, Refusal> {
    match timeout(LIMIT, work).await {
        Ok(done) => done.map_err(|error| Refusal::from(&error)),
        Err(_) => Err(Refusal::Other(format!("nothing came for {} s", LIMIT.as_secs()))),
    }
}

fn config(settings: &Settings) -> Result<ClientConfig, String> {
    let mut roots = RootCertStore::empty();
    match &settings.ca_cert {
        Some(path) => {
            for authority in certificates(&path.value)? {
                roots.add(authority).map_err(|error| error.to_string())?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots);
    match (&settings.client_cert, &settings.client_key) {
        (Some(certificate), Some(key)) => {
            let key = PrivateKeyDer::from_pem_file(&key.value)
                .map_err(|error| format!("{}: {error}", key.value.display()))?;
            let chain = certificates(&certificate.value)?;
            builder.with_client_auth_cert(chain, key).map_err(|error| error.to_string())
        }
        _ => Ok(builder.with_no_client_auth()),
    }
}

/// The certificates of a file.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let failed = |problem: String| format!("{}: {problem}", path.display());
    let text = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(&text)
        .collect::<Result<_, _>>()
        .map_err(|error| failed(error.to_string()))?;
    match found.is_empty() {
        true => Err(failed("there is no certificate in it".to_owned())),
        false => Ok(found),
    }
}

impl From<&io::Error> for Refusal {
    fn from(error: &io::Error) -> Self {
        use rustls::{AlertDescription as Alert, Error};
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let about_trust = match tls {
            Some(Error::InvalidCertificate(_) | Error::NoCertificatesPresented) => true,
            Some(Error::AlertReceived(alert)) => matches!(
                alert,
                Alert::AccessDenied
                    | Alert::BadCertificate
                    | Alert::CertificateExpired
                    | Alert::CertificateRequired
                    | Alert::CertificateRevoked
                    | Alert::CertificateUnknown
                    | Alert::DecryptError
                    | Alert::UnknownCA
                    | Alert::UnsupportedCertificate
            ),
            _ => false,
        };
        match about_trust {
            true => Self::Certificate(error.to_string()),
            false => Self::Other(error.to_string()),
        }
    }
}

impl Refusal {
    /// What happened.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Certificate(text) | Self::Other(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_host_and_a_port() {
        for (endpoint, host, port) in [
            ("http://localhost:7070", "localhost", 7070),
            ("https://files.example", "files.example", 443),
            ("http://[::1]", "::1", 80),
        ] {
            assert_eq!(host_and_port(endpoint), (host.to_owned(), port));
        }
    }
}
