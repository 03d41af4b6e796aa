//! Seeing what happens, also when the network or the server does not last.

use std::time::Duration;

use futures::TryStreamExt;
use sluice_sdk::{Event, Reason, UploadOptions, WatchQuery, Watcher, v1::upload::State};
use sluice_tests::{Proxy, Server};
use tokio::time::timeout;

use crate::{builder, client, content, through};

async fn next(watcher: &mut Watcher) -> Event {
    let event = timeout(Duration::from_secs(60), watcher.event()).await;
    event.expect("an event comes in time").expect("the watch goes on")
}

/// The events up to this file, which is deleted or else readable.
async fn until_file(watcher: &mut Watcher, id: &str, deleted: bool) -> Vec<Event> {
    let mut events = Vec::new();
    loop {
        let event = next(watcher).await;
        let last = match &event {
            Event::File(file) => file.id == id && !deleted,
            Event::FileDeleted { file_id } => file_id == id && deleted,
            _ => false,
        };
        events.push(event);
        if last {
            return events;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_is_followed_by_changes() {
    let server = Server::start().await;
    let client = client(&server);
    let open = server.client().create(sluice_tests::named("open")).await.unwrap();
    let mut watcher = client.watch(WatchQuery::everything());
    assert_eq!(next(&mut watcher).await, Event::SnapshotBegin);
    assert_eq!(next(&mut watcher).await, Event::Upload(Box::new(open.clone())));
    assert_eq!(watcher.resume_token(), "");
    assert_eq!(next(&mut watcher).await, Event::SnapshotEnd);
    let token = watcher.resume_token().to_owned();

    let uploaded = client.upload(content(100), UploadOptions::new().name("a")).await.unwrap();
    until_file(&mut watcher, &uploaded.file.id, false).await;
    client.delete(&uploaded.file.id).await.unwrap();
    until_file(&mut watcher, &uploaded.file.id, true).await;
    drop(watcher);

    // From the same place the end is the same, without a snapshot.
    let mut again = client.watch(WatchQuery::everything().after(token));
    let events = until_file(&mut again, &uploaded.file.id, true).await;
    assert!(!events.contains(&Event::SnapshotBegin), "{events:?}");

    let named = client.watch(WatchQuery::everything().upload(&open.id));
    client.cancel_upload(&open.id).await.unwrap();
    let ended = |event: &Event| match event {
        Event::Upload(upload) => upload.state() == State::Cancelled,
        _ => false,
    };
    let ended = named.into_stream().try_skip_while(|event| {
        let wait = !ended(event);
        async move { Ok(wait) }
    });
    let ended = timeout(Duration::from_secs(60), std::pin::pin!(ended).try_next()).await;
    assert!(ended.unwrap().unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_and_kills_are_ridden_out_without_a_snapshot() {
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let direct = client(&server);
    let mut watcher = through(&server, &proxy.url()).watch(WatchQuery::everything());
    while next(&mut watcher).await != Event::SnapshotEnd {}
    for round in 0..4 {
        match round % 2 {
            0 => proxy.cut(),
            _ => drop(server.restart().await),
        }
        let name = round.to_string();
        let uploaded = direct.upload(content(10), UploadOptions::new().name(name)).await.unwrap();
        let events = until_file(&mut watcher, &uploaded.file.id, false).await;
        assert!(!events.contains(&Event::SnapshotBegin), "round {round}: {events:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_has_forgotten_gives_a_new_snapshot() {
    let server = Server::start().await;
    let other = Server::start().await;
    let open = other.client().create(sluice_tests::named("open")).await.unwrap();
    let mut watcher = client(&server).watch(WatchQuery::everything());
    while next(&mut watcher).await != Event::SnapshotEnd {}
    // Another server's token is as good as one that is too old.
    let query = WatchQuery::everything().after(watcher.resume_token());
    let mut watcher = client(&other).watch(query);
    assert_eq!(next(&mut watcher).await, Event::SnapshotBegin);
    assert_eq!(next(&mut watcher).await, Event::Upload(Box::new(open)));
    assert_eq!(next(&mut watcher).await, Event::SnapshotEnd);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_lasts_is_told_and_what_does_not_is_waited_for() {
    let server = Server::start().await;
    let id = format!("upl_{}", uuid::Uuid::now_v7());
    let unknown = client(&server).watch(WatchQuery::everything().upload(id)).event().await;
    assert_eq!(unknown.unwrap_err().reason(), Some(Reason::UploadNotFound));
    let wrong = builder(&server, &server.url()).api_key("wrong").build().unwrap();
    let denied = wrong.watch(WatchQuery::everything()).event().await;
    assert_eq!(denied.unwrap_err().reason(), Some(Reason::CredentialsInvalid));
    let nobody = builder(&server, "http://127.0.0.1:1").give_up_after(Duration::from_secs(1));
    let gone = nobody.build().unwrap().watch(WatchQuery::everything()).event().await;
    assert!(gone.unwrap_err().is_transient());
}
