//! Every exit code, by a run of the program that ends with it. Scripts decide by
//! these numbers.

use std::{fs, time::Duration};

use sluice_tests::{Content, MIB, Proxy, Server, Stored, Terminal, ended, eventually, signal};

use crate::disk_full::small_server;

async fn user() -> (Server, Terminal) {
    user_of(Server::start().await)
}

fn user_of(server: Server) -> (Server, Terminal) {
    let terminal = Terminal::of(&server, &server.url());
    Content::new(1, 10).write_to(&terminal.path("file"));
    (server, terminal)
}

#[tokio::test]
async fn code_0_is_that_all_went_well() {
    let (_server, terminal) = user().await;
    terminal.run(&["upload", "file"]).await.assert_code(0);
    terminal.run(&["stat", "file"]).await.assert_code(0);
}

#[tokio::test]
async fn code_1_is_what_has_no_code_of_its_own() {
    let (_server, terminal) = user().await;
    terminal.run(&["upload", "file"]).await.assert_code(0);
    let ended = terminal.run(&["download", "file", "-o", "file/below/it"]).await;
    ended.assert_code(1);
    assert!(ended.stderr.contains("file/below"), "{}", ended.stderr);
}

#[tokio::test]
async fn code_2_is_a_command_that_makes_no_sense() {
    let (_server, terminal) = user().await;
    for command in [
        &["upload"][..],
        &["upload", "file", "--no-such-option"],
        &["no-such-command"],
        &["ls", "--server", "ftp://x"],
        &["ls", "--profile", "nobody"],
        &["uploads", "abort", "--all", "--yes", "upl_1"],
        &["cat", "file", "--json"],
    ] {
        terminal.run(command).await.assert_code(2);
    }
    fs::write(terminal.path("wrong.toml"), "sever = 1").unwrap();
    terminal.run(&["ls", "--config", "wrong.toml"]).await.assert_code(2);
}

#[tokio::test]
async fn code_4_is_what_is_not_there() {
    let (_server, terminal) = user().await;
    for command in [
        &["stat", "missing"][..],
        &["cat", "missing"],
        &["rm", "missing"],
        &["mv", "missing", "other"],
        &["sign", "missing"],
        &["ls", "missing"],
        &["download", "missing"],
        &["upload", "missing"],
    ] {
        let ended = terminal.run(command).await;
        ended.assert_code(4);
        assert!(ended.stderr.contains("missing"), "{}", ended.stderr);
    }
}

#[tokio::test]
async fn code_5_is_what_may_go_well_later() {
    let (mut server, terminal) = user().await;
    server.kill().await;
    let ended = terminal.run(&["ls"]).await;
    ended.assert_code(5);
    assert!(ended.stderr.contains("sluice serve"), "no next step: {}", ended.stderr);
    terminal.run(&["upload", "file", "--timeout", "1s"]).await.assert_code(5);
    terminal.run(&["upload", "file", "--timeout", "5m", "--retries", "1"]).await.assert_code(5);
}

#[tokio::test]
async fn code_6_is_what_the_server_will_never_take() {
    let (_server, terminal) = user().await;
    terminal.run(&["upload", "file", "--name", "../file"]).await.assert_code(6);
    terminal.run(&["upload", "file"]).await.assert_code(0);
    Content::new(2, 10).write_to(&terminal.path("file"));
    let ended = terminal.run(&["upload", "file"]).await;
    ended.assert_code(6);
    assert!(ended.stderr.contains("--on-conflict"), "no next step: {}", ended.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_8_is_a_server_that_is_full() {
    let server = small_server().await;
    let terminal = Terminal::of(&server, &server.url());
    let large = fs::File::create(terminal.path("large")).unwrap();
    large.set_len(256 * MIB).unwrap();
    let ended = terminal.run(&["upload", "large"]).await;
    ended.assert_code(8);
    assert!(ended.stderr.contains("operator"), "no next step: {}", ended.stderr);
}

#[tokio::test]
async fn code_11_is_a_key_that_is_not_right() {
    let (server, terminal) = user().await;
    fs::write(terminal.path("wrong-key"), "wrong").unwrap();
    terminal.run(&["ls", "--api-key-file", "wrong-key"]).await.assert_code(11);
    terminal.run(&["ls", "--api-key-file", "no such key"]).await.assert_code(11);
    let nobody = Terminal::without_server().set("SLUICE_SERVER", &server.url());
    nobody.run(&["ls"]).await.assert_code(11);
}

#[tokio::test]
async fn code_12_is_bytes_that_are_not_what_they_should_be() {
    let (server, terminal) = user_of(Server::embedded().await);
    let content = Content::new(9, 4 * MIB);
    server.client().put("rotten", &content).await.unwrap();
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    stored.flip_bit(2 * MIB + 1, 0);
    terminal.run(&["cat", "rotten"]).await.assert_code(12);
    terminal.run(&["download", "rotten"]).await.assert_code(12);
    assert!(!terminal.path("rotten").exists(), "a file of this name looks whole");
}

#[tokio::test]
async fn code_13_is_that_some_files_went_well() {
    let (_server, terminal) = user().await;
    terminal.run(&["upload", "file"]).await.assert_code(0);
    terminal.run(&["rm", "file", "missing"]).await.assert_code(13);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn code_130_is_ctrl_c() {
    let (server, terminal) = user().await;
    let proxy = Proxy::to(server.address()).await;
    proxy.slow_down(MIB);
    let url = proxy.url();
    let terminal = terminal.set("SLUICE_SERVER", &url);
    Content::new(3, 32 * MIB).write_to(&terminal.path("large"));
    let upload = terminal.start(&["upload", "large"]);
    eventually("it is under way", Duration::from_secs(60), async || proxy.sent() > 2 * MIB).await;
    signal(upload.id().unwrap(), "INT").await;
    ended(upload).await.assert_code(130);
    let watch = terminal.start(&["watch"]);
    let before = proxy.received();
    eventually("it watches", Duration::from_secs(60), async || proxy.received() > before).await;
    // A process that has not come to listening yet ends by the signal itself.
    tokio::time::sleep(Duration::from_secs(1)).await;
    signal(watch.id().unwrap(), "TERM").await;
    ended(watch).await.assert_code(130);
}
