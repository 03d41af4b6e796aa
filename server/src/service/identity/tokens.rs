//! Signed tokens (JWT, EdDSA): access, refresh, upload and device tokens.
//!
//! Each kind has its own `typ` and audience, so that none passes for another.
//! Nothing in a token says where its key is to be found but the key's id, which
//! is looked up among this server's own keys.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sluice_domain::{
    AccountId, Epoch, Error, Reason, Result, SessionId, Timestamp, Upload, UploadId,
};
use uuid::Uuid;

use super::seconds;
use crate::{
    ports::{Clock, KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore},
    service::signing::keyring::Keyring,
};

/// Who issues the tokens: this server, whatever it is reached by.
const ISSUER: &str = "sluice";

/// How long a key signs.
const ROTATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What no token outlives: that of an upload.
const LONGEST: Duration = Upload::MAX_LIFETIME;

/// Longest token that is looked at, in bytes.
const MAX_BYTES: usize = 2048;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes with every call of a session.
    Access,
    /// Gets the next tokens of a session.
    Refresh,
    /// Writes one upload.
    Upload,
    /// Shows that a device has signed in before.
    Device,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Access, Self::Refresh, Self::Upload, Self::Device];

    /// `typ` of the header; RFC 9068 names the first.
    const fn header_type(self) -> &'static str {
        match self {
            Self::Access => "at+jwt",
            Self::Refresh => "sluice-refresh+jwt",
            Self::Upload => "sluice-upload+jwt",
            Self::Device => "sluice-device+jwt",
        }
    }

    const fn audience(self) -> &'static str {
        match self {
            Self::Access => "sluice",
            Self::Refresh => "sluice:refresh",
            Self::Upload => "sluice:upload",
            Self::Device => "sluice:device",
        }
    }
}

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// The bearer acts for an account, in a session.
    Access {
        /// The account.
        account: AccountId,
        /// The session.
        session: SessionId,
    },
    /// The bearer may have the next tokens of a session.
    Refresh {
        /// The account.
        account: AccountId,
        /// The session.
        session: SessionId,
        /// How often it was refreshed when the token was made.
        generation: u64,
    },
    /// The bearer is a writer of an upload.
    Upload {
        /// The upload's owner.
        account: AccountId,
        /// The upload.
        upload: UploadId,
        /// The writer.
        epoch: Epoch,
    },
    /// The bearer has signed in to an account before.
    Device {
        /// The account.
        account: AccountId,
        /// Names the device.
        device: Uuid,
    },
}

/// A token that is good, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub token: Token,
    /// When it ends.
    pub expire_time: Timestamp,
}

/// The claims of all kinds. A claim of the wrong type, or one that is not
/// known, makes a token unreadable.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Claims {
    iss: String,
    aud: String,
    sub: String,
    iat: u64,
    exp: u64,
    jti: Uuid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    generation: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upload: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    epoch: Option<u64>,
}

/// Makes and checks tokens.
pub struct Tokens {
    keyring: Keyring,
    clock: Arc<dyn Clock>,
}

impl Tokens {
    /// Signs with the keys of a store.
    pub fn new(store: Arc<dyn SigningKeyStore>, clock: Arc<dyn Clock>) -> Self {
        let keyring = Keyring::new(store, Arc::clone(&clock), KeyPurpose::Token, ROTATION, LONGEST);
        Self { keyring, clock }
    }

    /// A token that is good for `ttl`, and when it ends.
    pub async fn issue(&self, token: Token, ttl: Duration) -> Result<(String, Timestamp)> {
        let key = self.keyring.current().await?;
        sign(&token, &key, self.clock.now(), ttl)
    }

    /// What a token says, if it is one of these kinds and good. One that was
    /// good and has run out is `TOKEN_EXPIRED`, everything else
    /// `CREDENTIALS_INVALID`.
    pub async fn verify(&self, text: &str, kinds: &[Kind]) -> Result<Verified> {
        let unverified = Unverified::parse(text, kinds)?;
        let key = self.keyring.find(unverified.key).await?.ok_or_else(invalid)?;
        unverified.verify(&key, self.clock.now())
    }

    /// The public keys, as a JSON Web Key Set (RFC 7517, RFC 8037).
    pub async fn key_set(&self) -> Result<serde_json::Value> {
        self.keyring.current().await?;
        let known = self.keyring.all();
        let keys = known.iter().map(|key| {
            Ok(json!({
                "kty": "OKP",
                "crv": "Ed25519",
                "alg": "EdDSA",
                "use": "sig",
                "kid": key.id.to_string(),
                "x": URL_SAFE_NO_PAD.encode(public_key(key)?),
            }))
        });
        Ok(json!({ "keys": keys.collect::<Result<Vec<_>>>()? }))
    }
}

/// Signs a token that is good for `ttl`; answers when it ends.
pub fn sign(
    token: &Token,
    key: &SigningKey,
    now: Timestamp,
    ttl: Duration,
) -> Result<(String, Timestamp)> {
    let (kind, iat) = (token.kind(), seconds(now));
    let exp = iat + ttl.min(LONGEST).as_secs();
    let jti = match token {
        Token::Device { device, .. } => *device,
        _ => random_uuid()?,
    };
    let mut claims = Claims {
        iss: ISSUER.into(),
        aud: kind.audience().into(),
        sub: token.account().to_string(),
        iat,
        exp,
        jti,
        sid: None,
        generation: None,
        upload: None,
        epoch: None,
    };
    match token {
        Token::Access { session, .. } => claims.sid = Some(session.to_string()),
        Token::Refresh { session, generation, .. } => {
            claims.sid = Some(session.to_string());
            claims.generation = Some(*generation);
        }
        Token::Upload { upload, epoch, .. } => {
            claims.upload = Some(upload.to_string());
            claims.epoch = Some(epoch.0);
        }
        Token::Device { .. } => {}
    }
    let signing_key = EncodingKey::from_ed_der(&pkcs8(key.secret.expose_secret()));
    let text = jsonwebtoken::encode(&header(kind, key.id), &claims, &signing_key)
        .map_err(|_| Error::storage_io("a token cannot be signed"))?;
    Ok((text, time_of(exp)))
}

/// The one header that a token of this kind and key can have.
fn header(kind: Kind, key: SigningKeyId) -> Header {
    Header {
        typ: Some(kind.header_type().into()),
        kid: Some(key.to_string()),
        ..Header::new(Algorithm::EdDSA)
    }
}

/// A token whose signature nobody has looked at.
pub struct Unverified<'a> {
    text: &'a str,
    kind: Kind,
    /// The key that it says it was signed with.
    pub key: SigningKeyId,
}

impl<'a> Unverified<'a> {
    /// Reads which key a token wants to be checked with, if it is one of these
    /// kinds.
    pub fn parse(text: &'a str, kinds: &[Kind]) -> Result<Self> {
        if text.len() > MAX_BYTES {
            return Err(invalid());
        }
        let found = jsonwebtoken::decode_header(text).map_err(|_| invalid())?;
        let kind = Kind::ALL.into_iter().find(|it| found.typ.as_deref() == Some(it.header_type()));
        let kind = kind.filter(|kind| kinds.contains(kind)).ok_or_else(invalid)?;
        let key = found.kid.as_deref().and_then(SigningKeyId::parse).ok_or_else(invalid)?;
        if found != header(kind, key) {
            // Another algorithm, or a header that points to a key elsewhere.
            return Err(invalid());
        }
        Ok(Self { text, kind, key })
    }

    /// What the token says, if this is its key and it is good at `now`.
    pub fn verify(self, key: &SigningKey, now: Timestamp) -> Result<Verified> {
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[self.kind.audience()]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        // Below, by this server's own clock.
        validation.validate_exp = false;
        let public = DecodingKey::from_ed_der(&public_key(key)?);
        let claims = jsonwebtoken::decode::<Claims>(self.text, &public, &validation)
            .map_err(|_| invalid())?
            .claims;
        if claims.exp <= seconds(now) {
            return Err(Error::new(Reason::TokenExpired, "this token has expired"));
        }
        let expire_time = time_of(claims.exp);
        let token = token_of(self.kind, claims).ok_or_else(invalid)?;
        Ok(Verified { token, expire_time })
    }
}

impl Token {
    fn kind(&self) -> Kind {
        match self {
            Self::Access { .. } => Kind::Access,
            Self::Refresh { .. } => Kind::Refresh,
            Self::Upload { .. } => Kind::Upload,
            Self::Device { .. } => Kind::Device,
        }
    }

    /// Whose it is.
    pub fn account(&self) -> AccountId {
        match self {
            Self::Access { account, .. }
            | Self::Refresh { account, .. }
            | Self::Upload { account, .. }
            | Self::Device { account, .. } => *account,
        }
    }
}

fn token_of(kind: Kind, claims: Claims) -> Option<Token> {
    let account = AccountId::parse(&claims.sub, "sub").ok()?;
    let session = || SessionId::parse(claims.sid.as_deref()?, "sid").ok();
    Some(match kind {
        Kind::Access => Token::Access { account, session: session()? },
        Kind::Refresh => {
            Token::Refresh { account, session: session()?, generation: claims.generation? }
        }
        Kind::Upload => Token::Upload {
            account,
            upload: UploadId::parse(claims.upload.as_deref()?, "upload").ok()?,
            epoch: Epoch(claims.epoch?),
        },
        Kind::Device => Token::Device { account, device: claims.jti },
    })
}

/// An Ed25519 seed as PKCS #8 version 1 (RFC 8410, section 7).
fn pkcs8(seed: &[u8; 32]) -> [u8; 48] {
    const PREFIX: [u8; 16] =
        [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    let mut der = [0; 48];
    der[..16].copy_from_slice(&PREFIX);
    der[16..].copy_from_slice(seed);
    der
}

fn public_key(key: &SigningKey) -> Result<Vec<u8>> {
    let pair = Ed25519KeyPair::from_seed_unchecked(key.secret.expose_secret())
        .map_err(|_| Error::storage_io("a signing key cannot be used"))?;
    Ok(pair.public_key().as_ref().to_vec())
}

fn random_uuid() -> Result<Uuid> {
    let mut bits = [0; 16];
    getrandom::fill(&mut bits).map_err(|_| Error::storage_io("the system gives no randomness"))?;
    Ok(uuid::Builder::from_random_bytes(bits).into_uuid())
}

/// A name for a new device.
pub(super) fn new_device() -> Result<Uuid> {
    random_uuid()
}

fn time_of(seconds: u64) -> Timestamp {
    Timestamp::from_micros(0).plus(Duration::from_secs(seconds))
}

fn invalid() -> Error {
    Error::new(Reason::CredentialsInvalid, "this is not a token that this server has given out")
}
