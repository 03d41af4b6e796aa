//! Page tokens: where the next page begins, opaque to callers.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use sluice_domain::{Error, Result};

/// Entries on a page unless the caller says otherwise, and most of them.
const DEFAULT_PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 1000;

/// A position, and the filters that it belongs to.
#[derive(Serialize, Deserialize)]
struct Token<P> {
    filters: String,
    position: P,
}

/// The filters of a listing, as a fingerprint: a token of one listing must not
/// be used with another.
pub(super) struct Filters(String);

impl Filters {
    /// Takes a request without its page fields.
    pub(super) fn of(request: &impl Message) -> Self {
        Self(hex::encode(&Sha256::digest(request.encode_to_vec())[..8]))
    }

    /// Makes the token for the page that begins at `position`.
    pub(super) fn token<P: Serialize>(&self, position: P) -> String {
        let token = Token { filters: self.0.clone(), position };
        serde_json::to_vec(&token).map(|json| URL_SAFE_NO_PAD.encode(json)).unwrap_or_default()
    }

    /// Reads a token; an empty one means the first page.
    pub(super) fn position<P: DeserializeOwned>(&self, token: &str) -> Result<Option<P>> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = |description: &str| Error::invalid_field("page_token", description);
        let json = URL_SAFE_NO_PAD.decode(token).ok();
        let token: Option<Token<P>> = json.and_then(|json| serde_json::from_slice(&json).ok());
        let token = token.ok_or_else(|| wrong("is not a token of this listing"))?;
        if token.filters != self.0 {
            return Err(wrong("belongs to a listing with other filters; start again without it"));
        }
        Ok(Some(token.position))
    }
}

/// How many entries a page may have.
pub(super) fn page_size(requested: i32) -> Result<u32> {
    match u32::try_from(requested) {
        Ok(0) => Ok(DEFAULT_PAGE),
        Ok(size) => Ok(size.min(LARGEST_PAGE)),
        Err(_) => Err(Error::invalid_field("page_size", "must not be negative")),
    }
}
