//! Watching what was named.

use sluice_domain::Reason;
use sluice_proto::v1::{WatchEventsRequest, upload::State, watch_events_response::Event};
use sluice_tests::{Content, Frames, Server, assert_reason, in_small_parts, invalid_field, named};

/// Ids that are well-formed and nobody's.
fn unknown(prefix: &str) -> String {
    format!("{prefix}{}", uuid::Uuid::now_v7())
}

#[tokio::test]
async fn only_what_was_named_and_what_it_becomes_is_told() {
    let server = Server::start().await;
    let client = server.client();
    let done = client.put("done", &Content::new(1, 100)).await.unwrap();
    let other = client.put("other", &Content::new(2, 100)).await.unwrap();
    let watched = client.create(in_small_parts("watched", 100)).await.unwrap();
    let ignored = client.create(in_small_parts("ignored", 100)).await.unwrap();
    let request = WatchEventsRequest {
        upload_ids: vec![watched.id.clone(), done.upload_id.clone(), watched.id.clone()],
        file_ids: vec![other.id.clone()],
        ..Default::default()
    };
    let mut watcher = server.client().watch_with(request).await.unwrap();
    let (mut uploads, mut files) = watcher.snapshot().await;
    uploads.sort_by(|one, two| one.id.cmp(&two.id));
    files.sort_by(|one, two| one.name.cmp(&two.name));
    let mut become_done = client.upload(&done.upload_id).await.unwrap();
    become_done.persisted_ranges.clear();
    assert_eq!(uploads, [become_done, watched.clone()]);
    assert_eq!(files, [done, other.clone()], "a named file, and what a named upload became");

    let content = Content::new(3, 100);
    for upload in [&ignored, &watched] {
        client.write(Frames::to(upload).all(&content).complete()).await.unwrap();
    }
    client.delete_file(&ignored.file_id).await.unwrap();
    client.delete_file(&other.id).await.unwrap();
    client.delete_file(&watched.file_id).await.unwrap();
    let mut states = Vec::new();
    let mut gone = Vec::new();
    while gone.len() < 2 {
        match watcher.event().await {
            Event::Upload(upload) => {
                assert_eq!(upload.id, watched.id);
                states.push(upload.state());
            }
            Event::File(file) => assert_eq!(file.id, watched.file_id),
            Event::FileDeleted(deleted) => gone.push(deleted.file_id),
            Event::SnapshotEnd(_) => panic!("it has ended before"),
        }
    }
    assert_eq!(states.last(), Some(&State::Completed));
    assert_eq!(gone, [other.id, watched.file_id]);
}

#[tokio::test]
async fn what_is_not_there_is_not_watched() {
    let server = Server::start().await;
    let client = server.client();
    let upload = client.create(named("known")).await.unwrap();
    let request = WatchEventsRequest {
        upload_ids: vec![upload.id.clone(), unknown("upl_")],
        ..Default::default()
    };
    assert_reason(client.watch_with(request).await.map(drop), Reason::UploadNotFound);
    let file_ids = vec![unknown("file_")];
    let request = WatchEventsRequest { file_ids, ..Default::default() };
    assert_reason(client.watch_with(request).await.map(drop), Reason::FileNotFound);
    let deleted = client.put("deleted", &Content::new(1, 10)).await.unwrap();
    client.delete_file(&deleted.id).await.unwrap();
    let request = WatchEventsRequest { file_ids: vec![deleted.id], ..Default::default() };
    assert_reason(client.watch_with(request).await.map(drop), Reason::FileNotFound);
    // A file that does not exist yet is not there either.
    let request = WatchEventsRequest { file_ids: vec![upload.file_id], ..Default::default() };
    assert_reason(client.watch_with(request).await.map(drop), Reason::FileNotFound);
}

#[tokio::test]
async fn a_thousand_ids_can_be_named_and_no_more() {
    let server = Server::start().await;
    let client = server.client();
    let mut uploads = Vec::new();
    for number in 0..300 {
        uploads.push(client.create(named(&number.to_string())).await.unwrap().id);
    }
    let mut request = WatchEventsRequest { upload_ids: uploads.clone(), ..Default::default() };
    request.upload_ids.extend(uploads.iter().cycle().take(700).cloned());
    assert_eq!(request.upload_ids.len(), 1000);
    let (snapshot, _) = client.watch_with(request.clone()).await.unwrap().snapshot().await;
    assert_eq!(snapshot.len(), 300, "each once");

    request.file_ids.push(unknown("file_"));
    let status = assert_reason(client.watch_with(request).await.map(drop), Reason::InvalidField);
    assert!(status.message().contains("1000"), "{status:?}");
}

#[tokio::test]
async fn ids_must_be_ids() {
    let server = Server::start().await;
    let client = server.client();
    let request = WatchEventsRequest {
        upload_ids: vec![unknown("upl_"), unknown("file_")],
        ..Default::default()
    };
    let refused = client.watch_with(request).await.map(drop);
    assert_eq!(invalid_field(refused), "upload_ids[1]");
}
