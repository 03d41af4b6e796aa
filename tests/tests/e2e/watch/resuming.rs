//! Streams that break and go on.

use std::{collections::HashMap, time::Duration};

use rand::RngExt;
use rusqlite::Connection;
use sluice_domain::Reason;
use sluice_proto::v1::{WatchEventsRequest, upload::State, watch_events_response::Event};
use sluice_tests::{
    Client, Content, Frames, MIB, Proxy, Seed, Server, assert_reason, eventually, in_small_parts,
    named,
};

/// What somebody who watches believes: the state of each upload, and the files
/// that are there by their names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Picture {
    uploads: HashMap<String, (State, i64)>,
    files: HashMap<String, String>,
}

impl Picture {
    fn see(&mut self, event: Event) {
        match event {
            Event::Upload(upload) => {
                let seen = (upload.state(), upload.persisted_bytes);
                self.uploads.insert(upload.id, seen);
            }
            Event::File(file) => drop(self.files.insert(file.id, file.name)),
            Event::FileDeleted(deleted) => drop(self.files.remove(&deleted.file_id)),
            Event::SnapshotEnd(_) => {}
        }
    }

    /// What is true of these uploads, and of all files.
    async fn truth(client: &Client, uploads: &[String]) -> Self {
        let mut truth = Self::default();
        for id in uploads {
            let upload = client.upload(id).await.unwrap();
            truth.uploads.insert(id.clone(), (upload.state(), upload.persisted_bytes));
        }
        let request = sluice_proto::v1::ListFilesRequest { page_size: 1000, ..Default::default() };
        let page = client.list_files(request).await.unwrap();
        truth.files = page.files.into_iter().map(|file| (file.id, file.name)).collect();
        truth
    }
}

#[tokio::test]
async fn a_stream_goes_on_where_it_was_cut() {
    let server = Server::start().await;
    let client = server.client();
    let proxy = Proxy::to(server.address()).await;
    let mut watcher = Client::new(&proxy.url(), &server.key()).watch().await;
    watcher.snapshot().await;
    let old = client.put("old", &Content::new(1, 10)).await.unwrap();
    watcher.until_ready("old").await;
    proxy.cut();
    watcher.message().await.expect_err("the connection is cut");

    client.delete_file(&old.id).await.unwrap();
    let new = client.put("new", &Content::new(2, 10)).await.unwrap();
    let mut again = client.watch_from(&watcher.token).await.unwrap();
    let events = again.until_ready("new").await;
    assert!(!events.iter().any(|event| matches!(event, Event::SnapshotEnd(_))), "no snapshot");
    assert_eq!(*events.last().unwrap(), Event::File(new));
    let gone = |event: &Event| matches!(event, Event::FileDeleted(it) if it.file_id == old.id);
    assert!(events.iter().any(gone), "{events:?}");
    assert!(again.is_silent_for(Duration::from_millis(500)).await);
}

#[tokio::test]
async fn nothing_is_missed_over_a_kill_and_a_restart() {
    let mut server = Server::start().await;
    let client = server.client();
    let deleted = client.put("deleted", &Content::new(1, 10)).await.unwrap();
    let written = client.create(in_small_parts("written", 3 * MIB)).await.unwrap();
    let mut watcher = client.watch().await;
    watcher.snapshot().await;
    let token = watcher.token.clone();
    drop(watcher);

    // Changes before the kill, which nobody has seen, and after it.
    let content = Content::new(2, 3 * MIB);
    client.write(Frames::to(&written).part(&content, MIB as i64, 1)).await.unwrap();
    client.delete_file(&deleted.id).await.unwrap();
    server.restart().await;
    let client = server.client();
    client.write(Frames::to(&written).part(&content, MIB as i64, 2)).await.unwrap();
    let new = client.create(named("new")).await.unwrap();

    let mut watcher = client.watch_from(&token).await.unwrap();
    let events = watcher.until(|event| *event == Event::Upload(new.clone())).await;
    let gone = |event: &Event| matches!(event, Event::FileDeleted(it) if it.file_id == deleted.id);
    assert!(events.iter().any(gone), "{events:?}");
    let progress = |event: &Event| match event {
        Event::Upload(upload) if upload.id == written.id => Some(upload.persisted_bytes),
        _ => None,
    };
    assert_eq!(events.iter().filter_map(progress).next_back(), Some(2 * MIB as i64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_that_breaks_again_and_again_ends_with_the_truth() {
    const ROUNDS: usize = 15;
    let seed = Seed::of("a_watch_that_breaks_again_and_again_ends_with_the_truth");
    let mut rng = seed.rng(0);
    let mut server = Server::start().await;
    let (mut picture, mut uploads) = (Picture::default(), Vec::new());
    let mut token = {
        let client = server.client();
        let mut watcher = client.watch().await;
        watcher.snapshot().await;
        watcher.token
    };
    let content = Content::new(7, 8 * MIB);
    for round in 0..ROUNDS {
        let client = server.client();
        let mut watcher = client.watch_from(&token).await.unwrap();
        let changing = async {
            for step in 0..6 {
                let name = format!("{round}/{step}");
                match rng.random_range(0..4) {
                    0 => {
                        let file = client.put(&name, &Content::new(1, 100)).await.unwrap();
                        uploads.push(file.upload_id);
                        if rng.random() {
                            client.delete_file(&file.id).await.unwrap();
                        }
                    }
                    1 => {
                        let upload = client.create(named(&name)).await.unwrap();
                        uploads.push(upload.id.clone());
                        client.cancel(&upload.id).await.unwrap();
                    }
                    _ => {
                        let upload = client.create(in_small_parts(&name, 8 * MIB)).await.unwrap();
                        uploads.push(upload.id.clone());
                        for number in 1..=rng.random_range(1..=8) {
                            let frames = Frames::to(&upload).part(&content, MIB as i64, number);
                            client.write(frames).await.unwrap();
                        }
                    }
                }
            }
        };
        // Whatever comes until the changes are made; then it breaks.
        let watching = async {
            loop {
                let event = watcher.event().await;
                picture.see(event);
                token.clone_from(&watcher.token);
            }
        };
        tokio::select! {
            () = changing => {}
            () = watching => unreachable!(),
        }
        if round % 3 == 2 {
            server.restart().await;
        }
    }
    let client = server.client();
    let truth = Picture::truth(&client, &uploads).await;
    let mut watcher = client.watch_from(&token).await.unwrap();
    let last = client.create(named("last")).await.unwrap();
    for event in watcher.until(|event| *event == Event::Upload(last.clone())).await {
        if event != Event::Upload(last.clone()) {
            picture.see(event);
        }
    }
    assert_eq!(picture, truth, "{seed}");
}

#[tokio::test]
async fn a_token_is_for_the_same_ids_in_any_order() {
    let server = Server::start().await;
    let client = server.client();
    let one = client.create(named("one")).await.unwrap();
    let two = client.create(named("two")).await.unwrap();
    let watch = |ids: &[&str], token: &str| {
        client.watch_with(WatchEventsRequest {
            upload_ids: ids.iter().map(|id| (*id).to_owned()).collect(),
            resume_token: token.to_owned(),
            ..Default::default()
        })
    };
    let mut watcher = watch(&[&one.id, &two.id], "").await.unwrap();
    watcher.snapshot().await;
    let token = watcher.token;
    watch(&[&two.id, &one.id], &token).await.expect("the same ids");
    let one = one.id.as_str();
    for ids in [&[][..], &[one], &[one, one]] {
        assert_reason(watch(ids, &token).await.map(drop), Reason::ResumeTokenInvalid);
    }
    let elsewhere = Server::start().await;
    let foreign = elsewhere.client().watch_from(&token).await;
    assert_reason(foreign.map(drop), Reason::ResumeTokenInvalid);
}

#[tokio::test]
async fn what_is_no_token_is_refused() {
    let server = Server::start().await;
    let client = server.client();
    let mut watcher = client.watch().await;
    watcher.snapshot().await;
    let token = watcher.token;
    let mut wrong = vec!["x".to_owned(), "!".repeat(10), "A".repeat(32), "é".into()];
    wrong.push("A".repeat(100_000));
    wrong.push(token[1..].to_owned());
    wrong.push(token[..token.len() - 1].to_owned());
    wrong.push(format!("{token}AAAA"));
    for index in 0..token.len() {
        let mut altered = token.clone().into_bytes();
        altered[index] = if altered[index] == b'_' { b'A' } else { b'_' };
        wrong.push(String::from_utf8(altered).unwrap());
    }
    for token in wrong {
        let outcome = client.watch_from(&token).await.map(drop);
        assert_reason(outcome, Reason::ResumeTokenInvalid);
    }
}

#[tokio::test]
async fn a_token_is_good_until_what_it_needs_is_forgotten() {
    let mut server = Server::embedded().await;
    let client = server.client();
    let file = client.put("file", &Content::new(1, 10)).await.unwrap();
    let mut watcher = client.watch().await;
    watcher.snapshot().await;
    let old = watcher.token.clone();
    client.delete_file(&file.id).await.unwrap();
    watcher.event().await;
    let behind = watcher.token.clone();
    server.restart().await;
    server.client().watch_from(&old).await.expect("it is young");

    // Two days pass, as far as the server can tell.
    server.kill().await;
    let database = Connection::open(server.data_dir().join("sluice.db")).unwrap();
    let days = 2 * 24 * 60 * 60 * 1_000_000_i64;
    let changed =
        database.execute("UPDATE gone_files SET gone_time = gone_time - ?", [days]).unwrap();
    assert_eq!(changed, 1);
    drop(database);
    server.restart().await;
    let client = server.client();
    eventually("it is forgotten", Duration::from_secs(30), async || {
        client.watch_from(&old).await.is_err()
    })
    .await;
    assert_reason(client.watch_from(&old).await.map(drop), Reason::ResumeTokenInvalid);
    client.watch_from(&behind).await.expect("it has seen the deletion");
}
