//! Filters, dry runs, and what happens to what is there already.

use sha2::{Digest, Sha256};
use sluice_tests::{Content, MIB, Metrics, Server, Stored, Terminal};

async fn user() -> (Server, Terminal) {
    user_of(Server::start().await)
}

fn user_of(server: Server) -> (Server, Terminal) {
    let terminal = Terminal::of(&server, &server.url());
    for (name, seed) in [("d/a.jpg", 1), ("d/b.raw", 2), ("d/c/d.jpg", 3), ("d/c/e.tmp", 4)] {
        terminal.write(name, &Content::new(seed, 1000 * seed));
    }
    (server, terminal)
}

async fn lines(terminal: &Terminal, arguments: &[&str]) -> Vec<String> {
    let ended = terminal.run(arguments).await;
    ended.assert_code(0).lines().into_iter().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn filters_choose_in_every_command_that_takes_folders() {
    let (_server, terminal) = user().await;
    let upload = ["upload", "-r", "d", "--exclude", "*.tmp", "--dry-run"];
    assert_eq!(
        lines(&terminal, &upload).await,
        [
            "would upload d/a.jpg (1000 B)",
            "would upload d/b.raw (1.95 KiB)",
            "would upload d/c/d.jpg (2.93 KiB)"
        ]
    );
    assert!(lines(&terminal, &["ls", "-r"]).await.is_empty());
    terminal.run(&upload[..5]).await.assert_code(0);
    let all = ["d/a.jpg", "d/b.raw", "d/c/d.jpg"];
    assert_eq!(lines(&terminal, &["ls", "-r"]).await, all);
    assert_eq!(
        lines(&terminal, &["ls", "-r", "d", "--include", "*.jpg"]).await,
        ["d/a.jpg", "d/c/d.jpg"]
    );
    assert_eq!(lines(&terminal, &["ls", "d", "--exclude", "c/"]).await, ["a.jpg", "b.raw"]);

    let download = ["download", "-r", "d", "-o", "back", "--exclude", "/c", "--json", "--dry-run"];
    let dry = terminal.run(&download).await;
    assert_eq!(dry.assert_code(0).names("would_download"), ["d/a.jpg", "d/b.raw"]);
    assert_eq!(dry.event("summary")["bytes"], 3000);
    assert!(!terminal.path("back").exists());
    terminal.run(&download[..8]).await.assert_code(0);
    assert!(terminal.path("back/d/a.jpg").exists() && !terminal.path("back/d/c").exists());

    let remove = ["rm", "-r", "d", "--include", "*.jpg", "--dry-run"];
    assert_eq!(
        lines(&terminal, &remove).await,
        ["would remove d/a.jpg (1000 B)", "would remove d/c/d.jpg (2.93 KiB)"]
    );
    terminal.run(&remove[..5]).await.assert_code(0);
    assert_eq!(lines(&terminal, &["ls", "-r"]).await, ["d/b.raw"]);

    for wrong in [
        &["rm", "d/b.raw", "--include", "*"][..],
        &["upload", "-r", "d", "--exclude", "[a"],
        &["download", "d/b.raw", "--exclude", "x"],
    ] {
        terminal.run(wrong).await.assert_code(2);
    }
}

#[tokio::test]
async fn lists_have_the_order_that_was_asked_for() {
    let (_server, terminal) = user().await;
    for name in ["d/c/e.tmp", "d/a.jpg", "d/c/d.jpg", "d/b.raw"] {
        terminal.run(&["upload", name, "--name", name]).await.assert_code(0);
    }
    let list =
        async |arguments: &[&str]| lines(&terminal, &[&["ls", "d"], arguments].concat()).await;
    assert_eq!(
        list(&["--sort", "size", "-r"]).await,
        ["d/c/e.tmp", "d/c/d.jpg", "d/b.raw", "d/a.jpg"]
    );
    assert_eq!(
        list(&["--sort", "time", "-r"]).await,
        ["d/b.raw", "d/c/d.jpg", "d/a.jpg", "d/c/e.tmp"]
    );
    assert_eq!(list(&["--sort", "time"]).await, ["c/", "b.raw", "a.jpg"]);
    assert_eq!(list(&[]).await, ["a.jpg", "b.raw", "c/"]);
}

#[tokio::test]
async fn what_is_there_already_is_not_sent_to_find_that_out() {
    let (server, terminal) = user().await;
    let received = async || Metrics::of(&server).await.received();
    terminal.write("file", &Content::new(5, MIB));
    terminal.run(&["upload", "file"]).await.assert_code(0);
    assert_eq!(received().await, MIB);
    terminal.run(&["upload", "file"]).await.assert_code(0);
    terminal.write("file", &Content::new(6, MIB));
    let refused = terminal.run(&["upload", "file"]).await;
    assert!(refused.assert_code(6).stderr.contains("--on-conflict replace"), "{}", refused.stderr);
    assert_eq!(received().await, MIB, "content was sent in vain");
    let dry = terminal.run(&["upload", "file", "--on-conflict", "replace", "--dry-run"]).await;
    assert_eq!(dry.assert_code(0).lines(), ["would upload file (1.00 MiB)"]);
    terminal.run(&["upload", "file", "--dry-run"]).await.assert_code(6);
    assert_eq!(received().await, MIB);
}

#[tokio::test]
async fn downloads_replace_what_they_may() {
    let (_server, terminal) = user().await;
    let (here, there) = (Content::new(1, 5000), Content::new(2, 5000));
    terminal.write("file", &there);
    terminal.run(&["upload", "file"]).await.assert_code(0);

    terminal.write("file", &here);
    let download = async |overwrite: &str| {
        terminal.run(&["download", "file", "--overwrite", overwrite, "--json"]).await
    };
    let never = download("never").await;
    assert_eq!(never.assert_code(0).events()[0]["event"], "kept");
    assert!(here.is_in(&terminal.path("file")));
    let different = download("if-different").await;
    assert_eq!(different.assert_code(0).event("summary")["bytes_sent"], 5000);
    assert!(there.is_in(&terminal.path("file")));
    for same in ["never", "if-different"] {
        assert_eq!(download(same).await.assert_code(0).events()[0]["event"], "skipped");
    }
    assert_eq!(download("always").await.assert_code(0).event("summary")["bytes_sent"], 5000);
}

#[tokio::test]
async fn a_folder_gets_another_name_file_by_file() {
    let (_server, terminal) = user().await;
    terminal.run(&["upload", "-r", "d"]).await.assert_code(0);
    let dry = terminal.run(&["mv", "-r", "d/c", "e", "--dry-run"]).await;
    assert_eq!(
        dry.assert_code(0).lines(),
        ["would rename d/c/d.jpg to e/d.jpg", "would rename d/c/e.tmp to e/e.tmp"]
    );
    let moved = terminal.run(&["mv", "-r", "d/c/", "e", "--json"]).await;
    assert_eq!(moved.assert_code(0).names("renamed"), ["d/c/d.jpg", "d/c/e.tmp"]);
    terminal.run(&["mv", "-r", "e", "f/"]).await.assert_code(0);
    let names = lines(&terminal, &["ls", "-r"]).await;
    assert_eq!(names, ["d/a.jpg", "d/b.raw", "f/e/d.jpg", "f/e/e.tmp"]);

    // The event of one file is that of each file of a folder.
    let moved = terminal.run(&["mv", "d/a.jpg", "d/first.jpg", "--json"]).await;
    let [renamed] = &moved.assert_code(0).events()[..] else { panic!("{moved:?}") };
    let names = ["event", "name", "new_name"].map(|key| renamed[key].as_str().unwrap());
    assert_eq!(names, ["renamed", "d/a.jpg", "d/first.jpg"]);
    let file_id = renamed["file_id"].as_str().unwrap();
    terminal.run(&["mv", file_id, "d/a.jpg"]).await.assert_code(0);

    // What is in the way stops one file and not the others.
    terminal.write("x", &Content::new(9, 1));
    terminal.run(&["upload", "x", "--name", "g/d.jpg"]).await.assert_code(0);
    terminal.run(&["mv", "-r", "f/e", "g"]).await.assert_code(13);
    terminal.run(&["rm", "g/d.jpg"]).await.assert_code(0);
    terminal.run(&["mv", "-r", "f/e", "g"]).await.assert_code(0);
    terminal.run(&["mv", "-r", "f/e", "g"]).await.assert_code(4);
    terminal.run(&["mv", "-r", "d", "d/in"]).await.assert_code(2);
    let names = lines(&terminal, &["ls", "-r"]).await;
    assert_eq!(names, ["d/a.jpg", "d/b.raw", "g/d.jpg", "g/e.tmp"]);
}

#[tokio::test]
async fn verify_says_whether_the_bytes_are_the_same() {
    let (server, terminal) = user_of(Server::embedded().await);
    let large = Content::new(7, 4 * MIB);
    terminal.write("d/large", &large);
    terminal.run(&["upload", "-r", "d"]).await.assert_code(0);
    let sound = terminal.run(&["verify", "d", "--json"]).await;
    assert_eq!(sound.assert_code(0).event("summary")["files"], 5);
    terminal.run(&["verify", "d/a.jpg", "server:d/a.jpg"]).await.assert_code(0);
    terminal.run(&["verify", "d/a.jpg"]).await.assert_code(4);
    terminal.run(&["verify", "d/a.jpg", "d/b.raw"]).await.assert_code(12);
    terminal.run(&["verify", "server:d"]).await.assert_code(0);
    terminal.run(&["verify", "server:d/large"]).await.assert_code(0);
    terminal.run(&["verify", "server:e"]).await.assert_code(4);
    let nowhere = terminal.run(&["verify", "d", "e"]).await;
    assert_eq!(nowhere.assert_code(4).stderr.matches("error:").count(), 1);

    // Not on the server; other bytes of the same size; and rotten there.
    terminal.write("d/new", &Content::new(8, 10));
    terminal.run(&["verify", "d"]).await.assert_code(4);
    terminal.run(&["verify", "d", "--exclude", "new"]).await.assert_code(0);
    terminal.write("d/a.jpg", &Content::new(9, 1000));
    let wrong = terminal.run(&["verify", "d", "--json"]).await;
    assert_eq!(wrong.assert_code(12).names("failed"), ["d/a.jpg", "d/new"]);
    assert_eq!(wrong.event("summary")["files"], 4);

    let stored = Stored::find(&server.data_dir(), &large).expect("the bytes are stored");
    stored.flip_bit(2 * MIB + 1, 0);
    terminal.run(&["verify", "d/large", "d/large"]).await.assert_code(0);
    terminal.run(&["verify", "--deep", "d/large", "d/large"]).await.assert_code(12);
    terminal.run(&["verify", "server:d/large"]).await.assert_code(12);
}

#[tokio::test]
async fn a_declared_checksum_is_waited_for() {
    let (_server, terminal) = user().await;
    let content = Content::new(1, 20 * MIB);
    terminal.write("file", &content);
    let right = hex::encode(Sha256::digest(content.all()));
    let upload = ["upload", "file", "--json", "--checksum"];
    let uploaded = terminal.run(&[&upload[..], &[&right]].concat()).await;
    uploaded.assert_code(0);
    let stat = terminal.run(&["stat", "file", "--json"]).await;
    let stat = &stat.assert_code(0).events()[0];
    assert_eq!((&stat["state"], &stat["sha256"]), (&"READY".into(), &right.clone().into()));
    terminal.run(&["rm", "file"]).await.assert_code(0);

    let wrong = hex::encode(Sha256::digest(b"something else"));
    terminal.run(&[&upload[..], &[&wrong]].concat()).await.assert_code(12);
    terminal.run(&[&upload[..], &["abc"]].concat()).await.assert_code(2);
    terminal.run(&["upload", "file", "d/a.jpg", "--checksum", &right]).await.assert_code(2);
}
