//! The messages of calls without frames.

use prost::Message;
use sluice_domain::{ContentType, FileName, Reason};
use sluice_proto::v1;
use sluice_server::api::fuzzing;

use crate::{input::take, refusal::check_error};

/// Takes any bytes as a message of the kind that the first byte names.
pub fn check(mut input: &[u8]) {
    let [kind] = take(&mut input);
    match kind % 5 {
        0 => v1::CreateUploadRequest::decode(input).map_or((), create_upload),
        1 => v1::CompleteUploadRequest::decode(input).map_or((), complete_upload),
        2 => v1::UpdateFileRequest::decode(input).map_or((), update_file),
        3 => v1::ListFilesRequest::decode(input).map_or((), list_files),
        _ => v1::ListUploadsRequest::decode(input).map_or((), list_uploads),
    }
}

fn create_upload(request: v1::CreateUploadRequest) {
    let sent = request.clone();
    let parsed = match fuzzing::create_upload(request) {
        Ok(parsed) => parsed,
        Err(error) => return assert_eq!(check_error(error), Reason::InvalidField),
    };
    assert_eq!(parsed.name, FileName::parse(&sent.name, "name").unwrap());
    assert_eq!(parsed.content_type, ContentType::parse(&sent.content_type, "type").unwrap());
    assert_eq!(parsed.size.map(|it| it as i64), sent.size);
    assert_eq!(parsed.metadata.entries(), &sent.metadata);
    assert_eq!(parsed.request.is_some(), !sent.request_id.is_empty());
    // The same request under another id is the same request; another size is not.
    let fingerprint = |request| {
        let parsed = fuzzing::create_upload(request).ok()?;
        Some(parsed.request?.fingerprint)
    };
    let named = v1::CreateUploadRequest { request_id: "a".into(), ..sent.clone() };
    let renamed = v1::CreateUploadRequest { request_id: "b".into(), ..sent.clone() };
    let size = Some(sent.size.map_or(0, |size| size ^ 1));
    let other = v1::CreateUploadRequest { size, ..named.clone() };
    assert_eq!(fingerprint(named.clone()), fingerprint(renamed));
    assert_ne!(fingerprint(named), fingerprint(other));
}

fn complete_upload(request: v1::CompleteUploadRequest) {
    let sent = request.clone();
    match fuzzing::complete_upload(request) {
        Ok((id, parsed)) => {
            assert_eq!(id.to_string(), sent.upload_id);
            assert_eq!(parsed.epoch.map(|it| it.0 as i64), sent.writer_epoch);
            assert!(parsed.epoch.is_none_or(|epoch| epoch.0 > 0));
            assert_eq!(parsed.size.map(|it| it as i64), sent.size);
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}

fn update_file(request: v1::UpdateFileRequest) {
    let sent = request.clone();
    match fuzzing::update_file(request) {
        Ok((id, etag, change)) => {
            let file = sent.file.unwrap_or_default();
            assert_eq!((id.to_string(), etag), (file.id, sent.etag));
            let mask = sent.update_mask.unwrap_or_default().paths;
            let asked = |field: &str| mask.iter().any(|path| path == field || path == "*");
            if !mask.is_empty() {
                assert_eq!(change.name.is_some(), asked("name"));
                assert_eq!(change.metadata.is_some(), asked("metadata"));
            }
            assert!(change.name.is_none_or(|name| name.as_str() == file.name));
            assert!(change.metadata.is_none_or(|it| it.entries() == &file.metadata));
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}

fn list_files(request: v1::ListFilesRequest) {
    let sent = request.clone();
    match fuzzing::list_files(request) {
        Ok(query) => {
            assert!((1..=1000).contains(&query.limit), "{} entries on a page", query.limit);
            assert_eq!(query.states.len(), sent.states.len());
            assert_eq!(query.name_prefix, sent.name_prefix);
            assert!(matches!(query.delimiter.as_str(), "" | "/"));
        }
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}

fn list_uploads(request: v1::ListUploadsRequest) {
    match fuzzing::upload_states(&request.states) {
        Ok(states) => assert_eq!(states.len(), request.states.len()),
        Err(error) => assert_eq!(check_error(error), Reason::InvalidField),
    }
}
