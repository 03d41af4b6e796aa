//! Seeing what happens from the shell.

use std::time::Duration;

use serde_json::Value;
use sluice_tests::{Content, Frames, MIB, Server, Terminal, in_small_parts, named, signal};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

/// A command that goes on printing.
struct Printing {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Printing {
    fn start(terminal: &Terminal, arguments: &[&str]) -> Self {
        let mut child = terminal.start(arguments);
        let lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        Self { child, lines }
    }

    async fn line(&mut self) -> String {
        let line = timeout(Duration::from_secs(30), self.lines.next_line()).await;
        line.expect("a line comes in time").unwrap().expect("it goes on")
    }

    /// Objects up to one that fulfils the condition.
    async fn until(&mut self, condition: impl Fn(&Value) -> bool) -> Vec<Value> {
        let mut objects = Vec::new();
        loop {
            let line = self.line().await;
            let object: Value = serde_json::from_str(&line).expect(&line);
            let last = condition(&object);
            objects.push(object);
            if last {
                return objects;
            }
        }
    }

    /// Ctrl-C, and the exit code.
    async fn stop(mut self) -> Option<i32> {
        signal(self.child.id().expect("it runs"), "INT").await;
        let ended = timeout(Duration::from_secs(10), self.child.wait()).await;
        ended.expect("it ends in time").unwrap().code()
    }
}

#[tokio::test]
async fn watch_prints_an_object_for_each_event_until_ctrl_c() {
    let mut server = Server::start().await;
    let terminal = Terminal::of(&server, &server.url());
    let mut printing = Printing::start(&terminal, &["watch", "--json"]);
    let snapshot = printing.until(|it| it["event"] == "snapshot_end").await;
    assert_eq!(snapshot.len(), 2, "{snapshot:?}");
    assert_eq!(snapshot[0]["event"], "snapshot_begin");

    let file = server.client().put("one", &Content::new(1, 100)).await.unwrap();
    let objects = printing.until(|it| it["event"] == "file" && it["state"] == "READY").await;
    let last = objects.last().unwrap();
    assert_eq!((&last["file_id"], &last["name"]), (&file.id.clone().into(), &"one".into()));
    let uploads = objects.iter().filter(|it| it["event"] == "upload");
    assert!(uploads.clone().count() > 0 && uploads.clone().all(|it| it["name"] == "one"));

    // It goes on after the server is there again.
    server.restart().await;
    server.client().delete_file(&file.id).await.unwrap();
    let objects = printing.until(|it| it["event"] == "file_deleted").await;
    assert_eq!(objects.last().unwrap()["file_id"], file.id);
    assert_eq!(printing.stop().await, Some(130));
}

#[tokio::test]
async fn watch_prints_lines_for_people_of_what_was_named() {
    let server = Server::start().await;
    let client = server.client();
    let terminal = Terminal::of(&server, &server.url());
    let upload = client.create(in_small_parts("named", 4 * MIB)).await.unwrap();
    let mut printing = Printing::start(&terminal, &["watch", &upload.id]);
    let line = printing.line().await;
    assert!(line.starts_with(&upload.id) && line.contains("0 % of 4.00 MiB"), "{line}");
    client.create(named("other")).await.unwrap();
    let content = Content::new(1, 4 * MIB);
    client.write(Frames::to(&upload).part(&content, MIB as i64, 2)).await.unwrap();
    let line = printing.line().await;
    assert!(line.starts_with(&upload.id) && line.contains("25 % of 4.00 MiB"), "{line}");
    client.cancel(&upload.id).await.unwrap();
    let line = printing.line().await;
    assert!(line.starts_with(&upload.id) && line.ends_with("cancelled"), "{line}");
    assert_eq!(printing.stop().await, Some(130));
}

#[tokio::test]
async fn what_cannot_be_watched_ends_the_command() {
    let server = Server::start().await;
    let terminal = Terminal::of(&server, &server.url());
    let unknown = format!("upl_{}", uuid::Uuid::now_v7());
    terminal.run(&["watch", &unknown]).await.assert_code(4);
    terminal.run(&["watch", "holiday.mp4"]).await.assert_code(2);
}

#[tokio::test]
async fn uploads_are_listed_as_they_change() {
    let server = Server::start().await;
    let client = server.client();
    let terminal = Terminal::of(&server, &server.url());
    let upload = client.create(in_small_parts("open", 4 * MIB)).await.unwrap();
    let mut json = Printing::start(&terminal, &["uploads", "ls", "--watch", "--json"]);
    let mut plain = Printing::start(&terminal, &["uploads", "ls", "--watch"]);
    json.until(|it| it["name"] == "open" && it["persisted_bytes"] == 0).await;
    assert!(plain.line().await.contains("0 % of 4.00 MiB"));
    let content = Content::new(1, 4 * MIB);
    client.write(Frames::to(&upload).all(&content).complete()).await.unwrap();
    json.until(|it| it["state"] == "COMPLETED").await;
    while !plain.line().await.ends_with("completed") {}
    assert_eq!(json.stop().await, Some(130));
    assert_eq!(plain.stop().await, Some(130));
}
