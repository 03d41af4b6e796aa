//! Page tokens: what comes back from callers where they left off.

use sluice_domain::{FileId, Reason, Timestamp};
use sluice_proto::v1::{ListFilesRequest, ListUploadsRequest};
use sluice_server::{api::fuzzing::PageTokens, ports::FilePosition};
use uuid::Uuid;

use crate::{input::take, refusal::check_error};

/// Takes any text as a token, and makes tokens of any position.
pub fn check(input: &[u8]) {
    let ours = PageTokens::of(&ListFilesRequest::default());
    let theirs = PageTokens::of(&ListUploadsRequest { states: vec![1], ..Default::default() });
    if let Ok(text) = std::str::from_utf8(input) {
        read(&ours, text);
    }
    make(&ours, &theirs, input);
}

/// Any text: a refusal, or a position that gives the same page again.
fn read(tokens: &PageTokens, text: &str) {
    match tokens.file_position(text) {
        Ok(Some(position)) => {
            let again = tokens.file_position(&tokens.file_token(position.clone())).unwrap();
            assert_eq!(again, Some(position), "{text:?} gives a position that cannot be kept");
        }
        Ok(None) => assert_eq!(text, "", "only an empty token means the first page"),
        Err(error) => {
            assert_eq!(error.violations[0].field, "page_token");
            assert_eq!(check_error(error), Reason::InvalidField);
        }
    }
    for refused in [tokens.position::<u32>(text).err(), tokens.position::<(i64, Uuid)>(text).err()]
    {
        refused.map(check_error);
    }
}

/// Any position: a token that gives it back, to the listing that it was made
/// for and to no other.
fn make(ours: &PageTokens, theirs: &PageTokens, mut input: &[u8]) {
    let [kind] = take(&mut input);
    let time = Timestamp::from_micros(i64::from_le_bytes(take(&mut input)));
    let id = FileId::from_uuid(Uuid::from_bytes(take(&mut input)));
    let name = String::from_utf8_lossy(input).into_owned();
    let position = match kind % 3 {
        0 => FilePosition::Created(time, id),
        1 => FilePosition::Named(name, id),
        _ => FilePosition::Prefix(name),
    };
    let token = ours.file_token(position.clone());
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    assert_eq!(ours.file_position(&token).unwrap(), Some(position));
    let refused = theirs.file_position(&token).expect_err("a token of another listing");
    assert_eq!(check_error(refused), Reason::InvalidField);
}
