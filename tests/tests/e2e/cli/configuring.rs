//! Settings: which one holds, where it comes from, and what is no setting.

use std::fs;

use serde_json::Value;
use sluice_tests::{Ended, Server, Terminal, argument};

/// The usual place of the configuration.
const FILE: &str = ".config/sluice/client.toml";

fn write(terminal: &Terminal, text: &str) {
    fs::create_dir_all(terminal.path(".config/sluice")).unwrap();
    fs::write(terminal.path(FILE), text).unwrap();
}

fn setting(shown: &Ended, key: &str) -> Value {
    let found = shown.assert_code(0).events().into_iter().find(|it| it["key"] == key);
    found.unwrap_or_else(|| panic!("no {key}: {shown:?}"))
}

#[tokio::test]
async fn a_profile_says_which_server_and_whose_key() {
    let server = Server::start().await;
    let terminal = Terminal::without_server();
    fs::write(terminal.path("key"), server.key()).unwrap();
    let url = server.url();
    write(
        &terminal,
        &format!("[profiles.work]\nserver = \"{url}\"\napi_key_file = \"~/key\"\nretries = 0\n"),
    );
    terminal.run(&["ls", "--profile", "work"]).await.assert_code(0);
    let working = Terminal::without_server();
    write(&working, &fs::read_to_string(terminal.path(FILE)).unwrap());
    fs::write(working.path("key"), server.key()).unwrap();
    let working = working.set("SLUICE_PROFILE", "work");
    working.run(&["ls"]).await.assert_code(0);
    let nobody = terminal.run(&["ls", "--profile", "play"]).await;
    nobody.assert_code(2);
    assert!(nobody.stderr.contains("has work"), "{}", nobody.stderr);

    // The key of a profile goes to no other server.
    let other = Server::start().await;
    let elsewhere = format!("http://localhost:{}", other.address().port());
    let refused = working.run(&["ls", "--server", &elsewhere]).await;
    refused.assert_code(11);
    assert!(!other.log().contains(&server.key()));
}

#[tokio::test]
async fn each_setting_says_where_it_comes_from() {
    let terminal =
        Terminal::without_server().set("SLUICE_TIMEOUT", "20s").set("SLUICE_RETRIES", "7");
    write(
        &terminal,
        "[profiles.default]\n\nserver = \"https://files.example.com\"\ntimeout = \"1m\"\n",
    );
    let shown = terminal.run(&["config", "show", "--json", "--retries", "3"]).await;
    let server = setting(&shown, "server");
    assert_eq!(server["value"], "https://files.example.com");
    assert_eq!(server["origin"], "file");
    let source = server["source"].as_str().unwrap();
    assert!(source.ends_with(&format!("{FILE}:3")), "{source}");
    let timeout = setting(&shown, "timeout");
    assert_eq!((&timeout["value"], &timeout["origin"]), (&"20s".into(), &"environment".into()));
    assert_eq!(timeout["source"], "SLUICE_TIMEOUT");
    let retries = setting(&shown, "retries");
    assert_eq!((&retries["value"], &retries["source"]), (&"3".into(), &"--retries".into()));
    assert_eq!(setting(&shown, "ca_cert")["origin"], "default");

    let secret = terminal.set("SLUICE_API_KEY", "s3cret");
    let shown = secret.run(&["config", "show"]).await;
    let text = shown.assert_code(0).text();
    assert!(text.contains("SLUICE_API_KEY") && !text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn what_is_wrong_in_the_file_is_named_with_its_line() {
    let terminal = Terminal::without_server();
    for (text, part) in [
        ("[profiles.a]\nsevrer = \"x\"", "client.toml:2: unknown key `sevrer`"),
        ("[profiles.a]\n\nconcurrency = 0", "client.toml:3: profiles.a.concurrency"),
        ("[profiles.a", "client.toml:1"),
    ] {
        write(&terminal, text);
        for command in [&["config", "check"][..], &["ls"], &["config", "show"]] {
            let ended = terminal.run(command).await;
            ended.assert_code(2);
            assert!(ended.stderr.contains(part), "{text:?}: {}", ended.stderr);
        }
    }
    write(&terminal, "[profiles.a]\napi_key = \"s3cret\"");
    let ended = terminal.run(&["config", "check"]).await;
    ended.assert_code(2);
    assert!(ended.stderr.contains("api_key_file"), "no next step: {}", ended.stderr);
    assert!(!ended.stderr.contains("s3cret"), "{}", ended.stderr);
}

#[tokio::test]
async fn the_example_is_a_file_that_is_right() {
    let terminal = Terminal::without_server();
    let path = terminal.run(&["config", "path"]).await;
    let path = path.assert_code(0).text();
    assert!(path.trim().ends_with(FILE), "{path}");
    let example = terminal.run(&["config", "example"]).await;
    write(&terminal, example.assert_code(0).text());
    let checked = terminal.run(&["config", "check", "--json"]).await;
    let config = checked.assert_code(0).event("config");
    assert_eq!((&config["exists"], &config["profiles"][0]), (&true.into(), &"default".into()));

    let example = terminal.run(&["config", "example", "--serve"]).await;
    fs::write(terminal.path("server.toml"), &example.assert_code(0).stdout).unwrap();
    let check = ["config", "check", "--serve", "--config", "server.toml"];
    terminal.run(&check).await.assert_code(0);
}

#[tokio::test]
async fn the_configuration_of_a_server_is_looked_at_without_starting_it() {
    let terminal = Terminal::without_server()
        .set("SLUICE__LIMITS__UPLOAD_TTL", "3d")
        .set("SLUICE__WORKER__SWEEP_INTERVAL", "9s");
    let file = terminal.path("sluice.toml");
    fs::write(&file, "[limits]\nupload_ttl = \"2d\"\n\nmax_streams = 5\n").unwrap();
    let named = argument(&file);
    let show = ["config", "show", "--serve", "--config", &named, "--data-dir", "here", "--json"];
    let shown = terminal.run(&show).await;
    let ttl = setting(&shown, "limits.upload_ttl");
    assert_eq!(
        (&ttl["value"], &ttl["source"]),
        (&"3d".into(), &"SLUICE__LIMITS__UPLOAD_TTL".into())
    );
    let streams = setting(&shown, "limits.max_streams");
    assert_eq!((&streams["value"], &streams["origin"]), (&"5".into(), &"file".into()));
    assert!(streams["source"].as_str().unwrap().ends_with("sluice.toml:4"), "{streams}");
    assert_eq!(setting(&shown, "storage.data_dir")["origin"], "flag");
    assert_eq!(setting(&shown, "server.listen")["origin"], "default");
    assert_eq!(setting(&shown, "tls.certificate")["value"], Value::Null);
    let flags = ["--listen", "127.0.0.1:7171", "--log-level", "debug"];
    let flagged = terminal.run(&[&show[..], &flags].concat()).await;
    for (key, value, flag) in [
        ("server.listen", "127.0.0.1:7171", "--listen"),
        ("log.level", "debug", "--log-level"),
        ("storage.data_dir", "here", "--data-dir"),
    ] {
        let shown = setting(&flagged, key);
        assert_eq!((&shown["value"], &shown["source"]), (&value.into(), &flag.into()));
    }
    terminal.run(&["config", "show", "--listen", "127.0.0.1:7171"]).await.assert_code(2);
    let check = ["config", "check", "--serve", "--log-level", "=loud="];
    terminal.run(&check).await.assert_code(2);
    assert!(!terminal.path("here").exists(), "looking leaves nothing behind");

    for (text, part) in [
        ("[limits]\n\nmin_part_size = 7", "limits.min_part_size"),
        ("[limits]\n\nmax_file_size = \"many\"", "limits.max_file_size"),
        ("[limits]\n\nmany = 1", "limits.many"),
        ("[tls]\n\ncertificate = \"no such file\"\nkey = \"k\"", "no such file"),
        ("[log]\n\nlevel = \"=loud=\"", "log.level"),
    ] {
        fs::write(&file, text).unwrap();
        let ended = terminal.run(&["config", "check", "--serve", "--config", &named]).await;
        ended.assert_code(2);
        assert!(ended.stderr.contains(part), "{text:?}: {}", ended.stderr);
        if part.starts_with("limits") {
            assert!(ended.stderr.contains("sluice.toml:3"), "{text:?}: {}", ended.stderr);
        }
    }
}
