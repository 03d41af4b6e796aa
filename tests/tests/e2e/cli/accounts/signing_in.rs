//! Signing in, and what commands take for whom.

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;
use sluice_tests::{Content, PASSWORD, Server, Terminal};

use super::{FILE, assert_sent_to_login, kept, login, person, signed_in, token, whoami};

#[tokio::test]
async fn the_first_account_is_made_with_the_token_of_the_data_folder() {
    let server = Server::start().await;
    let data_dir = server.data_dir();
    let data_dir = data_dir.to_str().unwrap();
    let ada = person(&server);
    let register = ["register", "--email", "ada@example.com", "--password-file", "password"];
    // Not without the token, which is in a folder that must be named.
    let refused = ada.run(&register).await;
    assert!(refused.assert_code(11).stderr.contains("--setup-token-file"), "{}", refused.stderr);
    assert!(!ada.path(FILE).exists());

    let named = [&register[..], &["--name", "Ada", "--data-dir", data_dir, "--json"]].concat();
    let registered = ada.run(&named).await;
    let event = registered.assert_code(0).event("signed_in");
    assert_eq!(event["email"], "ada@example.com");
    assert_eq!(event["path"], ada.path(FILE).to_str().unwrap());
    assert_eq!(registered.stderr.matches("warning:").count(), 1, "{}", registered.stderr);
    let mode = |path: &str| fs::metadata(ada.path(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(FILE), 0o600);
    assert_eq!(mode(".config/sluice"), 0o700);
    let account = whoami(&ada).await;
    assert_eq!((&account["email"], &account["display_name"]), (&event["email"], &"Ada".into()));

    // Nothing that was printed is a secret.
    let session = kept(&ada);
    let printed = format!("{}{}", registered.text(), registered.stderr);
    for secret in [PASSWORD, &token(&session, "access_token"), &token(&session, "refresh_token")] {
        assert!(!printed.contains(secret), "{printed}");
    }
    // The operator owns what the data folder's key has uploaded, and the other way round.
    Content::new(1, 10).write_to(&ada.path("file"));
    ada.run(&["upload", "file"]).await.assert_code(0);
    Terminal::of(&server, &server.url()).run(&["stat", "file"]).await.assert_code(0);

    // Others are invited.
    let invitation = ada.run(&["admin", "invite", "--expires", "1d"]).await;
    let bob = person(&server);
    fs::write(bob.path("invitation"), &invitation.assert_code(0).stdout).unwrap();
    let register = ["register", "--email", "bob@example.com", "--password-file", "password"];
    let invited = [&register[..], &["--setup-token-file", "invitation"]].concat();
    bob.run(&invited).await.assert_code(0);
    assert_eq!(whoami(&bob).await["email"], "bob@example.com");
    bob.run(&["stat", "file"]).await.assert_code(4);
    bob.run(&["admin", "accounts"]).await.assert_code(11);
    // An invitation is for one.
    let carol = ["register", "--email", "carol@example.com", "--password-file", "password"];
    let carol = [&carol[..], &["--setup-token-file", "invitation"]].concat();
    bob.run(&carol).await.assert_code(11);
}

#[tokio::test]
async fn a_refresh_token_signs_in_and_is_used_up() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let terminal = person(&server);
    let login = ["login", "--token-file", "-", "--json"];
    let input = format!("{}\n", ada.tokens.refresh_token);
    let signed_in = terminal.pipe(&login, input.as_bytes()).await;
    assert_eq!(signed_in.assert_code(0).event("signed_in")["email"], "ada@example.com");
    terminal.run(&["ls"]).await.assert_code(0);
    assert_ne!(token(&kept(&terminal), "refresh_token"), ada.tokens.refresh_token);
    let nonsense = terminal.pipe(&login, b"nonsense").await;
    assert!(nonsense.assert_code(11).stderr.contains("refresh token"), "{}", nonsense.stderr);
    // What was there is still there.
    terminal.run(&["ls"]).await.assert_code(0);
}

#[tokio::test]
async fn what_was_named_wins_over_who_has_signed_in() {
    let server = Server::with().open_to_all().start().await;
    let ada = signed_in(&server, "ada").await;
    let data_dir = server.data_dir();
    let operators = ["--data-dir", data_dir.to_str().unwrap()];
    let key_file = data_dir.join("api-key");
    let key_file = ["--api-key-file", key_file.to_str().unwrap()];
    let who = async |terminal: &Terminal, more: &[&str]| {
        let ended = terminal.run(&[&["whoami", "--json"], more].concat()).await;
        ended.assert_code(0).event("account")["email"].clone()
    };
    assert_eq!(who(&ada, &[]).await, "ada@example.com");
    assert_eq!(who(&ada, &operators).await, "ada@example.com");
    assert_eq!(who(&ada, &key_file).await, Value::Null);
    let ada = ada.set("SLUICE_API_KEY", &server.key());
    assert_eq!(who(&ada, &[]).await, Value::Null);
    let again = login(&ada, "ada").await;
    assert!(again.assert_code(0).stderr.contains("SLUICE_API_KEY"), "{}", again.stderr);
    let ada = ada.set("SLUICE_API_KEY", "");
    assert_eq!(who(&ada, &[]).await, "ada@example.com");
    let shown = ada.run(&["config", "show", "--json"]).await;
    let shown = shown.assert_code(0).events();
    let key = shown.iter().find(|it| it["key"] == "api_key").unwrap();
    assert_eq!(key["value"], ada.path(FILE).to_str().unwrap());

    // Another server on this machine is another one, and gets none of it.
    let other = Server::start().await;
    assert_sent_to_login(&ada.run(&["ls", "--server", &other.url()]).await);
    // Who has signed out is whoever the data folder says.
    ada.run(&["logout"]).await.assert_code(0);
    assert_eq!(who(&ada, &operators).await, Value::Null);
}

#[tokio::test]
async fn a_server_that_is_gone_does_not_keep_anybody_signed_in() {
    let mut server = Server::with().open_to_all().start().await;
    let ada = signed_in(&server, "ada").await;
    server.kill().await;
    let out = ada.run(&["logout", "--timeout", "1s"]).await;
    assert!(out.assert_code(5).stderr.contains("forgotten here"), "{}", out.stderr);
    assert!(!fs::read_to_string(ada.path(FILE)).unwrap().contains("refresh_token"));
}

#[tokio::test]
async fn nobody_is_asked_where_nobody_is() {
    let server = Server::with().open_to_all().start().await;
    let terminal = person(&server);
    for command in [
        &["login"][..],
        &["login", "--email", "ada@example.com"],
        &["login", "--email", "ada@example.com", "--password-file", "-"],
        &[
            "login",
            "--email",
            "ada@example.com",
            "--password-file",
            "password",
            "--token-file",
            "x",
        ],
        &["register", "--password-file", "password"],
    ] {
        terminal.run(command).await.assert_code(2);
    }
    let missing = ["login", "--email", "ada@example.com", "--password-file", "missing"];
    terminal.run(&missing).await.assert_code(4);
    assert!(!terminal.path(FILE).exists());
}
