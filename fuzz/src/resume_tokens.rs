//! Resume tokens: what comes back from callers whose watch broke.

use std::collections::BTreeSet;

use sluice_domain::{AccountId, Reason, UploadId};
use sluice_server::{
    api::fuzzing::ResumeTokens,
    ports::FeedPosition,
    service::{Caller, watch::Selection},
};
use uuid::Uuid;

use crate::{input::take, refusal::check_error};

/// Takes any text as a token, and makes tokens of any place.
pub fn check(mut input: &[u8]) {
    let everything = Selection::default();
    let caller = Caller::of_link(AccountId::from_uuid(Uuid::from_u128(1)));
    let ours = ResumeTokens::of(caller, &everything);
    if let Ok(text) = std::str::from_utf8(input) {
        read(&ours, text);
    }
    let id = UploadId::from_uuid(Uuid::from_bytes(take(&mut input)));
    let one = Selection { uploads: BTreeSet::from([id]), ..everything.clone() };
    let stranger = Caller::of_link(AccountId::from_uuid(Uuid::from_u128(2)));
    make(&ours, &[ResumeTokens::of(caller, &one), ResumeTokens::of(stranger, &everything)], input);
}

/// Any text: a refusal, or a place whose token is read as the same again.
fn read(tokens: &ResumeTokens, text: &str) {
    match tokens.position(text) {
        Ok(Some(position)) => {
            let again = tokens.position(&tokens.token(&position)).unwrap();
            assert_eq!(again, Some(position), "{text:?} gives a place that cannot be kept");
        }
        Ok(None) => assert_eq!(text, "", "only an empty token means the beginning"),
        Err(error) => assert_eq!(check_error(error), Reason::ResumeTokenInvalid),
    }
}

/// Any place: a token that gives it back to the same watch of the same caller,
/// and to no other.
fn make(ours: &ResumeTokens, others: &[ResumeTokens], place: &[u8]) {
    let position = FeedPosition::from_bytes(&place[..place.len().min(FeedPosition::MAX_BYTES)]);
    let token = ours.token(&position);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(ours.position(&token).unwrap(), Some(position));
    for other in others {
        let refused = other.position(&token).expect_err("a token of another watch");
        assert_eq!(check_error(refused), Reason::ResumeTokenInvalid);
    }
}
