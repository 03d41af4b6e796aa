//! What a stream says, and how often.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sluice_domain::Reason;
use sluice_proto::v1::{
    CreateUploadRequest, File, ObjectChecksums, OnConflict, UpdateFileRequest,
    file::State as FileState, upload::State, watch_events_response::Event,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Proxy, Server, assert_reason, in_small_parts, is_on_aws, named,
    signal,
};

/// An upload's state and progress, if the event is one.
fn upload(event: &Event) -> Option<(State, i64)> {
    match event {
        Event::Upload(upload) => Some((upload.state(), upload.persisted_bytes)),
        _ => None,
    }
}

#[tokio::test]
async fn the_snapshot_has_what_is_open_and_nothing_else() {
    let server = Server::start().await;
    let client = server.client();
    let mut open = Vec::new();
    for number in 0..150 {
        open.push(client.create(named(&format!("open/{number}"))).await.unwrap());
    }
    let cancelled = client.create(named("cancelled")).await.unwrap();
    client.cancel(&cancelled.id).await.unwrap();
    client.put("ready", &Content::new(1, 100)).await.unwrap();

    let (uploads, files) = server.client().watch().await.snapshot().await;
    assert!(files.is_empty(), "{files:?}");
    let mut expected = open;
    expected.reverse();
    assert_eq!(uploads, expected);
}

#[tokio::test]
async fn a_change_during_the_snapshot_is_not_lost() {
    let server = Server::start().await;
    let client = server.client();
    // More than the transports take from a server whose caller does not read.
    let metadata: std::collections::BTreeMap<_, _> =
        (0..8).map(|key| (format!("key-{key}"), "x".repeat(1000))).collect();
    for number in 0..400 {
        let name = format!("open/{number}");
        let request = CreateUploadRequest { metadata: metadata.clone(), ..named(&name) };
        client.create(request).await.unwrap();
    }
    let mut watcher = server.client().watch().await;
    let Event::Upload(first) = watcher.event().await else { panic!("no upload in the snapshot") };
    client.cancel(&first.id).await.unwrap();
    let (rest, _) = watcher.snapshot().await;
    assert_eq!(rest.len(), 399);
    let cancelled = |event: &Event| match event {
        Event::Upload(upload) => upload.id == first.id && upload.state() == State::Cancelled,
        _ => false,
    };
    watcher.until(cancelled).await;
}

#[tokio::test]
async fn a_life_is_told_in_order_to_somebody_else() {
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;

    let content = Content::new(1, 2 * MIB);
    let opened = client.create(in_small_parts("life", 2 * MIB)).await.unwrap();
    assert_eq!(watcher.event().await, Event::Upload(opened.clone()));
    client.write(Frames::to(&opened).all(&content)).await.unwrap();
    let written = watcher.until(|event| upload(event) == Some((State::Active, 2 * MIB as i64)));
    assert!(written.await.iter().all(|event| upload(event).unwrap().0 == State::Active));

    let file = client.complete(&opened.id).await.unwrap();
    let events = watcher.until_ready("life").await;
    assert_eq!(*events.last().unwrap(), Event::File(file.clone()));
    let mut completed = client.upload(&opened.id).await.unwrap();
    completed.persisted_ranges.clear();
    assert!(events.contains(&Event::Upload(completed)), "{events:?}");

    let renamed = client
        .update_file(UpdateFileRequest {
            file: Some(File { id: file.id.clone(), name: "other".into(), ..Default::default() }),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(watcher.event().await, Event::File(renamed));
    client.delete_file(&file.id).await.unwrap();
    assert_eq!(deleted(&watcher.event().await), file.id);
}

fn deleted(event: &Event) -> &str {
    match event {
        Event::FileDeleted(deleted) => &deleted.file_id,
        other => panic!("{other:?} is no deletion"),
    }
}

#[tokio::test]
async fn ways_to_end_are_told_with_their_reasons() {
    let server = Server::with()
        .setting("SLUICE__LIMITS__UPLOAD_TTL", "2s")
        .setting("SLUICE__WORKER__SWEEP_INTERVAL", "1s")
        .start()
        .await;
    let client = server.client();
    let mut watcher = client.watch().await;
    watcher.snapshot().await;
    let expiring = client.create(named("expiring")).await.unwrap();
    let cancelled = client.create(named("cancelled")).await.unwrap();
    client.cancel(&cancelled.id).await.unwrap();
    let wrong = CreateUploadRequest {
        expected_checksums: Some(ObjectChecksums { crc32c: Some(1), ..Default::default() }),
        ..in_small_parts("failing", 100)
    };
    let failing = client.create(wrong).await.unwrap();
    let frames = Frames::to(&failing).all(&Content::new(1, 100)).complete();
    assert_reason(client.write(frames).await, Reason::FileChecksumMismatch);

    let mut ends = HashMap::new();
    while ends.len() < 3 {
        if let Event::Upload(upload) = watcher.event().await
            && upload.state() != State::Active
        {
            assert_eq!(upload.error.is_some(), upload.id == failing.id);
            ends.insert(upload.id.clone(), upload.state());
        }
    }
    assert_eq!(ends[&expiring.id], State::Expired);
    assert_eq!(ends[&cancelled.id], State::Cancelled);
    assert_eq!(ends[&failing.id], State::Failed);
}

#[tokio::test]
async fn a_replaced_file_is_gone_before_the_new_one_is_ready() {
    let server = Server::start().await;
    let client = server.client();
    let old = client.put("name", &Content::new(1, 1000)).await.unwrap();
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;
    let request = CreateUploadRequest {
        request_id: "new".into(),
        on_conflict: OnConflict::Replace.into(),
        ..in_small_parts("name", 1000)
    };
    let frames = Frames::creating(request).all(&Content::new(2, 1000)).complete();
    let new = client.write(frames).await.unwrap().file.unwrap();
    let events = watcher.until_ready("name").await;
    assert_eq!(*events.last().unwrap(), Event::File(new));
    let gone: Vec<_> =
        events.iter().filter(|event| matches!(event, Event::FileDeleted(_))).map(deleted).collect();
    assert_eq!(gone, [old.id]);
}

#[tokio::test]
async fn a_file_that_is_checked_is_told_twice() {
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;
    let wrong = ObjectChecksums { sha256: vec![1; 32].into(), ..Default::default() };
    let upload = client.create(in_small_parts("checked", 1000)).await.unwrap();
    let frames = Frames::to(&upload).all(&Content::new(1, 1000)).complete_expecting(wrong);
    let file = client.write(frames).await.unwrap().file.unwrap();
    assert_eq!(file.state(), FileState::Processing);
    let events = watcher
        .until(|event| matches!(event, Event::File(file) if file.state() == FileState::Failed))
        .await;
    let Some(Event::File(failed)) = events.last() else { panic!("{events:?}") };
    assert_eq!((&failed.id, failed.error.is_some()), (&file.id, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_comes_once_a_second_and_the_newest_always() {
    const PARTS: u64 = 40;
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;
    let content = Content::new(1, PARTS * MIB);
    let opened = client.create(in_small_parts("slow", content.size())).await.unwrap();
    let writing = async {
        for number in 1..=PARTS {
            client.write(Frames::to(&opened).part(&content, MIB as i64, number)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(75)).await;
        }
    };
    let reading = async {
        let mut told: Vec<(Instant, i64)> = Vec::new();
        while told.last().is_none_or(|(_, bytes)| *bytes < content.size() as i64) {
            let event = watcher.event().await;
            told.push((Instant::now(), upload(&event).expect("nothing else happens").1));
        }
        told
    };
    let start = Instant::now();
    let ((), told) = tokio::join!(writing, reading);
    assert!(told.is_sorted_by_key(|(_, bytes)| *bytes), "{told:?}");
    // The creation, a message for each whole second, and the end.
    let most = start.elapsed().as_secs() as usize + 2;
    assert!(told.len() <= most, "{} messages in {:?}", told.len(), start.elapsed());
    assert!(told.len() >= 3, "progress is told meanwhile: {told:?}");
    assert!(watcher.is_silent_for(Duration::from_millis(1500)).await, "nothing more happened");

    // What is not progress does not wait for the second.
    let start = Instant::now();
    client.write(Frames::to(&opened).part(&content, MIB as i64, 1)).await.unwrap();
    client.complete(&opened.id).await.unwrap();
    watcher.until(|event| upload(event).is_some_and(|it| it.0 == State::Completed)).await;
    println!("completion was told after {:?}", start.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_stream_is_enough_for_200_uploads() {
    const COUNT: usize = 200;
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;
    let uploading = async {
        for lane in 0..8 {
            let puts = (lane..COUNT).step_by(8).map(|number| {
                let client = client.clone();
                async move { client.put(&number.to_string(), &Content::new(1, 3000)).await }
            });
            for file in futures::future::join_all(puts).await {
                file.unwrap();
            }
        }
    };
    let watching = async {
        let (mut states, mut ready) = (HashMap::new(), HashMap::new());
        while ready.len() < COUNT || states.values().any(|state| *state != State::Completed) {
            match watcher.event().await {
                Event::Upload(upload) => {
                    // What changes while it is told may be told twice.
                    let before = states.insert(upload.id.clone(), upload.state());
                    let was_completed = before == Some(State::Completed);
                    let goes_back = was_completed && upload.state() != State::Completed;
                    assert!(!goes_back, "{upload:?} goes back");
                }
                Event::File(file) => drop(ready.insert(file.name.clone(), file)),
                other => panic!("nobody did {other:?}"),
            }
        }
        states.len()
    };
    let ((), uploads) = tokio::join!(uploading, watching);
    assert_eq!(uploads, COUNT);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_that_stops_costs_little_and_gets_the_newest() {
    const WATCHERS: usize = 20;
    // However long this takes, nobody is turned away for being silent.
    let server = Server::with().setting("SLUICE__LIMITS__STREAM_IDLE", "10m").start().await;
    let client = server.client();
    let mut slow = Vec::new();
    for _ in 0..WATCHERS {
        let proxy = Proxy::to(server.address()).await;
        let mut watcher = Client::new(&proxy.url(), &server.key()).watch().await;
        watcher.snapshot().await;
        proxy.stall_replies();
        slow.push((proxy, watcher));
    }
    let metadata: std::collections::BTreeMap<_, _> =
        (0..8).map(|key| (format!("key-{key}"), "x".repeat(1000))).collect();
    let file = client.put("busy", &Content::new(1, 100)).await.unwrap();
    // A connection on which nothing is read for too long is cut; a local AWS is slow.
    let count = if is_on_aws() { 100 } else { 400 };
    let uploads: Vec<_> = (0..count)
        .map(|number| CreateUploadRequest {
            metadata: metadata.clone(),
            ..named(&format!("many/{number}"))
        })
        .collect();
    let before = server.resident_bytes();
    for round in 0..3 {
        for request in &uploads {
            let upload = client.create(request.clone()).await.unwrap();
            client.cancel(&upload.id).await.unwrap();
        }
        let file = File {
            id: file.id.clone(),
            metadata: [("round".to_owned(), round.to_string())].into(),
            ..Default::default()
        };
        client
            .update_file(UpdateFileRequest { file: Some(file), ..Default::default() })
            .await
            .unwrap();
    }
    let resident = server.resident_bytes();
    let grown = resident.saturating_sub(before);
    assert!(grown < 64 * MIB, "{grown} bytes more for {WATCHERS} readers that do not read");

    client.put("last", &Content::new(2, 100)).await.unwrap();
    for (proxy, watcher) in &mut slow {
        proxy.resume();
        let events = watcher.until_ready("last").await;
        let newest = events.iter().rev().find_map(|event| match event {
            Event::File(it) if it.id == file.id => Some(it.metadata["round"].as_str()),
            _ => None,
        });
        assert_eq!(newest, Some("2"));
    }
}

#[tokio::test]
async fn a_silent_stream_shows_that_it_is_alive() {
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = client.watch().await;
    watcher.snapshot().await;
    let token = watcher.token.clone();
    let renewal = watcher.message().await.unwrap();
    assert_eq!(renewal.event, None);
    assert!(!renewal.resume_token.is_empty());
    client.watch_from(&token).await.expect("the token before it is still good");
    client.watch_from(&renewal.resume_token).await.expect("it continues");
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let server = Server::start().await;
    let mut watcher = server.client().watch().await;
    watcher.snapshot().await;
    signal(server.pid(), "TERM").await;
    assert_reason(watcher.message().await, Reason::ShuttingDown);
}
