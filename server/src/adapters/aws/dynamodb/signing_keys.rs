//! Signing keys: one item for each purpose, because there are few of them and
//! they change together.

use std::sync::Arc;

use async_trait::async_trait;
use secrecy::{ExposeSecret, SecretBox};
use sluice_domain::{Result, Timestamp};

use super::{
    Records,
    item::{Item, unreadable},
    key,
    pause::Pause,
    transaction::{Outcome, Transaction, tag_of},
};
use crate::ports::{KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore};

/// Bytes of a key: its id, the time of its making, its secret.
const KEY_BYTES: usize = 8 + 8 + 32;

#[async_trait]
impl SigningKeyStore for Records {
    async fn signing_keys(&self, purpose: KeyPurpose) -> Result<Vec<SigningKey>> {
        read(self.get(&key::signing_keys(name(purpose))).await?.as_ref())
    }

    async fn rotate_signing_key(
        &self,
        purpose: KeyPurpose,
        new: SigningKey,
        unless_after: Timestamp,
        superseded_before: Timestamp,
    ) -> Result<Vec<SigningKey>> {
        let key = key::signing_keys(name(purpose));
        let mut pause = Pause::new();
        loop {
            let item = self.get(&key).await?;
            let before = read(item.as_ref())?;
            let mut keys = before.clone();
            if keys.iter().all(|key| key.create_time <= unless_after) {
                keys.push(new.clone());
            }
            keys.sort_by_key(|key| (std::cmp::Reverse(key.create_time), key.id.0));
            let times: Vec<_> = keys.iter().map(|key| key.create_time).collect();
            keys.retain(|key| {
                let mut later = times.iter().filter(|time| **time > key.create_time);
                !later.any(|time| *time < superseded_before)
            });
            let ids = |keys: &[SigningKey]| keys.iter().map(|key| key.id).collect::<Vec<_>>();
            if ids(&keys) == ids(&before) {
                return Ok(keys);
            }
            let mut transaction = Transaction::new();
            transaction.put(key.clone(), tag_of(item.as_ref())?, write(&keys));
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(keys);
            }
            pause.wait("a signing key cannot be added").await?;
        }
    }
}

fn name(purpose: KeyPurpose) -> &'static str {
    match purpose {
        KeyPurpose::Url => "URL",
        KeyPurpose::Token => "TOKEN",
    }
}

fn write(keys: &[SigningKey]) -> Item {
    let bytes = keys.iter().flat_map(|key| {
        let time = key.create_time.as_micros().to_be_bytes();
        [&key.id.0[..], &time, &key.secret.expose_secret()[..]].concat()
    });
    Item::default().with("signing_keys", bytes.collect::<Vec<_>>())
}

fn read(item: Option<&Item>) -> Result<Vec<SigningKey>> {
    let Some(item) = item else { return Ok(Vec::new()) };
    let wrong = || unreadable("signing_keys");
    let bytes: Vec<u8> = item.get("signing_keys")?;
    let (keys, []) = bytes.as_chunks::<KEY_BYTES>() else { return Err(wrong()) };
    let key = |bytes: &[u8; KEY_BYTES]| {
        let (id, rest) = bytes.split_first_chunk()?;
        let (time, secret) = rest.split_first_chunk()?;
        Some(SigningKey {
            id: SigningKeyId(*id),
            secret: Arc::new(SecretBox::new(Box::new(secret.try_into().ok()?))),
            create_time: Timestamp::from_micros(i64::from_be_bytes(*time)),
        })
    };
    keys.iter().map(|bytes| key(bytes).ok_or_else(wrong)).collect()
}
