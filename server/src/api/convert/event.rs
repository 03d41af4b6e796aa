//! What is watched, and what is said about it.

use sluice_domain::{Error, FileId, Result, UploadId};
use sluice_proto::v1::{self, WatchEventsResponse, watch_events_response as response};

use super::{file::file, upload::upload};
use crate::{
    api::resume_token::ResumeTokens,
    service::watch::{Message, Selection, WatchEvent},
};

/// What a caller wants to see.
pub(in crate::api) fn selection(request: &v1::WatchEventsRequest) -> Result<Selection> {
    let (uploads, files) = (&request.upload_ids, &request.file_ids);
    let count = uploads.len() + files.len();
    if count > Selection::MAX_IDS {
        let field = if uploads.len() > files.len() { "upload_ids" } else { "file_ids" };
        let most = Selection::MAX_IDS;
        let description =
            format!("at most {most} ids in all, upload_ids and file_ids, not {count}");
        return Err(Error::invalid_field(field, description));
    }
    let uploads = uploads.iter().enumerate();
    let files = files.iter().enumerate();
    Ok(Selection {
        uploads: uploads
            .map(|(index, id)| UploadId::parse(id, &format!("upload_ids[{index}]")))
            .collect::<Result<_>>()?,
        files: files
            .map(|(index, id)| FileId::parse(id, &format!("file_ids[{index}]")))
            .collect::<Result<_>>()?,
    })
}

/// Something said to who watches.
pub(in crate::api) fn message(message: Message, tokens: &ResumeTokens) -> WatchEventsResponse {
    let event = message.event.map(|event| match event {
        WatchEvent::Upload(it) => response::Event::Upload(upload(&it)),
        WatchEvent::File(it) => response::Event::File(file(&it)),
        WatchEvent::FileGone(id) => {
            let file_id = id.to_string();
            response::Event::FileDeleted(response::FileDeleted { file_id })
        }
        WatchEvent::SnapshotEnd => response::Event::SnapshotEnd(response::SnapshotEnd {}),
    });
    let resume_token = message.position.map_or_else(String::new, |it| tokens.token(&it));
    WatchEventsResponse { event, resume_token }
}
