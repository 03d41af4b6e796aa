//! Changes to the account itself.

use std::fs;

use sluice_tests::{Content, Server};

use super::{FILE, assert_sent_to_login, login, person, signed_in, whoami};

#[tokio::test]
async fn an_account_is_renamed() {
    let server = Server::with().open_to_all().start().await;
    let ada = signed_in(&server, "ada").await;
    let renamed = ada.run(&["account", "rename", "Countess", "--json"]).await;
    assert_eq!(renamed.assert_code(0).event("account")["display_name"], "Countess");
    assert_eq!(whoami(&ada).await["display_name"], "Countess");
    let long = "x".repeat(10_000);
    let refused = ada.run(&["account", "rename", &long]).await;
    assert!(refused.assert_code(6).stderr.contains("display_name"), "{}", refused.stderr);
}

#[tokio::test]
async fn an_account_is_deleted_by_whoever_knows_its_password() {
    let server = Server::with().open_to_all().start().await;
    let ada = signed_in(&server, "ada").await;
    Content::new(1, 10).write_to(&ada.path("file"));
    ada.run(&["upload", "file"]).await.assert_code(0);
    let delete = ["account", "delete", "--password-file", "password"];
    // Nobody is at a terminal to confirm it.
    let refused = ada.run(&delete).await;
    assert!(refused.assert_code(2).stderr.contains("--yes"), "{}", refused.stderr);
    fs::write(ada.path("wrong"), "twelve lazy lizards").unwrap();
    let wrong = ["account", "delete", "--password-file", "wrong", "--yes"];
    let refused = ada.run(&wrong).await;
    assert!(refused.assert_code(11).stderr.contains("has now"), "{}", refused.stderr);
    ada.run(&["stat", "file"]).await.assert_code(0);

    let account = whoami(&ada).await;
    let deleted = ada.run(&[&delete[..], &["--yes", "--json"]].concat()).await;
    let event = deleted.assert_code(0).event("account_deleted");
    assert_eq!(event["account_id"], account["account_id"]);
    assert!(!fs::read_to_string(ada.path(FILE)).unwrap().contains("refresh_token"));
    assert_sent_to_login(&ada.run(&["ls"]).await);
    login(&person(&server), "ada").await.assert_code(11);
}
