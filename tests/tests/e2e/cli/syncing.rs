//! Folders that become equal.

use std::{
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use serde_json::Value;
use sluice_tests::{Content, Ended, MIB, Metrics, Server, Terminal};

struct Folders {
    server: Server,
    terminal: Terminal,
}

impl Folders {
    async fn new() -> Self {
        let server = Server::start().await;
        let terminal = Terminal::of(&server, &server.url());
        Self { server, terminal }
    }

    /// Writes files below a folder of the user; the content is that of the
    /// number.
    fn write(&self, files: &[(&str, u64, u64)]) {
        for &(name, seed, size) in files {
            self.terminal.write(name, &Content::new(seed, size));
        }
    }

    async fn sync(&self, arguments: &[&str]) -> Ended {
        let arguments: Vec<_> = ["sync", "--json"].iter().chain(arguments).copied().collect();
        self.terminal.run(&arguments).await
    }

    /// What came to the server so far, as content.
    async fn received(&self) -> u64 {
        Metrics::of(&self.server).await.received()
    }

    async fn handed_out(&self) -> u64 {
        Metrics::of(&self.server).await.handed_out()
    }

    async fn names(&self) -> Vec<String> {
        let listed = self.terminal.run(&["ls", "-r"]).await;
        listed.assert_code(0).lines().into_iter().map(ToOwned::to_owned).collect()
    }
}

fn counts(summary: &Value) -> [u64; 4] {
    ["files", "skipped", "removed", "failed"].map(|key| summary[key].as_u64().unwrap())
}

const TREE: [(&str, u64, u64); 7] = [
    ("photos/a.jpg", 1, 5000),
    ("photos/a/b.jpg", 2, 300_000),
    ("photos/a/empty", 3, 0),
    // Between `a` and `a/`, as bytes go.
    ("photos/a-1.jpg", 4, 70_000),
    ("photos/large", 5, 20 * MIB + 3),
    ("photos/z/ü/…", 6, 1),
    ("photos/z.txt", 7, 10),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_goes_up_once_and_then_only_what_differs() {
    let folders = Folders::new().await;
    folders.write(&TREE);
    let size: u64 = TREE.iter().map(|(_, _, size)| size).sum();
    let first = folders.sync(&["photos", "server:backup/photos"]).await;
    assert_eq!(counts(&first.assert_code(0).event("summary")), [7, 0, 0, 0]);
    assert_eq!(folders.received().await, size);

    let again = folders.sync(&["photos", "server:backup/photos/"]).await;
    let summary = again.assert_code(0).event("summary");
    assert_eq!(counts(&summary), [0, 7, 0, 0]);
    assert_eq!(summary["bytes_sent"], 0);
    assert_eq!(folders.received().await, size, "content was sent again");

    // Of the same size and time, of another size, and new.
    let before = fs::metadata(folders.terminal.path("photos/a.jpg")).unwrap().modified().unwrap();
    folders.write(&[("photos/a.jpg", 8, 5000), ("photos/z.txt", 7, 11), ("photos/new", 9, 100)]);
    let file = fs::File::options().write(true).open(folders.terminal.path("photos/a.jpg")).unwrap();
    file.set_modified(before).unwrap();
    fs::remove_file(folders.terminal.path("photos/a/empty")).unwrap();
    let third = folders.sync(&["photos", "server:backup/photos"]).await;
    let summary = third.assert_code(0).event("summary");
    assert_eq!(counts(&summary), [2, 5, 0, 0], "nothing is deleted by itself");
    assert_eq!(summary["bytes_sent"], 11 + 100);
    let checked = folders.sync(&["--checksum", "photos", "server:backup/photos"]).await;
    let summary = checked.assert_code(0).event("summary");
    assert_eq!(counts(&summary), [1, 6, 0, 0]);
    assert_eq!(checked.names("uploaded"), ["backup/photos/a.jpg"]);
    assert_eq!(folders.received().await, size + 5000 + 11 + 100);

    let fourth = folders.sync(&["--delete", "photos", "server:backup/photos"]).await;
    assert_eq!(counts(&fourth.assert_code(0).event("summary")), [0, 7, 1, 0]);
    assert_eq!(fourth.names("removed"), ["backup/photos/a/empty"]);

    let back = folders.sync(&["server:backup/photos", "back"]).await;
    assert_eq!(counts(&back.assert_code(0).event("summary")), [7, 0, 0, 0]);
    assert!(same(&folders.terminal.path("photos"), &folders.terminal.path("back")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_comes_down_once_and_then_only_what_differs() {
    let folders = Folders::new().await;
    folders.write(&TREE);
    folders.write(&[("elsewhere", 1, 10)]);
    folders.sync(&["photos", "server:photos"]).await.assert_code(0);
    folders.terminal.run(&["upload", "elsewhere"]).await.assert_code(0);
    let size: u64 = TREE.iter().map(|(_, _, size)| size).sum();

    let first = folders.sync(&["server:photos", "back"]).await;
    assert_eq!(counts(&first.assert_code(0).event("summary")), [7, 0, 0, 0]);
    assert_eq!(folders.handed_out().await, size);
    let again = folders.sync(&["server:photos", "back"]).await;
    let summary = again.assert_code(0).event("summary");
    assert_eq!((counts(&summary), &summary["bytes_sent"]), ([0, 7, 0, 0], &0.into()));
    assert_eq!(folders.handed_out().await, size, "content was handed out again");

    folders.write(&[
        ("back/a.jpg", 8, 5000),
        ("back/own/1", 1, 1),
        ("back/own/deep/2", 1, 1),
        // What an earlier download has left is for the next one.
        ("back/large.part", 5, MIB),
        ("back/other.part", 5, 10),
    ]);
    fs::remove_file(folders.terminal.path("back/a/b.jpg")).unwrap();
    let third = folders.sync(&["server:photos", "back"]).await;
    let summary = third.assert_code(0).event("summary");
    assert_eq!((counts(&summary), &summary["bytes_sent"]), ([2, 5, 0, 0], &305_000.into()));
    assert!(folders.terminal.path("back/own/1").exists(), "nothing is deleted by itself");

    let fourth = folders.sync(&["server:photos", "back", "--delete"]).await;
    assert_eq!(counts(&fourth.assert_code(0).event("summary")), [0, 7, 3, 0]);
    assert_eq!(fourth.names("removed"), ["other.part", "own/1", "own/deep/2"]);
    assert!(!folders.terminal.path("back/own").exists(), "folders go with their last file");
    fs::remove_file(folders.terminal.path("back/large.part")).unwrap();
    assert!(same(&folders.terminal.path("photos"), &folders.terminal.path("back")));
}

/// Replaces the bytes of a file and keeps its time.
fn replace_unnoticed(path: &Path, content: &Content) {
    let before = fs::metadata(path).unwrap().modified().unwrap();
    content.write_to(path);
    set_time(path, before);
}

fn set_time(path: &Path, time: SystemTime) {
    fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::new(seconds, 123_456_789)
}

#[tokio::test]
async fn size_and_time_are_enough_and_another_time_is_a_question() {
    let folders = Folders::new().await;
    folders.write(&[("a/1", 1, 10), ("a/2", 2, 20), ("a/3", 3, 30)]);
    let path = |name: &str| folders.terminal.path(name);
    set_time(&path("a/1"), at(1_700_000_000));
    folders.sync(&["a", "server:a"]).await.assert_code(0);
    let time = async |name: &str| {
        let stat = folders.terminal.run(&["stat", name, "--json"]).await;
        stat.assert_code(0).event("file")["metadata"]["mtime"].as_str().unwrap().to_owned()
    };
    assert_eq!(time("a/1").await, "2023-11-14T22:13:20.123456789Z");

    // Bytes that nobody reads; a time that leads to reading the same bytes, and
    // is known from then on; and another time and other bytes.
    replace_unnoticed(&path("a/1"), &Content::new(4, 10));
    let later = "2023-11-14T22:13:21.123456789Z";
    folders.write(&[("a/3", 5, 30)]);
    for name in ["a/2", "a/3"] {
        set_time(&path(name), at(1_700_000_001));
    }
    let ended = folders.sync(&["--dry-run", "a", "server:a"]).await;
    assert_eq!(ended.assert_code(0).names("would_upload"), ["a/3"]);
    assert_ne!(time("a/2").await, later, "a dry run has changed it");
    let ended = folders.sync(&["a", "server:a"]).await;
    assert_eq!(ended.assert_code(0).names("uploaded"), ["a/3"]);
    assert_eq!([time("a/2").await, time("a/3").await], [later, later]);
    replace_unnoticed(&path("a/2"), &Content::new(6, 20));
    let ended = folders.sync(&["a", "server:a"]).await;
    assert_eq!(counts(&ended.assert_code(0).event("summary")), [0, 3, 0, 0]);
    let ended = folders.sync(&["--checksum", "a", "server:a"]).await;
    assert_eq!(ended.assert_code(0).names("uploaded"), ["a/1", "a/2"]);

    // The other way round: files come with their time, and keep being known.
    folders.sync(&["server:a", "back"]).await.assert_code(0);
    let modified = fs::metadata(path("back/3")).unwrap().modified().unwrap();
    assert_eq!(modified, at(1_700_000_001));
    replace_unnoticed(&path("back/1"), &Content::new(7, 10));
    set_time(&path("back/2"), at(1_700_000_002));
    let ended = folders.sync(&["server:a", "back"]).await;
    assert_eq!(counts(&ended.assert_code(0).event("summary")), [0, 3, 0, 0]);
    let ended = folders.sync(&["--checksum", "server:a", "back"]).await;
    assert_eq!(ended.assert_code(0).names("downloaded"), ["a/1"]);
    folders.write(&[("back/1", 8, 10)]);
    let ended = folders.sync(&["server:a", "back"]).await;
    assert_eq!(ended.assert_code(0).names("downloaded"), ["a/1"]);
    assert!(same(&path("a"), &path("back")));

    // Where no time was recorded, bytes decide.
    folders.server.client().put("b/1", &Content::new(1, 10)).await.unwrap();
    folders.write(&[("b/1", 2, 10)]);
    let ended = folders.sync(&["server:b", "b"]).await;
    assert_eq!(ended.assert_code(0).names("downloaded"), ["b/1"]);
}

#[tokio::test]
async fn a_dry_run_tells_and_changes_nothing() {
    let folders = Folders::new().await;
    folders.write(&[("a/1", 1, 10), ("a/2", 2, 20), ("a/3", 3, 30)]);
    let dry = folders.sync(&["--dry-run", "a", "server:a"]).await;
    assert_eq!(dry.assert_code(0).names("would_upload"), ["a/1", "a/2", "a/3"]);
    assert_eq!(folders.received().await, 0);
    folders.sync(&["a", "server:a"]).await.assert_code(0);

    folders.write(&[("a/2", 4, 20), ("a/4", 4, 40)]);
    fs::remove_file(folders.terminal.path("a/1")).unwrap();
    let dry = folders.sync(&["--dry-run", "--delete", "a", "server:a"]).await;
    assert_eq!(dry.assert_code(0).names("would_upload"), ["a/2", "a/4"]);
    assert_eq!(dry.names("would_remove"), ["a/1"]);
    assert_eq!(folders.names().await, ["a/1", "a/2", "a/3"]);

    let dry = folders.sync(&["--dry-run", "--delete", "server:a", "a"]).await;
    assert_eq!(dry.assert_code(0).names("would_download"), ["a/1", "a/2"]);
    assert_eq!(dry.names("would_remove"), ["4"]);
    assert!(!folders.terminal.path("a/1").exists());
    assert!(folders.terminal.path("a/4").exists());
    folders.sync(&["--dry-run", "server:a", "new"]).await.assert_code(0);
    assert!(!folders.terminal.path("new").exists());

    let told = folders.terminal.run(&["sync", "--dry-run", "a", "server:a"]).await;
    let lines = ["would upload a/2 (20 B)", "would upload a/4 (40 B)"];
    assert_eq!(told.assert_code(0).lines(), lines);
}

#[tokio::test]
async fn what_filters_leave_out_is_neither_sent_nor_deleted() {
    let folders = Folders::new().await;
    folders.write(&[("a/1.jpg", 1, 10), ("a/1.tmp", 1, 10), ("a/cache/2.jpg", 1, 10)]);
    folders.sync(&["a", "server:a", "--exclude", "*.tmp"]).await.assert_code(0);
    assert_eq!(folders.names().await, ["a/1.jpg", "a/cache/2.jpg"]);

    fs::remove_dir_all(folders.terminal.path("a/cache")).unwrap();
    fs::remove_file(folders.terminal.path("a/1.jpg")).unwrap();
    let ended = folders.sync(&["--delete", "a", "server:a", "--exclude", "cache/"]).await;
    assert_eq!(ended.assert_code(0).names("removed"), ["a/1.jpg"]);
    assert_eq!(folders.names().await, ["a/1.tmp", "a/cache/2.jpg"]);

    let filters = ["--include", "*.tmp", "--include", "*.jpg", "--exclude", "/cache"];
    let ended = folders.sync(&[&["--delete", "server:a", "a"][..], &filters].concat()).await;
    assert_eq!(counts(&ended.assert_code(0).event("summary")), [0, 1, 0, 0]);
    folders.terminal.run(&["rm", "-r", "a", "--include", "*.tmp"]).await.assert_code(0);
    assert_eq!(folders.names().await, ["a/cache/2.jpg"]);
}

#[tokio::test]
async fn a_mistake_deletes_nothing() {
    let folders = Folders::new().await;
    folders.write(&[("a/1", 1, 10), ("a/2", 2, 20), ("a/3/4", 2, 20), ("file", 1, 1)]);
    folders.sync(&["a", "server:a"]).await.assert_code(0);
    // What is not there, or not a folder, is not an empty folder.
    folders.sync(&["--delete", "server:b", "a"]).await.assert_code(4);
    folders.sync(&["--delete", "b", "server:a"]).await.assert_code(4);
    folders.sync(&["--delete", "file", "server:a"]).await.assert_code(2);
    folders.sync(&["--delete", "server:a", "file"]).await.assert_code(2);
    folders.sync(&["a", "b"]).await.assert_code(2);
    folders.sync(&["server:a", "server:b"]).await.assert_code(2);
    assert_eq!(folders.names().await, ["a/1", "a/2", "a/3/4"]);
    assert!(folders.terminal.path("a/3/4").exists());

    // A file that cannot be named on the server: not everything went well.
    folders.write(&[("a/with\nline", 1, 1)]);
    fs::remove_file(folders.terminal.path("a/1")).unwrap();
    let ended = folders.sync(&["--delete", "a", "server:a"]).await;
    assert_eq!(counts(&ended.assert_code(13).event("summary")), [0, 2, 0, 1]);
    assert!(ended.stderr.contains("1 file not deleted"), "{}", ended.stderr);
    assert_eq!(folders.names().await, ["a/1", "a/2", "a/3/4"]);
}

/// Whether two folders hold the same files.
fn same(left: &Path, right: &Path) -> bool {
    let list = |folder: &Path| {
        let mut paths: Vec<_> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        paths.sort();
        paths
    };
    if left.is_dir() != right.is_dir() {
        return false;
    }
    if !left.is_dir() {
        return fs::read(left).unwrap() == fs::read(right).unwrap();
    }
    list(left) == list(right)
        && list(left).iter().all(|name| same(&left.join(name), &right.join(name)))
}
