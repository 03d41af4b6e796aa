//! Files, folders and pipes, and how commands end.

use std::{collections::BTreeSet, fs, time::Duration};

use sluice_tests::{Content, MIB, Server, Stored, Terminal, argument, eventually, signal};
use tokio::time::timeout;

async fn user() -> (Server, Terminal) {
    user_of(Server::start().await)
}

fn user_of(server: Server) -> (Server, Terminal) {
    let terminal = Terminal::of(&server, &server.url());
    (server, terminal)
}

/// Name and content of the `number`-th of many files.
fn one_of_many(number: u64) -> (String, Content) {
    let folder = ["", "a/", "a/b/", "ü mlaut/", "…/"][number as usize % 5];
    (format!("{folder}file {number:03}"), Content::new(number, number * 997))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_of_300_files_goes_there_and_back() {
    let (server, terminal) = user().await;
    let folder = terminal.path("folder");
    for (name, content) in (0..300).map(one_of_many) {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        content.write_to(&path);
    }
    let upload = terminal.run(&["upload", "-r", "folder", "--json"]).await;
    let summary = upload.assert_code(0).event("summary");
    assert_eq!((&summary["files"], &summary["failed"]), (&300.into(), &0.into()));

    let (mut names, mut page_token) = (BTreeSet::new(), String::new());
    loop {
        let request = sluice_proto::v1::ListFilesRequest { page_token, ..Default::default() };
        let page = server.client().list_files(request).await.unwrap();
        names.extend(page.files.into_iter().map(|file| file.name));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    let expect: BTreeSet<_> =
        (0..300).map(|number| format!("folder/{}", one_of_many(number).0)).collect();
    assert_eq!(names, expect);

    let again = terminal.run(&["upload", "-r", "folder", "--json"]).await;
    assert_eq!(again.assert_code(0).event("summary")["skipped"], 300, "all are there already");

    let back = terminal.path("back");
    terminal.run(&["download", "-r", "folder", "-o", &argument(&back)]).await.assert_code(0);
    for (name, content) in (0..300).map(one_of_many) {
        let path = back.join("folder").join(&name);
        assert!(content.is_in(&path), "{} is not what it was", path.display());
    }
}

#[tokio::test]
async fn standard_input_and_output_are_files_too() {
    let (server, terminal) = user().await;
    for size in [0, 1, 3 * MIB + 17, 40 * MIB] {
        let content = Content::new(size, size);
        let name = format!("piped {size}");
        let command = ["upload", "-", "--name", &name, "--json"];
        let upload = terminal.pipe(&command, &content.all()).await;
        let id = upload.assert_code(0).event("uploaded")["file_id"].as_str().unwrap().to_owned();
        server.client().assert_content(&id, &content).await;
        let output = terminal.run(&["cat", &name]).await;
        assert!(output.assert_code(0).stdout == content.all(), "other bytes came back");
    }
}

#[tokio::test]
async fn the_same_file_again_is_skipped_and_another_is_refused() {
    let (server, terminal) = user().await;
    let (one, other) = (Content::new(1, MIB), Content::new(2, MIB));
    one.write_to(&terminal.path("file"));
    terminal.run(&["upload", "file"]).await.assert_code(0);
    let again = terminal.run(&["upload", "file", "--json"]).await;
    assert_eq!(again.assert_code(0).event("summary")["skipped"], 1);

    other.write_to(&terminal.path("file"));
    terminal.run(&["upload", "file"]).await.assert_code(6);
    let replaced = terminal.run(&["upload", "file", "--on-conflict", "replace", "--json"]).await;
    let id = replaced.assert_code(0).event("uploaded")["file_id"].as_str().unwrap().to_owned();
    server.client().assert_content(&id, &other).await;
}

#[tokio::test]
async fn commands_end_with_the_codes_that_scripts_rely_on() {
    let (mut server, terminal) = user().await;
    Content::new(1, 10).write_to(&terminal.path("file"));
    terminal.run(&["upload", "file"]).await.assert_code(0);
    terminal.run(&["stat", "file"]).await.assert_code(0);
    terminal.run(&["stat", "no such file"]).await.assert_code(4);
    terminal.run(&["download", "no such file"]).await.assert_code(4);
    terminal.run(&["upload", "no such file"]).await.assert_code(4);
    terminal.run(&["upload", "file", "--no-such-flag"]).await.assert_code(2);
    terminal.run(&["no-such-command"]).await.assert_code(2);
    terminal.run(&["upload", "file", "--name", "../x"]).await.assert_code(6);
    terminal.run(&["mv", "file", "other"]).await.assert_code(0);
    terminal.run(&["rm", "file"]).await.assert_code(4);
    terminal.run(&["rm", "other"]).await.assert_code(0);

    fs::write(terminal.path("wrong-key"), "wrong").unwrap();
    terminal.run(&["ls", "--api-key-file", "wrong-key"]).await.assert_code(11);
    server.kill().await;
    terminal.run(&["ls"]).await.assert_code(5);
}

#[tokio::test]
async fn a_download_of_rotten_bytes_leaves_no_file() {
    let (server, terminal) = user_of(Server::embedded().await);
    let content = Content::new(9, 4 * MIB);
    server.client().put("rotten", &content).await.unwrap();
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    stored.flip_bit(2 * MIB + 1, 0);
    terminal.run(&["download", "rotten"]).await.assert_code(12);
    assert!(!terminal.path("rotten").exists(), "a file of this name looks whole");
    stored.flip_bit(2 * MIB + 1, 0);
    terminal.run(&["download", "rotten"]).await.assert_code(0);
    assert!(content.is_in(&terminal.path("rotten")));
}

#[tokio::test]
async fn a_server_that_is_told_to_stop_stops() {
    let mut server = Server::start().await;
    server.client().put("kept", &Content::new(1, 10)).await.unwrap();
    signal(server.pid(), "TERM").await;
    eventually("it ends", Duration::from_secs(30), async || !server.is_alive()).await;
}

#[tokio::test]
async fn a_data_folder_belongs_to_one_server() {
    let (server, terminal) = user_of(Server::embedded().await);
    let data = argument(&server.data_dir());
    let command = ["serve", "--data-dir", &data, "--listen", "127.0.0.1:0"];
    let second = timeout(Duration::from_secs(20), terminal.run(&command)).await;
    let second = second.expect("it ends by itself");
    assert_ne!(second.code, Some(0));
    assert!(second.stdout.is_empty(), "it said that it listens");
    server.client().list_files(Default::default()).await.expect("the first one goes on");
}
