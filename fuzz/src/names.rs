//! Names, ids, media types and metadata.

use std::{
    collections::BTreeMap,
    path::{Component, Path},
};

use sluice_domain::{
    ContentType, FileId, FileName, MAX_METADATA_BYTES, MAX_NAME_BYTES, Metadata, Reason, RequestId,
    UploadId,
};

use crate::refusal::check_error;

/// Takes any text for each of them.
pub fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    file_name(text);
    ids(text);
    content_type(text);
    metadata(text);
}

fn file_name(text: &str) {
    let name = match FileName::parse(text, "name") {
        Ok(name) => name,
        Err(error) => {
            assert_eq!(error.violations[0].field, "name");
            assert_eq!(check_error(error), Reason::InvalidField);
            return;
        }
    };
    assert_eq!(name.as_str(), text, "a name is kept as it is");
    assert!((1..=MAX_NAME_BYTES).contains(&text.len()));
    assert!(!text.chars().any(char::is_control), "a control character in {text:?}");
    // Somebody will join it to a folder one day.
    let path = Path::new(text);
    let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    assert!(path.components().all(plain), "{text:?} is more than a path downwards");
    assert_eq!(path.components().count(), text.split('/').count(), "{text:?} has two spellings");
    assert_eq!(FileName::parse(name.as_str(), "name").unwrap(), name);
}

fn ids(text: &str) {
    match UploadId::parse(text, "upload_id") {
        Ok(id) => assert_eq!(id.to_string(), text, "an id with two spellings"),
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
    match FileId::parse(text, "file_id") {
        Ok(id) => {
            assert_eq!(id.to_string(), text, "an id with two spellings");
            assert!(UploadId::parse(text, "upload_id").is_err(), "a file's id names an upload");
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
    match RequestId::parse(text, "request_id") {
        Ok(None) => assert_eq!(text, ""),
        Ok(Some(id)) => {
            assert_eq!(id.as_str(), text);
            assert!(
                text.len() <= RequestId::MAX_BYTES && text.bytes().all(|it| it.is_ascii_graphic())
            );
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}

fn content_type(text: &str) {
    let parsed = match ContentType::parse(text, "content_type") {
        Ok(parsed) => parsed,
        Err(error) => {
            assert_eq!(check_error(error), Reason::InvalidField);
            return;
        }
    };
    let again = ContentType::parse(parsed.as_str(), "content_type").expect("it was parsed before");
    assert_eq!(again, parsed, "parsing changes what was parsed");
    assert!(parsed.as_str().len() <= ContentType::MAX_BYTES);
    // It is sent as a header when a file is read.
    http::HeaderValue::from_str(parsed.as_str()).expect("a media type is a header's value");
    let _ = parsed.check_allowed(&["image/*".to_owned(), text.to_owned()]).map_err(check_error);
    assert!(parsed.check_allowed(&[]).is_ok());
}

fn metadata(text: &str) {
    let lines = text.lines().map(|line| line.split_once('=').unwrap_or((line, "")));
    let entries: BTreeMap<_, _> =
        lines.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    match Metadata::parse(entries.clone(), "metadata") {
        Ok(metadata) => {
            assert_eq!(metadata.entries(), &entries);
            let size: usize = entries.iter().map(|(key, value)| key.len() + value.len()).sum();
            assert!(size <= MAX_METADATA_BYTES && !entries.contains_key(""));
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}
