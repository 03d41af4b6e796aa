//! Resume tokens: where a watch goes on, opaque to callers.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest, Sha256};
use sluice_domain::{Error, Reason, Result};

use crate::{
    ports::FeedPosition,
    service::{Caller, watch::Selection},
};

/// What a watch is of, as a fingerprint: a token of one must not be used with
/// another.
const FINGERPRINT_BYTES: usize = 8;

/// Makes and reads the tokens of one caller's watches of the same things.
pub(super) struct ResumeTokens([u8; FINGERPRINT_BYTES]);

impl ResumeTokens {
    pub(super) fn of(caller: Caller, selection: &Selection) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(caller.owner.as_uuid());
        for id in &selection.uploads {
            hasher.update([b'u']);
            hasher.update(id.as_uuid());
        }
        for id in &selection.files {
            hasher.update([b'f']);
            hasher.update(id.as_uuid());
        }
        let digest: [u8; 32] = hasher.finalize().into();
        Self(*digest.first_chunk().expect("a digest is longer"))
    }

    /// The token for a place in the feed.
    pub(super) fn token(&self, position: &FeedPosition) -> String {
        URL_SAFE_NO_PAD.encode([&self.0, position.as_bytes()].concat())
    }

    /// Reads a token; an empty one means the beginning.
    pub(super) fn position(&self, token: &str) -> Result<Option<FeedPosition>> {
        if token.is_empty() {
            return Ok(None);
        }
        let wrong = |message| Error::new(Reason::ResumeTokenInvalid, message);
        // No token is longer; what is needs no decoding.
        let longest = 4 * (FINGERPRINT_BYTES + FeedPosition::MAX_BYTES);
        let bytes = Some(token).filter(|token| token.len() <= longest);
        let bytes = bytes.and_then(|token| URL_SAFE_NO_PAD.decode(token).ok()).unwrap_or_default();
        match bytes.split_first_chunk::<FINGERPRINT_BYTES>() {
            None => Err(wrong("this is not a resume token; watch anew")),
            Some((fingerprint, _)) if *fingerprint != self.0 => {
                Err(wrong("this resume token belongs to another request; watch anew"))
            }
            Some((_, position)) => Ok(Some(FeedPosition::from_bytes(position))),
        }
    }
}
