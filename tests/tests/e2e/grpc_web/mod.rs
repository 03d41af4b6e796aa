//! Browsers' way in: grpc-web over HTTP/1.1 and HTTP/2 on the same port.

mod calls;
mod curl;
mod origins;
mod refusals;

use sluice_proto::v1::{Upload, WriteUploadRequest};
use sluice_tests::{Client, Content, Frames, MIB, in_small_parts};

const WRITE: &str = "/sluice.v1.UploadService/WriteUpload";

/// An upload of parts of 8 MiB.
async fn upload(client: &Client, name: &str, size: u64) -> Upload {
    let mut request = in_small_parts(name, size);
    request.preferred_part_size = Some(8 * MIB as i64);
    client.create(request).await.unwrap()
}

/// The messages of one part, frames of 1 MiB, the first of them with the
/// upload's id as browsers send it.
fn part(upload: &Upload, content: &Content, number: u64) -> Vec<WriteUploadRequest> {
    let mut messages: Vec<_> =
        Frames::to(upload).part(content, upload.part_size, number).messages().collect();
    let opening = messages.remove(0);
    messages[0].first_message = opening.first_message;
    messages[0].writer_epoch = opening.writer_epoch;
    messages
}
