//! Commands that are killed, interrupted and cut off.

use std::time::Duration;

use rand::RngExt;
use sluice_proto::v1::{ListUploadsRequest, Upload, upload};
use sluice_tests::{
    Client, Content, MIB, Proxy, Seed, Server, Terminal, argument, ended, eventually, scale, signal,
};

const SIZE: u64 = 96 * MIB;

/// Streams of one upload.
const STREAMS: u64 = 4;

/// What one cut stream may cost: a part, and what a connection has under way.
const PART: u64 = MIB;
const WINDOW: u64 = 2 * MIB;

/// Room for headers, settings and questions about the state.
const SLACK: u64 = MIB;

/// The one upload that is not complete.
async fn unfinished(client: &Client) -> Upload {
    let request =
        ListUploadsRequest { states: vec![upload::State::Active.into()], ..Default::default() };
    let listed = client.list_uploads(request).await.unwrap().uploads;
    assert_eq!(listed.len(), 1, "one upload is under way");
    client.upload(&listed[0].id).await.unwrap()
}

fn upload_command(terminal: &Terminal) -> Vec<String> {
    let path = argument(&terminal.path("big"));
    ["upload", &path, "--part-size=1MiB", "--streams=4", "--json"].map(ToOwned::to_owned).to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_upload_goes_on_where_it_was() {
    let seed = Seed::of("a_killed_upload_goes_on_where_it_was");
    let server = Server::start().await;
    let client = server.client();
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let content = Content::new(seed.value(), SIZE);
    content.write_to(&terminal.path("big"));

    proxy.slow_down(16 * MIB);
    let mut first = terminal.start(&upload_command(&terminal));
    eventually("60 % are on their way", Duration::from_secs(120), async || {
        proxy.sent() > SIZE * 6 / 10
    })
    .await;
    first.kill().await.unwrap();
    proxy.slow_down(0);
    eventually("the server has seen the end of the streams", Duration::from_secs(10), async || {
        let before = unfinished(&client).await.persisted_bytes;
        tokio::time::sleep(Duration::from_millis(200)).await;
        unfinished(&client).await.persisted_bytes == before
    })
    .await;
    let kept = unfinished(&client).await;
    let missing = SIZE - kept.persisted_bytes as u64;
    assert!(kept.persisted_bytes as u64 > SIZE / 2, "{} bytes were kept", kept.persisted_bytes);

    let before = proxy.sent();
    let second = terminal.run(&upload_command(&terminal)).await;
    second.assert_code(0);
    assert!(second.stderr.contains("resuming big at "), "it does not say so: {}", second.stderr);
    let event = second.event("uploaded");
    assert_eq!(event["bytes_resumed"], kept.persisted_bytes);
    assert_eq!(event["blake3"], hex::encode(content.blake3()));
    let sent = proxy.sent() - before;
    assert!(sent <= missing + SLACK, "{sent} bytes sent for {missing} that were missing, {seed}");
    let most = SIZE + STREAMS * (PART + WINDOW) + SLACK;
    assert!(proxy.sent() <= most, "{} bytes for a file of {SIZE}, {seed}", proxy.sent());

    let back = terminal.path("back");
    terminal.run(&["download", "big", "-o", &argument(&back)]).await.assert_code(0);
    assert!(content.is_in(&back), "other bytes came back");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_interrupted_upload_says_how_to_go_on() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let content = Content::new(1, SIZE / 2);
    content.write_to(&terminal.path("big"));

    proxy.slow_down(8 * MIB);
    let first = terminal.start(&upload_command(&terminal));
    eventually("some of it is on its way", Duration::from_secs(60), async || {
        proxy.sent() > SIZE / 6
    })
    .await;
    signal(first.id().unwrap(), "INT").await;
    let first = ended(first).await;
    first.assert_code(130);
    assert!(first.stderr.contains("the same command goes on"), "{}", first.stderr);

    proxy.slow_down(0);
    let second = terminal.run(&upload_command(&terminal)).await;
    assert!(second.assert_code(0).event("uploaded")["bytes_resumed"].as_u64().unwrap() > 0);
    let file = second.event("uploaded")["file_id"].as_str().unwrap().to_owned();
    server.client().assert_content(&file, &content).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changed_between_two_runs_starts_anew() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let (old, new) = (Content::new(1, SIZE / 4), Content::new(2, SIZE / 4));
    old.write_to(&terminal.path("big"));

    proxy.slow_down(4 * MIB);
    let mut first = terminal.start(&upload_command(&terminal));
    eventually("half of it is on its way", Duration::from_secs(60), async || {
        proxy.sent() > SIZE / 8
    })
    .await;
    first.kill().await.unwrap();
    proxy.slow_down(0);

    // The same size and the same time: only the bytes tell.
    let path = terminal.path("big");
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    new.write_to(&path);
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let second = terminal.run(&upload_command(&terminal)).await;
    let file = second.assert_code(0).event("uploaded")["file_id"].as_str().unwrap().to_owned();
    server.client().assert_content(&file, &new).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_survives_cuts_and_restarts_of_the_server() {
    let seed = Seed::of("an_upload_survives_cuts_and_restarts_of_the_server");
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let content = Content::new(seed.value(), SIZE);
    content.write_to(&terminal.path("big"));

    proxy.slow_down(8 * MIB);
    let command = terminal.start(&upload_command(&terminal));
    let mut rng = seed.rng(0);
    let failures = scale(6, 100) as u64;
    for failure in 0..failures {
        let target = proxy.sent() + rng.random_range(MIB..SIZE / 8);
        eventually("it goes on", Duration::from_secs(60), async || proxy.sent() >= target).await;
        if failure % 2 == 0 {
            proxy.cut();
        } else {
            server.restart().await;
        }
    }
    proxy.slow_down(0);
    let outcome = ended(command).await;
    let file = outcome.assert_code(0).event("uploaded")["file_id"].as_str().unwrap().to_owned();
    server.client().assert_content(&file, &content).await;
    let most = SIZE + failures * STREAMS * (PART + WINDOW) + failures * SLACK;
    assert!(proxy.sent() <= most, "{} bytes for a file of {SIZE}, {seed}", proxy.sent());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_download_survives_cuts() {
    let seed = Seed::of("a_download_survives_cuts");
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let content = Content::new(seed.value(), SIZE);
    server.client().put("big", &content).await.unwrap();

    proxy.slow_down(16 * MIB);
    let back = terminal.path("back");
    let command = terminal.start(&["download", "big", "-o", &argument(&back), "--json"]);
    for fifth in 1..5 {
        eventually("it goes on", Duration::from_secs(60), async || {
            proxy.received() > fifth * SIZE / 5
        })
        .await;
        proxy.cut();
    }
    ended(command).await.assert_code(0);
    assert!(content.is_in(&back), "other bytes came back, {seed}");
    let most = SIZE + 4 * STREAMS * (WINDOW + MIB) + SLACK;
    assert!(proxy.received() <= most, "{} bytes for a file of {SIZE}", proxy.received());
}
