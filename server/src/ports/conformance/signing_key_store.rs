//! Promises of [`SigningKeyStore`].
//!
//! Keys belong to nobody, so each check needs a store for itself.

use std::sync::Arc;

use futures::future::join_all;
use secrecy::{ExposeSecret, SecretBox};
use sluice_domain::Timestamp;

use crate::ports::{
    KeyPurpose, SigningKey, SigningKeyId, SigningKeyStore,
    conformance::fixtures::{NOW, after},
};

/// Nothing is superseded before this.
const EVER: Timestamp = Timestamp::from_micros(0);

fn key(name: u8, create_time: Timestamp) -> SigningKey {
    let secret = Arc::new(SecretBox::new(Box::new([name; 32])));
    SigningKey { id: SigningKeyId([name; 8]), secret, create_time }
}

/// What of keys can be compared.
fn facts(keys: Vec<SigningKey>) -> Vec<(SigningKeyId, [u8; 32], Timestamp)> {
    let facts = |key: &SigningKey| (key.id, *key.secret.expose_secret(), key.create_time);
    keys.iter().map(facts).collect()
}

/// A key that was added reads back, and so do those before it: the newest
/// first.
pub async fn keys_read_back_newest_first(store: &dyn SigningKeyStore) {
    assert_eq!(facts(store.signing_keys(KeyPurpose::Url).await.expect("they are read")), []);
    let first = store
        .rotate_signing_key(KeyPurpose::Url, key(9, NOW), EVER, EVER)
        .await
        .expect("it is added");
    assert_eq!(facts(first), facts(vec![key(9, NOW)]));
    let both = store
        .rotate_signing_key(KeyPurpose::Url, key(3, after(60)), NOW, EVER)
        .await
        .expect("it is added");
    let expect = facts(vec![key(3, after(60)), key(9, NOW)]);
    assert_eq!(facts(both), expect);
    assert_eq!(facts(store.signing_keys(KeyPurpose::Url).await.expect("they are read")), expect);
}

/// A key that is new enough stays the newest.
pub async fn a_fresh_key_is_not_followed(store: &dyn SigningKeyStore) {
    store
        .rotate_signing_key(KeyPurpose::Url, key(1, after(60)), EVER, EVER)
        .await
        .expect("it is added");
    let kept = store.rotate_signing_key(KeyPurpose::Url, key(2, after(90)), after(30), EVER).await;
    assert_eq!(facts(kept.expect("they are answered")), facts(vec![key(1, after(60))]));
}

/// Of several that rotate at once one does, and all see its key.
pub async fn one_of_many_rotates(store: &dyn SigningKeyStore) {
    let rotate = |name| store.rotate_signing_key(KeyPurpose::Url, key(name, after(60)), NOW, EVER);
    let answers = join_all((1..=8).map(rotate)).await;
    let kept = facts(store.signing_keys(KeyPurpose::Url).await.expect("they are read"));
    assert_eq!(kept.len(), 1);
    for answer in answers {
        assert_eq!(facts(answer.expect("it is answered")), kept);
    }
}

/// A key is forgotten once its successor is old enough, not before; the newest
/// is never.
pub async fn superseded_keys_are_forgotten(store: &dyn SigningKeyStore) {
    for (name, time) in [(1, NOW), (2, after(100)), (3, after(200))] {
        let unless_after = after(0).max(time.minus(std::time::Duration::from_secs(1)));
        store
            .rotate_signing_key(KeyPurpose::Url, key(name, time), unless_after, EVER)
            .await
            .expect("it is added");
    }
    // The successor of 1 is older than this, that of 2 is not.
    let kept =
        store.rotate_signing_key(KeyPurpose::Url, key(4, after(250)), after(150), after(150)).await;
    let expect = facts(vec![key(3, after(200)), key(2, after(100))]);
    assert_eq!(facts(kept.expect("they are answered")), expect);
    let kept = store
        .rotate_signing_key(KeyPurpose::Url, key(4, after(250)), after(150), after(1000))
        .await;
    assert_eq!(facts(kept.expect("they are answered")), facts(vec![key(3, after(200))]));
}
