//! Signed URLs: who has one may do what it says until it expires, without any
//! other credential.

pub(crate) mod keyring;
pub mod link;

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use http::Method;
use secrecy::ExposeSecret;
use sha2::Sha256;
use sluice_domain::{Error, Reason, Result, Timestamp};

use self::{
    keyring::Keyring,
    link::{Grant, Link, SignedLink},
};
use crate::ports::{Clock, KeyPurpose, SigningKey, SigningKeyStore};

/// Longest life of a signed URL.
pub const MAX_TTL: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Signs URLs and says what a signed one allows.
pub struct Signing {
    keyring: Keyring,
    clock: Arc<dyn Clock>,
    /// What URLs begin with: scheme, host and port, perhaps a path.
    public_url: String,
}

impl Signing {
    /// Signs URLs that begin with `public_url`, with a new key from time to
    /// time.
    pub fn new(
        store: Arc<dyn SigningKeyStore>,
        clock: Arc<dyn Clock>,
        rotation: Duration,
        public_url: &str,
    ) -> Self {
        Self {
            keyring: Keyring::new(store, Arc::clone(&clock), KeyPurpose::Url, rotation, MAX_TTL),
            clock,
            public_url: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// A URL for whoever shall have this right for `ttl`, rounded up to whole
    /// seconds, and when it stops working.
    pub async fn sign(&self, grant: Grant, ttl: Duration) -> Result<(String, Timestamp)> {
        let end = self.clock.now().plus(ttl).as_micros();
        let expires = u64::try_from(end).unwrap_or(0).div_ceil(1_000_000);
        let key = self.keyring.current().await?;
        let link = Link { grant, expires, key: key.id };
        let signature = mac(&key, method_of(grant), &link.to_string())?.finalize().into_bytes();
        let path_and_query = link.with_signature(&signature.into());
        Ok((format!("{}{path_and_query}", self.public_url), link.expire_time()))
    }

    /// What a request with this method, path and query may do. Whatever is wrong
    /// with it, the answer is the same, unless it is a link that has expired.
    pub async fn verify(&self, method: &Method, path_and_query: &str) -> Result<Grant> {
        let signed = SignedLink::parse(path_and_query).ok_or_else(refused)?;
        let link = signed.link;
        let method = match (method, link.grant) {
            (&Method::GET | &Method::HEAD, Grant::Download(_)) => Method::GET,
            (&Method::PUT, Grant::Part(_)) => Method::PUT,
            _ => return Err(refused()),
        };
        let key = self.keyring.find(link.key).await?.ok_or_else(refused)?;
        // Takes the same time, wherever the first difference is.
        mac(&key, method, signed.signed)?.verify_slice(&signed.signature).map_err(|_| refused())?;
        if self.clock.now() >= link.expire_time() {
            let message = "this link has expired; ask for a new one";
            return Err(Error::new(Reason::TokenExpired, message));
        }
        Ok(link.grant)
    }
}

/// The method that a right is signed for.
fn method_of(grant: Grant) -> Method {
    match grant {
        Grant::Download(_) => Method::GET,
        Grant::Part(_) => Method::PUT,
    }
}

/// The code of a link under a key.
fn mac(key: &SigningKey, method: Method, signed: &str) -> Result<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.secret.expose_secret())
        .map_err(|_| Error::storage_io("a signing key cannot be used"))?;
    for piece in ["sluice signed url 1", method.as_str(), signed] {
        mac.update(piece.as_bytes());
        mac.update(b"\n");
    }
    Ok(mac)
}

fn refused() -> Error {
    Error::new(Reason::CredentialsInvalid, "this is not a link that this server has signed")
}
