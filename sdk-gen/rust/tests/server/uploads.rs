//! Uploads while everything goes well, and refusals.

use sluice_sdk::{Checksums, Kind, OnConflict, Reason, Source, UploadOptions};
use sluice_tests::{MIB, Server};

use crate::{client, content, read};

#[tokio::test(flavor = "multi_thread")]
async fn every_size_arrives_whole() {
    let server = Server::start().await;
    let client = client(&server);
    let sizes = [0, 1, MIB - 1, MIB, MIB + 1, 8 * MIB, 8 * MIB + 1, 21 * MIB + 7];
    for (part_size, label) in [(None, "default"), (Some(MIB), "small")] {
        for size in sizes {
            let bytes = content(size);
            let options = UploadOptions::new().name(format!("{label}/{size}"));
            let options = match part_size {
                Some(part_size) => options.part_size(part_size),
                None => options,
            };
            let uploaded = client.upload(bytes.clone(), options).await.unwrap();
            let statistics = uploaded.statistics;
            assert_eq!((statistics.size, statistics.sent, statistics.resent), (size, size, 0));
            assert!(read(&client, &uploaded.file.id).await == bytes, "{label} parts, {size} bytes");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_unknown_size_arrives_whole() {
    let server = Server::start().await;
    let client = client(&server);
    for size in [0, 1, 8 * MIB, 8 * MIB + 1, 16 * MIB, 32 * MIB, 50 * MIB + 3] {
        let bytes = content(size);
        let source = Source::reader(std::io::Cursor::new(bytes.clone()));
        let options = UploadOptions::new().name(format!("stream/{size}"));
        let uploaded = client.upload(source, options).await.unwrap();
        assert_eq!(uploaded.statistics.size, size);
        assert!(read(&client, &uploaded.file.id).await == bytes, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_gives_its_own_name_and_progress_never_exceeds_the_whole() {
    let server = Server::start().await;
    let client = client(&server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("holiday.mp4");
    let bytes = content(40 * MIB);
    std::fs::write(&path, &bytes).unwrap();

    let (sender, seen) = std::sync::mpsc::channel();
    let options = UploadOptions::new()
        .content_type("video/mp4")
        .metadata([("year".to_owned(), "2026".to_owned())].into())
        .on_progress(move |progress| sender.send(progress.clone()).unwrap());
    let uploaded = client.upload(path, options).await.unwrap();
    assert_eq!(uploaded.file.name, "holiday.mp4");
    assert_eq!(uploaded.file.content_type, "video/mp4");
    assert_eq!(uploaded.file.metadata["year"], "2026");

    let seen: Vec<_> = seen.try_iter().collect();
    assert!(seen.iter().all(|progress| progress.position() <= 40 * MIB));
    assert_eq!(seen.last().unwrap().position(), 40 * MIB);
    assert!(seen.first().unwrap().upload_id.is_some(), "told before anything is sent");
    assert_eq!(seen.first().unwrap().sent, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_name_is_refused_or_replaced() {
    let server = Server::start().await;
    let client = client(&server);
    for size in [10, 10 * MIB] {
        let options = || UploadOptions::new().name(format!("taken/{size}"));
        let first = client.upload(content(size), options()).await.unwrap();
        let error = client.upload(content(size + 1), options()).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::FileExists));
        assert_eq!(error.metadata()["file_id"], first.file.id);
        assert!(!error.is_transient());

        let replace = options().on_conflict(OnConflict::Replace);
        let second = client.upload(content(size + 1), replace).await.unwrap();
        let found = client.find(&second.file.name).await.unwrap().unwrap();
        assert_eq!(found.id, second.file.id);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_wrong_is_published() {
    let server = Server::start().await;
    let client = client(&server);
    for size in [10, 10 * MIB] {
        let wrong = Checksums { sha256: None, crc32c: None, blake3: Some([7; 32]) };
        let options = UploadOptions::new().name("wrong").expect(wrong);
        let error = client.upload(content(size), options).await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::FileChecksumMismatch));
        assert!(client.find("wrong").await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_meanwhile_is_not_published() {
    let server = Server::start().await;
    let client = client(&server);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    std::fs::write(&path, content(20 * MIB)).unwrap();
    let changing = path.clone();
    let options = UploadOptions::new().on_progress(move |progress| {
        if progress.sent == 0 {
            std::fs::write(&changing, content(20 * MIB + 1)).unwrap();
        }
    });
    let error = client.upload(path, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::SourceChanged, "{error}");
    assert!(client.find("log").await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_is_refused_here() {
    let server = Server::start().await;
    let client = client(&server);
    let error = client.upload(content(1), UploadOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    let missing = Source::path("/no/such/file");
    let error = client.upload(missing, UploadOptions::new()).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Local);
    let options = UploadOptions::new().name("../escape");
    let error = client.upload(content(1), options).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::InvalidField));
    assert_eq!(error.violations().len(), 1);
}
