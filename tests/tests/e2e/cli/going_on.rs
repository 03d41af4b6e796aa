//! Open uploads as things of their own: seen, gone on with, and given up.

use std::{fs, time::Duration};

use sluice_proto::v1::{ListUploadsRequest, upload};
use sluice_tests::{
    Content, MIB, Proxy, Server, Terminal, argument, ended, eventually, in_small_parts,
};

const SIZE: u64 = 24 * MIB;

/// Somebody whose upload of `big` was killed when some of it was there.
struct Interrupted {
    server: Server,
    terminal: Terminal,
    content: Content,
    upload_id: String,
    /// The way to the server, which is part of what is remembered.
    proxy: Proxy,
}

impl Interrupted {
    async fn new() -> Self {
        let server = Server::start().await;
        let proxy = Proxy::to(server.address()).await;
        let terminal = Terminal::of(&server, &proxy.url());
        let content = Content::new(5, SIZE);
        content.write_to(&terminal.path("big"));
        proxy.slow_down(2 * MIB);
        let mut upload = terminal.start(&["upload", "big", "--part-size", "1MiB"]);
        let client = server.client();
        let mut upload_id = String::new();
        eventually("some of it is there", Duration::from_secs(120), async || {
            let open = client.list_uploads(ListUploadsRequest::default()).await.unwrap().uploads;
            upload_id = open.first().map(|it| it.id.clone()).unwrap_or_default();
            open.first().is_some_and(|it| it.persisted_bytes >= 2 * MIB as i64)
        })
        .await;
        upload.kill().await.unwrap();
        proxy.slow_down(0);
        Self { server, terminal, content, upload_id, proxy }
    }

    async fn assert_whole(&self, uploaded: &sluice_tests::Ended) {
        let event = uploaded.assert_code(0).event("uploaded");
        assert!(event["bytes_resumed"].as_u64().unwrap() >= 2 * MIB, "{event}");
        assert!(event["bytes_sent"].as_u64().unwrap() < SIZE, "{event}");
        let id = event["file_id"].as_str().unwrap();
        self.server.client().assert_content(id, &self.content).await;
    }

    async fn open(&self) -> usize {
        self.terminal.run(&["uploads", "ls", "--json"]).await.assert_code(0).events().len()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_begun_here_is_listed_and_gone_on_with() {
    let person = Interrupted::new().await;
    let listed = person.terminal.run(&["uploads", "ls", "--json"]).await;
    let upload = listed.assert_code(0).event("upload");
    assert_eq!(upload["path"], argument(&person.terminal.path("big")), "{upload}");
    let resumed = person.terminal.run(&["uploads", "resume", "--json"]).await;
    person.assert_whole(&resumed).await;
    assert_eq!(person.open().await, 0);
    let again = person.terminal.run(&["uploads", "resume"]).await;
    again.assert_code(0);
    assert!(again.stderr.contains("nothing"), "{}", again.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_go_on_at_the_same_time() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    for (name, seed) in [("one", 1), ("two", 2)] {
        terminal.write(name, &Content::new(seed, SIZE));
    }
    // How much is there of those that are open, by their names.
    let there = async || {
        let request = ListUploadsRequest {
            states: vec![upload::State::Active.into()],
            ..ListUploadsRequest::default()
        };
        let open = server.client().list_uploads(request).await.unwrap().uploads;
        let mut there: Vec<_> = open.into_iter().map(|it| (it.name, it.persisted_bytes)).collect();
        there.sort();
        there
    };
    proxy.slow_down(MIB);
    let mut upload = terminal.start(&["upload", "one", "two", "--part-size", "1MiB"]);
    eventually("some of both is there", Duration::from_secs(120), async || {
        let there = there().await;
        there.len() == 2 && there.iter().all(|(_, bytes)| *bytes > 0)
    })
    .await;
    upload.kill().await.unwrap();
    let before = there().await;
    let resume = terminal.start(&["uploads", "resume", "--json"]);
    eventually("more of both is there and both are open", Duration::from_secs(120), async || {
        let now = there().await;
        assert_eq!(now.len(), 2, "one is complete and the other has not gone on");
        // More than what was still on its way from before: a part for each stream.
        now.iter().zip(&before).all(|(now, before)| now.1 - before.1 > 4 * MIB as i64)
    })
    .await;
    proxy.slow_down(0);
    let resumed = ended(resume).await;
    assert_eq!(resumed.assert_code(0).names("uploaded"), ["one", "two"]);
    assert!(resumed.event("summary")["bytes_sent"].as_u64().unwrap() < 2 * SIZE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_named_by_its_file_or_its_id() {
    let person = Interrupted::new().await;
    let unknown = person.terminal.run(&["uploads", "resume", "small"]).await;
    unknown.assert_code(4);
    assert!(unknown.stderr.contains("--from"), "no next step: {}", unknown.stderr);
    let resumed = person.terminal.run(&["uploads", "resume", "big", "--json"]).await;
    person.assert_whole(&resumed).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_machine_goes_on_from_a_copy() {
    let person = Interrupted::new().await;
    let elsewhere = Terminal::of(&person.server, &person.server.url());
    Content::new(6, SIZE).write_to(&elsewhere.path("other"));
    person.content.write_to(&elsewhere.path("copy"));
    let listed = elsewhere.run(&["uploads", "ls", "--json"]).await;
    assert!(listed.assert_code(0).event("upload")["path"].is_null());
    let resume = async |from: &str| {
        elsewhere.run(&["uploads", "resume", &person.upload_id, "--from", from, "--json"]).await
    };
    resume("missing").await.assert_code(4);
    resume("other").await.assert_code(12);
    person.assert_whole(&resume("copy").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_has_changed_is_not_mixed_with_what_is_there() {
    let person = Interrupted::new().await;
    Content::new(7, SIZE - 1).write_to(&person.terminal.path("big"));
    let listed = person.terminal.run(&["uploads", "ls", "--json"]).await;
    assert!(listed.assert_code(0).event("upload")["path"].is_null());
    let resumed = person.terminal.run(&["uploads", "resume", "--json"]).await;
    resumed.assert_code(12);
    assert!(resumed.event("failed")["message"].as_str().unwrap().contains("changed"));
    assert_eq!(person.open().await, 1, "it is left to the person what to do");
    assert!(person.proxy.sent() < SIZE);

    // What somebody else gave up is forgotten, and not uploaded anew.
    person.content.write_to(&person.terminal.path("big"));
    person.server.client().cancel(&person.upload_id).await.unwrap();
    fs::remove_file(person.terminal.path("big")).unwrap();
    let resumed = person.terminal.run(&["uploads", "resume"]).await;
    resumed.assert_code(4);
    assert_eq!(person.open().await, 0);
}

#[tokio::test]
async fn all_are_given_up_only_if_somebody_says_so() {
    let server = Server::start().await;
    let client = server.client();
    let terminal = Terminal::of(&server, &server.url());
    for name in ["one", "two"] {
        client.create(in_small_parts(name, 2 * MIB)).await.unwrap();
    }
    let unasked = terminal.run(&["uploads", "abort", "--all"]).await;
    unasked.assert_code(2);
    assert!(unasked.stderr.contains("--yes"), "no next step: {}", unasked.stderr);
    let open = async || terminal.run(&["uploads", "ls", "--json"]).await.events().len();
    assert_eq!(open().await, 2);
    let given_up = terminal.run(&["uploads", "abort", "--all", "--yes", "--json"]).await;
    let states: Vec<_> = given_up.assert_code(0).events();
    assert!(states.iter().all(|it| it["state"] == "CANCELLED"), "{states:?}");
    assert_eq!((states.len(), open().await), (2, 0));
}
