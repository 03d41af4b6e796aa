//! Tokens for the data of one upload and one writer.

use sluice_domain::Reason;
use sluice_proto::v1::{
    CreateUploadRequest, CreateUploadResponse, ListUploadsRequest, ResumeUploadRequest, Upload,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, declared, in_small_parts, named,
};

async fn created(client: &Client, request: CreateUploadRequest) -> (Upload, String) {
    let created = client.uploads.clone().create_upload(request).await.unwrap();
    let CreateUploadResponse { upload, upload_token, .. } = created.into_inner();
    (upload.unwrap(), upload_token)
}

#[tokio::test]
async fn a_token_sends_and_completes_its_upload() {
    let server = Server::start().await;
    let content = Content::new(1, 2 * MIB);
    let (upload, token) = created(&server.client(), in_small_parts("a", 2 * MIB)).await;
    let bearer = Client::new(&server.url(), &token);
    bearer.write(Frames::to(&upload).range(&content, 0..MIB)).await.unwrap();
    assert_eq!(bearer.upload(&upload.id).await.unwrap().persisted_bytes, MIB as i64);
    assert_eq!(bearer.parts(&upload.id, 10).await.unwrap().len(), 1);
    bearer.sign_parts(&upload, vec![declared(&upload, &content, 2)]).await.unwrap();
    let mut bidi =
        bearer.open_bidi(Frames::to(&upload).range(&content, MIB..2 * MIB)).await.unwrap();
    bidi.close();
    bidi.rest().await.unwrap();
    let file = bearer.complete(&upload.id).await.unwrap();
    server.client().assert_content(&file.id, &content).await;
    assert_reason(bearer.file(&file.id).await, Reason::ScopeMissing);
}

#[tokio::test]
async fn a_token_opens_nothing_else() {
    let server = Server::start().await;
    let client = server.client();
    let (upload, token) = created(&client, in_small_parts("a", MIB)).await;
    let (other, _) = created(&client, in_small_parts("b", MIB)).await;
    let bearer = Client::new(&server.url(), &token);
    let content = Content::new(1, MIB);
    let into_other = bearer.write(Frames::to(&other).all(&content)).await;
    assert_reason(into_other, Reason::UploadNotFound);
    assert_reason(bearer.upload(&other.id).await, Reason::UploadNotFound);
    assert_reason(bearer.parts(&other.id, 10).await, Reason::UploadNotFound);
    assert_reason(bearer.complete(&other.id).await, Reason::UploadNotFound);
    let parts = vec![declared(&other, &content, 1)];
    assert_reason(bearer.sign_parts(&other, parts).await, Reason::UploadNotFound);

    assert_reason(bearer.create(named("c")).await, Reason::ScopeMissing);
    let new = CreateUploadRequest { request_id: "c".into(), size: Some(1), ..named("c") };
    let in_one_call = Frames::creating(new).all(&Content::new(1, 1)).complete();
    assert_reason(bearer.write(in_one_call).await, Reason::ScopeMissing);
    assert_reason(bearer.resume(&upload.id).await, Reason::ScopeMissing);
    assert_reason(bearer.cancel(&upload.id).await, Reason::ScopeMissing);
    let listed = bearer.list_uploads(ListUploadsRequest::default()).await;
    assert_reason(listed, Reason::ScopeMissing);
    assert_reason(bearer.list_files(Default::default()).await, Reason::ScopeMissing);
}

#[tokio::test]
async fn a_token_is_for_one_writer() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 2 * MIB);
    let (upload, old) = created(&client, in_small_parts("a", 2 * MIB)).await;
    let request = ResumeUploadRequest { upload_id: upload.id.clone() };
    let resumed = client.uploads.clone().resume_upload(request).await.unwrap().into_inner();
    let (resumed, new) = (resumed.upload.unwrap(), resumed.upload_token);
    let (old, new) = (Client::new(&server.url(), &old), Client::new(&server.url(), &new));

    let frames = |upload: &Upload| Frames::to(upload).range(&content, 0..MIB);
    assert_reason(old.write(frames(&upload)).await, Reason::StaleWriter);
    assert_reason(old.write(frames(&resumed)).await, Reason::TokenRevoked);
    assert_reason(new.write(frames(&upload)).await, Reason::TokenRevoked);
    new.write(frames(&resumed)).await.unwrap();
    new.write(Frames::to(&resumed).range(&content, MIB..2 * MIB)).await.unwrap();
    assert_reason(old.complete(&upload.id).await, Reason::StaleWriter);
    new.complete(&upload.id).await.unwrap();
}
