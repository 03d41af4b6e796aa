//! TLS by rustls, with certificates that can change while the server runs.

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    time::{Duration, SystemTime},
};

use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio::time::sleep;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::config::{ClientCertificates, TlsConfig};

/// How often the files are looked at.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Why TLS cannot be offered; names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file is missing or holds nothing of use.
    #[error("TLS: {path}: {problem}")]
    File {
        /// The file.
        path: std::path::PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Certificate and key, or the authorities, do not work.
    #[error("TLS: {0}")]
    Unusable(String),
}

/// What new connections are secured with.
#[derive(Clone)]
pub struct Tls(Arc<RwLock<Arc<ServerConfig>>>);

impl Tls {
    /// Reads the files that the configuration names.
    pub fn load(config: &TlsConfig) -> Result<Self, TlsError> {
        Ok(Self(Arc::new(RwLock::new(Arc::new(server_config(config)?)))))
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }

    /// Follows changes of the files until the server stops. Files that are not
    /// usable, such as half of a renewal, leave the certificates as they are.
    pub async fn follow(self, config: TlsConfig, stopping: CancellationToken) {
        let mut seen = stamps(&config);
        loop {
            tokio::select! {
                () = sleep(LOOK_INTERVAL) => {}
                () = stopping.cancelled() => return,
            }
            let now = stamps(&config);
            if now == seen {
                continue;
            }
            seen = now;
            match server_config(&config) {
                Ok(fresh) => {
                    *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(fresh);
                    tracing::info!("the TLS certificates were read again");
                }
                Err(error) => tracing::error!(%error, "the old TLS certificates stay in use"),
            }
        }
    }
}

/// By what a changed file is known.
fn stamps(config: &TlsConfig) -> Vec<Option<(SystemTime, u64)>> {
    let files = [config.certificate.as_ref(), config.key.as_ref(), config.client_ca.as_ref()];
    let stamp = |path: &std::path::PathBuf| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.into_iter().flatten().map(stamp).collect()
}

fn server_config(config: &TlsConfig) -> Result<ServerConfig, TlsError> {
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else {
        return Err(TlsError::Unusable("tls.certificate and tls.key belong together".into()));
    };
    let chain = certificates(certificate)?;
    let key = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| TlsError::File { path: key.clone(), problem: error.to_string() })?;
    let unusable = |error: &dyn std::fmt::Display| TlsError::Unusable(error.to_string());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error))?;
    let builder = match &config.client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for authority in certificates(path)? {
                roots.add(authority).map_err(|error| unusable(&error))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            let verifier = match config.client_certificates {
                ClientCertificates::Required => verifier,
                ClientCertificates::Optional => verifier.allow_unauthenticated(),
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|error| unusable(&error))?)
        }
    };
    let mut server = builder.with_single_cert(chain, key).map_err(|error| unusable(&error))?;
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(server)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |problem: String| TlsError::File { path: path.to_owned(), problem };
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if found.is_empty() {
        return Err(failed("there is no certificate in it".into()));
    }
    Ok(found)
}
