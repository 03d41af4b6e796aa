//! Creating uploads, once, however often the request comes.

use std::{collections::BTreeMap, time::Duration};

use futures::future::join_all;
use sluice_domain::Reason;
use sluice_proto::v1::{CreateUploadRequest, ObjectChecksums, upload};
use sluice_tests::{
    Client, Content, Frames, MIB, Proxy, Server, assert_reason, eventually, fact, facts,
    in_small_parts, invalid_field, named,
};

fn repeatable(name: &str, size: u64) -> CreateUploadRequest {
    CreateUploadRequest {
        request_id: format!("request for {name}").replace(' ', "-"),
        ..in_small_parts(name, size)
    }
}

#[tokio::test]
async fn an_upload_tells_everything_that_its_creator_said() {
    let server = Server::start().await;
    let client = server.client();
    let labels =
        BTreeMap::from([("camera".to_owned(), "α7".to_owned()), ("empty".into(), String::new())]);
    let request = CreateUploadRequest {
        content_type: "Image/PNG".into(),
        metadata: labels.clone(),
        ..in_small_parts("photos/2026/ünïcode 文件.png", 5)
    };
    let upload = client.create(request).await.unwrap();
    assert!(upload.id.starts_with("upl_") && upload.file_id.starts_with("file_"));
    assert_eq!(upload.state(), upload::State::Active);
    assert_eq!(upload.name, "photos/2026/ünïcode 文件.png");
    assert_eq!(upload.content_type, "image/png");
    assert_eq!((upload.size, upload.part_size), (Some(5), MIB as i64));
    assert_eq!((upload.persisted_bytes, upload.writer_epoch), (0, 1));
    assert_eq!(upload.metadata, labels);
    assert!(upload.expire_time.unwrap().seconds > upload.create_time.unwrap().seconds);
    assert_eq!(client.upload(&upload.id).await.unwrap(), upload);

    let content = Content::new(1, 5);
    let file =
        client.write(Frames::to(&upload).all(&content).complete()).await.unwrap().file.unwrap();
    assert_eq!(file.id, upload.file_id);
    assert_eq!(file.upload_id, upload.id);
    assert_eq!(file.name, upload.name);
    assert_eq!(file.content_type, upload.content_type);
    assert_eq!(file.metadata, labels);
    assert!(file.ready_time.is_some() && !file.etag.is_empty());
}

#[tokio::test]
async fn part_sizes_follow_the_rules_of_the_contract() {
    let server = Server::start().await;
    let client = server.client();
    let limits = client.capabilities().await.unwrap().limits.unwrap();
    let gib = 1024 * MIB as i64;
    let cases = [
        (Some(0), None, None, 8 * MIB as i64),
        (Some(78 * gib), None, None, 8 * MIB as i64),
        (Some(79 * gib), None, None, 16 * MIB as i64),
        (None, None, None, 16 * MIB as i64),
        (None, Some(160 * gib), None, 32 * MIB as i64),
        (None, Some(10), Some(MIB as i64), MIB as i64),
        (Some(15 * gib), None, Some(MIB as i64), 2 * MIB as i64),
    ];
    for (number, (size, max_size, preferred_part_size, expect)) in cases.into_iter().enumerate() {
        if size.or(max_size).is_some_and(|size| size > limits.max_file_size) {
            continue;
        }
        let request = CreateUploadRequest {
            size,
            max_size,
            preferred_part_size,
            ..named(&format!("case {number}"))
        };
        let upload = client.create(request).await.unwrap();
        assert_eq!(upload.part_size, expect, "case {number}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_request_id_a_hundred_times_at_once_is_one_upload() {
    let server = Server::start().await;
    let clients: Vec<_> = (0..10).map(|_| server.client()).collect();
    let calls = (0..100).map(|n| {
        let client = clients[n % 10].clone();
        tokio::spawn(async move { client.create(repeatable("once", 10)).await })
    });
    let mut ids: Vec<_> = join_all(calls)
        .await
        .into_iter()
        .map(|answer| answer.unwrap().expect("every repeat is answered").id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "several uploads for one request");

    let page = clients[0].list_uploads(Default::default()).await.unwrap();
    assert_eq!(page.uploads.len(), 1);
}

#[tokio::test]
async fn a_repeat_tells_what_is_persisted_by_then() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 2 * MIB);
    let first = client.create(repeatable("later", content.size())).await.unwrap();
    client.write(Frames::to(&first).range(&content, 0..MIB)).await.unwrap();
    let again = client.create(repeatable("later", content.size())).await.unwrap();
    assert_eq!((again.id, again.persisted_bytes), (first.id, MIB as i64));
}

#[tokio::test]
async fn a_stream_can_be_replayed_after_its_reply_was_lost() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = server.client();
    // Small enough to be sent without an answer of any kind.
    let content = Content::new(2, 30_000);
    let request = repeatable("replayed", content.size());
    let stream = |content| Frames::creating(request.clone()).all(content).complete();

    proxy.stall_replies();
    let far = Client::new(&proxy.url(), &server.key());
    let frames = stream(&content);
    let lost = tokio::spawn(async move { far.write(frames).await });
    eventually("the upload is complete", Duration::from_secs(10), async || {
        let page = client.list_uploads(Default::default()).await.unwrap();
        page.uploads.iter().any(|upload| upload.state() == upload::State::Completed)
    })
    .await;
    proxy.cut();
    lost.await.unwrap().expect_err("the reply is lost");

    let first = client.write(stream(&content)).await.unwrap();
    let second = client.write(stream(&content)).await.unwrap();
    assert_eq!(first.file, second.file, "one upload gives one file");
    assert_eq!(first.upload.unwrap().state(), upload::State::Completed);
    client.assert_content(&first.file.unwrap().id, &content).await;
    let page = client.list_files(Default::default()).await.unwrap();
    assert_eq!(page.files.len(), 1);

    let other = Content::new(3, content.size());
    let refused = client.write(stream(&other)).await;
    assert_reason(refused, Reason::ContentConflict);
}

#[tokio::test]
async fn a_stream_that_was_cut_in_its_middle_joins_its_upload() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let content = Content::new(4, 8 * MIB);
    let stream = || Frames::creating(repeatable("joined", content.size())).all(&content).complete();

    proxy.cut_after(5 * MIB + 1000);
    let far = Client::new(&proxy.url(), &server.key());
    let broken = far.write(stream()).await.expect_err("the connection is cut");
    assert!(facts(&broken).is_empty(), "nobody refused it");
    assert_eq!(proxy.cuts(), 1);

    let file = far.write(stream()).await.unwrap().file.unwrap();
    let uploads = far.list_uploads(Default::default()).await.unwrap().uploads;
    assert_eq!(uploads.len(), 1, "the replay joined the upload");
    assert_eq!(uploads[0].writer_epoch, 1);
    far.assert_content(&file.id, &content).await;
}

#[tokio::test]
async fn a_replay_under_another_body_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    client.create(repeatable("mine", 10)).await.unwrap();
    let other = CreateUploadRequest { size: Some(11), ..repeatable("mine", 10) };
    assert_reason(client.create(other.clone()).await, Reason::RequestIdReused);
    let frames = Frames::creating(other).complete();
    assert_reason(client.write(frames).await, Reason::RequestIdReused);
}

#[tokio::test]
async fn errors_of_a_creating_stream_name_the_upload() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, 10);
    let frames = Frames::creating(repeatable("named", 10)).damaged_frame(0, content.all());
    let status = assert_reason(client.write(frames).await, Reason::ChecksumMismatch);
    let id = fact(&status, "upload_id");
    assert_eq!(client.upload(&id).await.unwrap().name, "named");
}

#[tokio::test]
async fn a_creating_stream_needs_a_request_id() {
    let server = Server::start().await;
    let frames = Frames::creating(in_small_parts("anonymous", 0)).complete();
    let field = invalid_field(server.client().write(frames).await);
    assert!(field.ends_with("request_id"), "another field: {field}");
}

#[tokio::test]
async fn every_field_of_a_creation_is_checked_and_named() {
    let server = Server::start().await;
    let client = server.client();
    let good = || in_small_parts("good", 10);
    let metadata = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
    let many = (0..65).map(|n| (n.to_string(), String::new())).collect();
    let heavy = (0..9).map(|n| (n.to_string(), "x".repeat(1000))).collect();
    let checksums = |sha256: usize, blake3: usize| {
        Some(ObjectChecksums {
            crc32c: None,
            sha256: vec![0; sha256].into(),
            blake3: vec![0; blake3].into(),
        })
    };
    let wrong = [
        ("request_id", CreateUploadRequest { request_id: "x".repeat(129), ..good() }),
        ("request_id", CreateUploadRequest { request_id: "white space".into(), ..good() }),
        ("name", CreateUploadRequest { name: String::new(), ..good() }),
        ("name", CreateUploadRequest { name: "x".repeat(1025), ..good() }),
        ("name", CreateUploadRequest { name: "a/./b".into(), ..good() }),
        ("name", CreateUploadRequest { name: "line\nbreak".into(), ..good() }),
        ("content_type", CreateUploadRequest { content_type: "nonsense".into(), ..good() }),
        ("size", CreateUploadRequest { size: Some(-1), ..good() }),
        ("max_size", CreateUploadRequest { size: None, max_size: Some(-1), ..good() }),
        ("max_size", CreateUploadRequest { max_size: Some(9), ..good() }),
        ("preferred_part_size", CreateUploadRequest { preferred_part_size: Some(0), ..good() }),
        ("preferred_part_size", CreateUploadRequest { preferred_part_size: Some(-1), ..good() }),
        (
            "preferred_part_size",
            CreateUploadRequest { preferred_part_size: Some(3 << 20), ..good() },
        ),
        (
            "preferred_part_size",
            CreateUploadRequest { preferred_part_size: Some(1 << 19), ..good() },
        ),
        (
            "expected_checksums.sha256",
            CreateUploadRequest { expected_checksums: checksums(31, 0), ..good() },
        ),
        (
            "expected_checksums.blake3",
            CreateUploadRequest { expected_checksums: checksums(0, 33), ..good() },
        ),
        ("metadata", CreateUploadRequest { metadata: metadata("", "x"), ..good() }),
        ("metadata", CreateUploadRequest { metadata: metadata(&"k".repeat(129), "x"), ..good() }),
        ("metadata", CreateUploadRequest { metadata: metadata("k", &"v".repeat(1025)), ..good() }),
        ("metadata", CreateUploadRequest { metadata: many, ..good() }),
        ("metadata", CreateUploadRequest { metadata: heavy, ..good() }),
        ("on_conflict", CreateUploadRequest { on_conflict: 99, ..good() }),
    ];
    for (field, request) in wrong {
        assert_eq!(invalid_field(client.create(request.clone()).await), field);
        let request = CreateUploadRequest { request_id: "stream".into(), ..request };
        if field != "request_id" {
            let refused = client.write(Frames::creating(request).complete()).await;
            assert_eq!(invalid_field(refused), format!("create_upload.{field}"));
        }
    }
    assert!(client.list_uploads(Default::default()).await.unwrap().uploads.is_empty());
}
