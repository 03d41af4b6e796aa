//! What is found where something is wrong, and where nothing is.

use std::fs;

use serde_json::Value;
use sluice_tests::{Authority, Ended, Server, Terminal, argument};

use crate::tls::Files;

/// What is looked at, in this order.
const CHECKS: [&str; 12] = [
    "version",
    "config",
    "proxy",
    "address",
    "tcp",
    "tls",
    "http2",
    "ready",
    "clock",
    "key",
    "limits",
    "round trip",
];

fn checks(ended: &Ended) -> Vec<Value> {
    ended.events().into_iter().filter(|event| event["event"] == "check").collect()
}

fn status(ended: &Ended, name: &str) -> Value {
    let found = checks(ended).into_iter().find(|check| check["name"] == name);
    found.unwrap_or_else(|| panic!("no {name}: {ended:?}"))["status"].clone()
}

/// Asserts that this is the first thing that is wrong, and how the command ends.
#[track_caller]
fn assert_fails(ended: &Ended, name: &str, code: i32) -> Value {
    ended.assert_code(code);
    let all = checks(ended);
    let names: Vec<_> = all.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names, CHECKS, "the list is always the same");
    let failed = all.into_iter().find(|check| check["status"] == "failed");
    let failed = failed.unwrap_or_else(|| panic!("nothing failed: {ended:?}"));
    assert_eq!(failed["name"], name, "{ended:?}");
    assert!(failed["hint"].is_string(), "no next step: {failed}");
    assert_eq!(ended.event("diagnosis")["code"], code);
    failed
}

#[tokio::test]
async fn where_all_is_well_bytes_go_there_and_back_and_nothing_stays() {
    let server = Server::start().await;
    let terminal = Terminal::of(&server, &server.url());
    let ended = terminal.run(&["doctor", "--json"]).await;
    ended.assert_code(0);
    for name in CHECKS {
        let expect = if name == "tls" { "skipped" } else { "ok" };
        assert_eq!(status(&ended, name), expect, "{name}: {ended:?}");
    }
    assert_eq!(ended.event("diagnosis")["failed"], 0);
    assert!(server.client().list_files(Default::default()).await.unwrap().files.is_empty());

    let reading = terminal.run(&["doctor", "--read-only", "--json"]).await;
    assert_eq!(status(&reading, "round trip"), "skipped");
    let text = terminal.run(&["doctor"]).await;
    let text = text.assert_code(0).text();
    assert!(text.ends_with("all is well\n"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_is_found_where_it_is() {
    let mut server = Server::start().await;
    let terminal = Terminal::of(&server, &server.url());
    fs::write(terminal.path("wrong-key"), "wrong").unwrap();
    fs::write(terminal.path("wrong.toml"), "profil = 1").unwrap();
    let doctor = async |more: &[&str]| terminal.run(&[&["doctor", "--json"], more].concat()).await;
    let key = doctor(&["--api-key-file", "wrong-key"]).await;
    assert_fails(&key, "key", 11);
    assert_eq!(status(&key, "round trip"), "skipped");
    assert_fails(&doctor(&["--config", "wrong.toml"]).await, "config", 2);
    assert_fails(&doctor(&["--server", "http://no-such-host.invalid"]).await, "address", 5);
    let secure = server.url().replace("http://", "https://");
    assert_fails(&doctor(&["--server", &secure]).await, "tls", 5);
    server.kill().await;
    assert_fails(&doctor(&[]).await, "tcp", 5);
}

#[tokio::test]
async fn certificates_are_looked_at() {
    let (authority, other, files) = (Authority::new("one"), Authority::new("other"), Files::new());
    files.put_server(&authority.server());
    let ca = files.put("ca.pem", &authority.certificate());
    let wrong = files.put("other.pem", &other.certificate());
    let server = files.server().start().await;
    let terminal = Terminal::of(&server, &server.url());
    let ended = terminal.run(&["doctor", "--json", "--ca-cert", &ca]).await;
    ended.assert_code(0);
    let tls = checks(&ended).into_iter().find(|check| check["name"] == "tls").unwrap();
    let message = tls["message"].as_str().unwrap();
    assert!(message.contains("TLS 1.3") && message.contains("ends in"), "{message}");
    let ended = terminal.run(&["doctor", "--json", "--ca-cert", &wrong]).await;
    assert_fails(&ended, "tls", 11);

    let server = files.server().setting("SLUICE__TLS__CLIENT_CA", &ca).start().await;
    let terminal = Terminal::of(&server, &server.url());
    let ended = terminal.run(&["doctor", "--json", "--ca-cert", &ca]).await;
    let failed = assert_fails(&ended, "tls", 11);
    assert!(failed["hint"].as_str().unwrap().contains("--client-cert"), "{failed}");
}

#[tokio::test]
async fn what_a_server_needs_is_looked_at_on_its_machine() {
    let terminal = Terminal::without_server();
    let data = argument(&terminal.path("data"));
    let doctor = ["doctor", "--serve", "--json", "--data-dir", &data];
    let ended = terminal.run(&doctor).await;
    ended.assert_code(0);
    for name in ["config", "folder", "space"] {
        assert_eq!(status(&ended, name), "ok", "{ended:?}");
    }
    for name in ["address", "fsync", "files"] {
        assert!(["ok", "warning"].contains(&status(&ended, name).as_str().unwrap()), "{ended:?}");
    }
    assert!(!terminal.path("data").exists(), "looking leaves nothing behind");

    let greedy = Terminal::without_server().set("SLUICE__STORAGE__RESERVE", "4096TiB");
    let full = greedy.run(&doctor).await;
    full.assert_code(8);
    assert_eq!(status(&full, "space"), "failed");

    let wrong = Terminal::without_server().set("SLUICE__LIMITS__UPLOAD_TTL", "soon");
    let ended = wrong.run(&doctor).await;
    ended.assert_code(2);
    assert_eq!(status(&ended, "fsync"), "skipped");
    let nowhere = ["doctor", "--serve", "--json", "--data-dir", "/proc/nowhere"];
    let ended = terminal.run(&nowhere).await;
    ended.assert_code(1);
    assert_eq!(status(&ended, "folder"), "failed");
}
