//! Content of unknown size, such as standard input: read once, part by part,
//! each part in memory until it is persisted.

use std::sync::Arc;

use futures::future;
use sluice_domain::{Crc32c, DEFAULT_PART_SIZE};
use sluice_proto::v1::CompleteUploadRequest;
use tokio::sync::{
    Semaphore,
    mpsc::{self, Sender},
};

use super::{
    UploadOptions,
    held::ReadPart,
    input::{Input, Reader},
    lane::{Lane, ReadParts},
    tally::Tally,
    target::Target,
    whole,
};
use crate::{
    Client, Connection, Error, File, Progress, Result, progress::Reporter, uploads::no_upload,
};

pub(super) async fn upload(
    client: &Client,
    reader: Reader,
    options: &UploadOptions,
    reporter: &Reporter,
) -> Result<(File, Progress)> {
    let mut input = Input::new(reader);
    // What turns out to be small is one call.
    let one_call = options.preferred_part_size().unwrap_or(DEFAULT_PART_SIZE);
    if !input.has_more_than(one_call).await? {
        return whole::send(client, input.rest(), options, reporter).await;
    }

    let features = client.capabilities().await?.features.unwrap_or_default();
    let request = options.create_request(None)?;
    let call = move |request| async move { client.raw_uploads().create_upload(request).await };
    let answer = client.unary(request, call).await?;
    let upload = answer.upload.ok_or_else(no_upload)?;
    if upload.writer_epoch != 1 || upload.persisted_bytes > 0 {
        return Err(Error::usage("a stream cannot go on with an upload that was begun before"));
    }
    reporter.opened(&upload.id, Progress::default());
    let lanes = options.first_streams();
    let lanes = client.data_connections(lanes, &upload.data_endpoint, &answer.upload_token)?;
    let target = Target::new(client, &upload, features.bidi_write_upload);
    let part_size = upload.part_size.cast_unsigned();
    let most_parts = options.most_parts_in_memory();
    let work = async {
        let sent = send_parts(&target, lanes, input, part_size, most_parts);
        let (size, crc32c) = Box::pin(sent).await?;
        let request = CompleteUploadRequest {
            upload_id: target.upload_id.clone(),
            writer_epoch: Some(target.epoch),
            size: Some(size.cast_signed()),
            expected_checksums: Some(options.expected_checksums(crc32c)),
            ..Default::default()
        };
        client.complete_upload(request).await
    };
    let file = reporter.follow(|| target.tally.progress(), work).await?;
    Ok((file, target.tally.progress()))
}

/// Reads while parts are under way. Answers with the size and the checksum of
/// everything.
async fn send_parts(
    target: &Target,
    lanes: Vec<Connection>,
    input: Input,
    part_size: u64,
    most_parts: usize,
) -> Result<(u64, Crc32c)> {
    let (sender, parts) = mpsc::channel(1);
    let parts = ReadParts::new(parts);
    let lanes = lanes.into_iter().map(|connection| Lane::new(target, connection, &parts).run());
    let reading = read_parts(input, part_size, most_parts, sender, &target.tally);
    let (read, _) = future::try_join(reading, future::try_join_all(lanes)).await?;
    Ok(read)
}

/// Reads on whenever there is room for a part.
async fn read_parts(
    mut input: Input,
    part_size: u64,
    most_parts: usize,
    sender: Sender<ReadPart>,
    tally: &Tally,
) -> Result<(u64, Crc32c)> {
    let memory = Arc::new(Semaphore::new(most_parts));
    let mut size = 0;
    let mut crc32c = Crc32c::EMPTY;
    while !input.ended() {
        let room = memory.clone().acquire_owned().await.map_err(|_| Error::cancelled())?;
        let frames = input.part(part_size).await?;
        for frame in &frames {
            size += frame.len();
            crc32c = crc32c.combine(frame.crc32c, frame.len());
        }
        let final_size = input.ended().then_some(size);
        if final_size.is_some() {
            tally.ended(size);
        }
        let part = ReadPart { frames, final_size, room };
        if !part.frames.is_empty() && sender.send(part).await.is_err() {
            // The lanes have failed, and say why.
            return Err(Error::cancelled());
        }
    }
    Ok((size, crc32c))
}
