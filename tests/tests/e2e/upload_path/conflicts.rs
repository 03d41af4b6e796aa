//! Names that more than one upload wants.

use std::time::Duration;

use futures::future::join_all;
use sha2::{Digest, Sha256};
use sluice_domain::Reason;
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, File, ListFilesRequest, ObjectChecksums,
    OnConflict, Upload, file, list_files_request::OrderBy, upload,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, eventually, fact, in_small_parts,
};

/// An upload of this name whose parts are all persisted.
async fn filled(client: &Client, name: &str, content: &Content, on_conflict: OnConflict) -> Upload {
    let request = CreateUploadRequest {
        on_conflict: on_conflict.into(),
        ..in_small_parts(name, content.size())
    };
    let upload = client.create(request).await.unwrap();
    client.write(Frames::to(&upload).all(content)).await.unwrap();
    upload
}

async fn files_named(client: &Client, name: &str) -> Vec<File> {
    let request = ListFilesRequest {
        name_prefix: name.to_owned(),
        order_by: OrderBy::Name.into(),
        ..Default::default()
    };
    let mut files = client.list_files(request).await.unwrap().files;
    files.retain(|file| file.name == name);
    files
}

#[tokio::test]
async fn a_taken_name_refuses_the_upload_at_once() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("taken", &Content::new(1, 5)).await.unwrap();
    let refused = client.create(in_small_parts("taken", 5)).await;
    assert_eq!(fact(&assert_reason(refused, Reason::FileExists), "file_id"), file.id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_uploads_for_one_name_exactly_one_gets_it() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..10 {
        let name = format!("race {round}");
        let contents: Vec<_> = (0..8).map(|n| Content::new(n, MIB + n)).collect();
        let fill = |content| filled(&client, &name, content, OnConflict::Fail);
        let uploads = join_all(contents.iter().map(fill)).await;

        let completes = uploads.iter().map(|upload| client.complete(&upload.id));
        let answers = join_all(completes).await;
        let winners: Vec<_> = answers.iter().filter_map(|answer| answer.as_ref().ok()).collect();
        assert_eq!(winners.len(), 1, "winners in round {round}");
        for (upload, answer) in uploads.iter().zip(&answers) {
            if answer.is_err() {
                let status = assert_reason(answer.clone(), Reason::FileExists);
                assert_eq!(fact(&status, "file_id"), winners[0].id);
                let loser = client.upload(&upload.id).await.unwrap();
                assert_eq!(loser.state(), upload::State::Active, "a loser stays active");
            }
        }
        assert_eq!(files_named(&client, &name).await.len(), 1);
    }
}

#[tokio::test]
async fn the_loser_may_take_another_name_or_replace() {
    let server = Server::start().await;
    let client = server.client();
    let (one, two, three) = (Content::new(1, MIB), Content::new(2, MIB), Content::new(3, 7));
    let renaming = filled(&client, "name", &one, OnConflict::Fail).await;
    let replacing = filled(&client, "name", &two, OnConflict::Fail).await;
    let old = client.put("name", &three).await.unwrap();
    for upload in [&renaming, &replacing] {
        assert_reason(client.complete(&upload.id).await, Reason::FileExists);
    }

    let renamed = client
        .complete_with(CompleteUploadRequest {
            upload_id: renaming.id,
            name: Some("other name".into()),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(renamed.name, "other name");
    client.assert_content(&renamed.id, &one).await;

    let replaced = client
        .complete_with(CompleteUploadRequest {
            upload_id: replacing.id,
            on_conflict: Some(OnConflict::Replace.into()),
            ..Default::default()
        })
        .await
        .unwrap();
    client.assert_content(&replaced.id, &two).await;
    assert_reason(client.file(&old.id).await, Reason::FileNotFound);
    assert_eq!(files_named(&client, "name").await, [replaced]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_replacements_at_once_leave_one_whole_file() {
    let server = Server::start().await;
    let client = server.client();
    for round in 0..10 {
        let name = format!("replaced {round}");
        client.put(&name, &Content::new(100, 10)).await.unwrap();
        let contents: Vec<_> = (0..8).map(|n| Content::new(n, MIB + n)).collect();
        let fill = |content| filled(&client, &name, content, OnConflict::Replace);
        let uploads = join_all(contents.iter().map(fill)).await;

        let completes = uploads.iter().map(|upload| client.complete(&upload.id));
        for answer in join_all(completes).await {
            answer.expect("a replacement is never refused");
        }
        let left = files_named(&client, &name).await;
        assert_eq!(left.len(), 1, "round {round}");
        let winner = uploads.iter().position(|upload| upload.file_id == left[0].id);
        let content = contents[winner.expect("one of the replacements is left")];
        client.assert_content(&left[0].id, &content).await;
        for upload in &uploads {
            let state = client.upload(&upload.id).await.unwrap().state();
            assert_eq!(state, upload::State::Completed);
        }
    }
}

#[tokio::test]
async fn a_wrong_name_at_completion_leaves_the_upload_active() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 10);
    let upload = filled(&client, "right", &content, OnConflict::Fail).await;
    let request = CompleteUploadRequest {
        upload_id: upload.id.clone(),
        name: Some("../wrong".into()),
        ..Default::default()
    };
    let refused = client.complete_with(request).await;
    assert_eq!(sluice_tests::invalid_field(refused), "name");
    client.complete(&upload.id).await.unwrap();
}

#[tokio::test]
async fn a_file_that_fails_never_replaces_another() {
    let server = Server::start().await;
    let client = server.client();
    let (old, new) = (Content::new(1, MIB), Content::new(2, MIB));
    let kept = client.put("kept", &old).await.unwrap();
    let request = CreateUploadRequest {
        on_conflict: OnConflict::Replace.into(),
        expected_checksums: Some(ObjectChecksums {
            sha256: vec![1; 32].into(),
            ..Default::default()
        }),
        ..in_small_parts("kept", new.size())
    };
    let upload = client.create(request).await.unwrap();
    let frames = Frames::to(&upload).all(&new).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    eventually("the SHA-256 is found wrong", Duration::from_secs(20), async || {
        client.assert_content(&kept.id, &old).await;
        client.file(&file.id).await.unwrap().state() == file::State::Failed
    })
    .await;
    assert_eq!(client.file(&kept.id).await.unwrap().name, "kept");
    client.assert_content(&kept.id, &old).await;
}

#[tokio::test]
async fn a_file_under_examination_replaces_another_once_it_is_ready() {
    let server = Server::start().await;
    let client = server.client();
    let (old, new) = (Content::new(1, MIB), Content::new(2, MIB));
    let replaced = client.put("replaced", &old).await.unwrap();
    let request = CreateUploadRequest {
        on_conflict: OnConflict::Replace.into(),
        expected_checksums: Some(ObjectChecksums {
            sha256: Sha256::digest(new.all()).to_vec().into(),
            ..Default::default()
        }),
        ..in_small_parts("replaced", new.size())
    };
    let upload = client.create(request).await.unwrap();
    let frames = Frames::to(&upload).all(&new).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    eventually("the new file is ready", Duration::from_secs(20), async || {
        client.file(&file.id).await.unwrap().state() == file::State::Ready
    })
    .await;
    assert_reason(client.file(&replaced.id).await, Reason::FileNotFound);
    assert_eq!(files_named(&client, "replaced").await.len(), 1);
    client.assert_content(&file.id, &new).await;
}
