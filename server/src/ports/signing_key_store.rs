//! The keys that URLs and tokens are signed with.

use std::{fmt, sync::Arc};

use async_trait::async_trait;
use secrecy::SecretBox;
use sluice_domain::{Result, Timestamp};

/// Names a key in the URLs that it signed: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SigningKeyId(pub [u8; 8]);

impl SigningKeyId {
    /// The id with this text, in lower case.
    pub fn parse(text: &str) -> Option<Self> {
        let mut id = [0; 8];
        hex::decode_to_slice(text, &mut id).ok()?;
        (hex::encode(id) == text).then_some(Self(id))
    }
}

impl fmt::Display for SigningKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// What a key signs. Keys of one purpose are good for no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPurpose {
    /// URLs.
    Url,
    /// Tokens.
    Token,
}

/// A key. Its secret cannot be printed and is wiped from memory after use.
#[derive(Debug, Clone)]
pub struct SigningKey {
    /// Its name.
    pub id: SigningKeyId,
    /// 256 random bits.
    pub secret: Arc<SecretBox<[u8; 32]>>,
    /// When it was made; from then on it signs, until there is a newer one.
    pub create_time: Timestamp,
}

/// Stores the keys that every process of a server signs and checks URLs and
/// tokens with. Those of different purposes have nothing to do with each other.
#[async_trait]
pub trait SigningKeyStore: Send + Sync + 'static {
    /// All keys of a purpose that are kept, the newest first.
    async fn signing_keys(&self, purpose: KeyPurpose) -> Result<Vec<SigningKey>>;

    /// Adds a key, unless the newest was made after `unless_after`: of several
    /// processes that rotate at once, one does. Forgets keys whose successor
    /// was made before `superseded_before`, for nothing they signed is still
    /// good. Atomic, and durable when it returns; answers what is kept then, as
    /// [`signing_keys`](Self::signing_keys) does.
    async fn rotate_signing_key(
        &self,
        purpose: KeyPurpose,
        new: SigningKey,
        unless_after: Timestamp,
        superseded_before: Timestamp,
    ) -> Result<Vec<SigningKey>>;
}
