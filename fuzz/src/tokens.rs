//! Signed tokens: what anybody may send as a credential.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use sluice_domain::{AccountId, Epoch, Reason, SessionId, Timestamp, UploadId};
use sluice_server::{
    ports::{SigningKey, SigningKeyId},
    service::identity::tokens::{Kind, Token, Unverified, sign},
};
use uuid::Uuid;

use crate::{input::take, refusal::check_error};

const KINDS: [Kind; 4] = [Kind::Access, Kind::Refresh, Kind::Upload, Kind::Device];
const NOW: Timestamp = Timestamp::from_micros(1_780_000_000_000_000);

static KEY: LazyLock<SigningKey> = LazyLock::new(|| SigningKey {
    id: SigningKeyId([7; 8]),
    secret: Arc::new(Box::new([7; 32]).into()),
    create_time: NOW,
});

/// A token that was good once, signed by a key that nobody has.
pub fn example() -> String {
    let token = Token::Access {
        account: AccountId::from_uuid(Uuid::from_u128(1)),
        session: SessionId::from_uuid(Uuid::from_u128(2)),
    };
    let secret = Arc::new(Box::new([8; 32]).into());
    let key = SigningKey { secret, ..KEY.clone() };
    sign(&token, &key, NOW, Duration::from_secs(600)).unwrap().0
}

/// Takes any text as a token, and changes good ones.
pub fn check(mut input: &[u8]) {
    if let Ok(text) = std::str::from_utf8(input) {
        refused(text);
    }
    let account = AccountId::from_uuid(Uuid::from_bytes(take(&mut input)));
    let id = Uuid::from_bytes(take(&mut input));
    let number = u64::from_le_bytes(take(&mut input)) >> 1;
    let [kind, at, other] = take(&mut input);
    let token = match kind % 4 {
        0 => Token::Access { account, session: SessionId::from_uuid(id) },
        1 => Token::Refresh { account, session: SessionId::from_uuid(id), generation: number },
        2 => Token::Upload { account, upload: UploadId::from_uuid(id), epoch: Epoch(number) },
        _ => Token::Device { account, device: id },
    };
    let (good, expire_time) = sign(&token, &KEY, NOW, Duration::from_secs(600)).unwrap();
    let read = Unverified::parse(&good, &KINDS).unwrap();
    assert_eq!(read.key, KEY.id);
    let verified = read.verify(&KEY, NOW).unwrap();
    assert_eq!((verified.token, verified.expire_time), (token, expire_time));
    let late = Unverified::parse(&good, &KINDS).unwrap().verify(&KEY, expire_time);
    assert_eq!(check_error(late.unwrap_err()), Reason::TokenExpired);

    let mut changed = good.clone().into_bytes();
    let at = usize::from(at) * changed.len() / 256;
    changed[at] = other;
    // The last character has bits that stand for nothing.
    if at + 1 < changed.len()
        && let Ok(changed) = String::from_utf8(changed)
        && changed != good
    {
        refused(&changed);
    }
}

fn refused(text: &str) {
    let outcome =
        Unverified::parse(text, &KINDS).and_then(|unverified| unverified.verify(&KEY, NOW));
    assert_eq!(check_error(outcome.unwrap_err()), Reason::CredentialsInvalid, "{text:?} is taken");
}
