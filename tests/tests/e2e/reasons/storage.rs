//! Refusals of storage that is broken or full.

use std::fs;

use sluice_domain::Reason;
use sluice_tests::{
    Client, Content, Frames, MIB, Server, Stored, assert_reason, fact, in_small_parts,
};
use tonic::Status;

use crate::disk_full;

pub(super) async fn stored_data_corrupt(server: &Server, client: &Client) -> Status {
    let content = Content::new(7, 3 * MIB);
    let file = client.put("rotten", &content).await.unwrap();
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    stored.flip_bit(MIB + 5, 3);
    client.assert_range(&file.id, &content, 0..MIB).await;
    client.assert_range(&file.id, &content, 2 * MIB..3 * MIB).await;
    let status = client.read(&file.id, MIB, MIB).await.unwrap_err();
    assert_eq!(fact(&status, "offset"), MIB.to_string(), "the damaged block");
    stored.flip_bit(MIB + 5, 3);
    client.assert_content(&file.id, &content).await;
    status
}

pub(super) async fn storage_full() -> Status {
    let server = disk_full::small_server().await;
    disk_full::fill(&server.client()).await
}

/// The folder with the bytes is replaced by a file: nobody can write below it,
/// not even root.
pub(super) async fn storage_io() -> Status {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(8, 2 * MIB);
    client.put("before", &content).await.unwrap();
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    let below = stored.path().strip_prefix(server.data_dir()).expect("it is in the data folder");
    let folder = server.data_dir().join(below.components().next().expect("it is in a folder"));
    let aside = folder.with_extension("aside");

    let upload = client.create(in_small_parts("during", content.size())).await.unwrap();
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, "in the way").unwrap();
    let refused = client.write(Frames::to(&upload).all(&content)).await;
    let status = assert_reason(refused, Reason::StorageIo);
    assert_eq!(client.upload(&upload.id).await.unwrap().persisted_bytes, 0);

    fs::remove_file(&folder).unwrap();
    fs::rename(&aside, &folder).unwrap();
    let frames = Frames::to(&upload).all(&content).complete();
    let file = client.write(frames).await.expect("the upload goes on").file.unwrap();
    client.assert_content(&file.id, &content).await;
    status
}
