//! `UploadService.BidiWriteUpload`: a write stream that talks back.

use futures::{StreamExt, future, stream, stream::BoxStream};
use sluice_proto::v1::{
    self,
    bidi_write_upload_response::{Completed, Response},
};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{
    convert::{self, upload as convert_upload},
    status::unreadable,
    upload_service::refusal,
};
use crate::service::{
    Caller, Context,
    ingest::{self, Refused, Replies, Reply},
};

/// Replies that may wait for a caller who does not take them, before the stream
/// waits too.
const WAITING: usize = 16;

type Answer = Result<v1::BidiWriteUploadResponse, Status>;

/// Runs the stream and says what there is to say. The work is part of the
/// answer's stream: when the caller goes away, both end.
pub(super) fn replies(
    context: Context,
    caller: Caller,
    incoming: Streaming<v1::BidiWriteUploadRequest>,
) -> BoxStream<'static, Answer> {
    let (sender, receiver) = mpsc::channel::<Reply>(WAITING);
    let (last, ending) = tokio::sync::oneshot::channel::<Option<Answer>>();
    let work = async move {
        let answer = match write(&context, caller, incoming, Replies::to(sender)).await {
            Ok(completed) => completed.map(Ok),
            Err(refused) => Some(Err(refusal(refused))),
        };
        let _ = last.send(answer);
    };
    // Replies end when the work has dropped its sender; so the ending comes last.
    let spoken = stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|reply| (Ok(convert_upload::reply(reply)), receiver))
    });
    let ending = stream::once(ending).filter_map(|last| future::ready(last.ok().flatten()));
    let silent = stream::once(work).filter_map(|()| future::ready(None::<Answer>));
    stream::select(silent, spoken.chain(ending)).boxed()
}

async fn write(
    context: &Context,
    caller: Caller,
    mut incoming: Streaming<v1::BidiWriteUploadRequest>,
    replies: Replies,
) -> Result<Option<v1::BidiWriteUploadResponse>, Refused> {
    let first = incoming.message().await.map_err(|status| unreadable(&status))?;
    let first = first.ok_or_else(convert_upload::no_first_message)?;
    let (first, state_lookup) = convert_upload::split_bidi(first);
    let (target, mut first) = convert_upload::first_message(first)?;
    first.state_lookup = state_lookup;
    let epoch = convert::int64(target.epoch().0);
    let messages = incoming.map(move |message| {
        let message = message.map_err(|status| unreadable(&status))?;
        let (message, state_lookup) = convert_upload::split_bidi(message);
        let message = convert_upload::next_message(message, epoch)?;
        Ok(ingest::WriteMessage { state_lookup, ..message })
    });
    let wrote = ingest::write(context, caller, target, first, messages, replies).await?;
    let completed = wrote.file.map(|file| {
        Response::Completed(Completed {
            upload: Some(convert_upload::upload_status(&wrote.status)),
            file: Some(convert::file::file(&file)),
        })
    });
    Ok(completed.map(|response| v1::BidiWriteUploadResponse { response: Some(response) }))
}
