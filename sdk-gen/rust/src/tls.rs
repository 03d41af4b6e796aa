//! Whom `https://` connections trust, and who they say that they are.

use std::fmt;

use tonic::transport::Endpoint;

use crate::{Error, Result};

/// PEM texts; none of them is needed for a server with a public certificate.
#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// The only authorities to trust; those of the system if absent.
    pub(crate) authorities: Option<Vec<u8>>,
    /// Certificate chain and key, for servers that ask for them.
    pub(crate) identity: Option<(Vec<u8>, Vec<u8>)>,
}

#[cfg(feature = "tls")]
impl Tls {
    /// Prepares an endpoint whose scheme is `https`.
    pub(crate) fn apply(&self, endpoint: Endpoint) -> Result<Endpoint> {
        use tonic::transport::{Certificate, ClientTlsConfig, Identity};

        let config = match &self.authorities {
            Some(pem) => ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem)),
            None => ClientTlsConfig::new().with_native_roots(),
        };
        let config = match &self.identity {
            Some((certificate, key)) => config.identity(Identity::from_pem(certificate, key)),
            None => config,
        };
        endpoint.tls_config(config).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let cause = cause.unwrap_or_else(|| error.to_string());
            Error::usage(format!("TLS cannot be set up: {cause}"))
        })
    }

    /// Refuses what is no certificate, which would otherwise trust nobody.
    pub(crate) fn check(&self) -> Result<()> {
        let has = |pem: &[u8], label: &str| {
            let begin = format!("-----BEGIN {label}");
            pem.windows(begin.len()).any(|window| window == begin.as_bytes())
        };
        if self.authorities.as_ref().is_some_and(|pem| !has(pem, "CERTIFICATE")) {
            return Err(Error::usage("the authority's certificate is not in PEM format"));
        }
        if let Some((certificate, key)) = &self.identity {
            if !has(certificate, "CERTIFICATE") {
                return Err(Error::usage("the client certificate is not in PEM format"));
            }
            if !["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"]
                .iter()
                .any(|label| has(key, label))
            {
                return Err(Error::usage("the client's key is not a PEM key without password"));
            }
        }
        Ok(())
    }
}

#[cfg(not(feature = "tls"))]
impl Tls {
    pub(crate) fn apply(&self, _: Endpoint) -> Result<Endpoint> {
        Err(Error::usage("https needs the feature `tls` of sluice-sdk"))
    }

    pub(crate) fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Without keys.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_authorities", &self.authorities.is_some())
            .field("identity", &self.identity.is_some())
            .finish()
    }
}
