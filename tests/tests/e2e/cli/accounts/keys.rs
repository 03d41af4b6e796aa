//! API keys.

use std::{fs, os::unix::fs::PermissionsExt};

use sluice_tests::{Content, Server};

use super::{FILE, assert_sent_to_login, person, signed_in};

#[tokio::test]
async fn keys_are_for_programs() {
    let server = Server::with().open_to_all().start().await;
    let ada = signed_in(&server, "ada").await;
    let create = ["keys", "create", "reader", "--scope", "files:read", "--expires", "30d"];
    let created = ada.run(&create).await;
    let secret = created.assert_code(0).text().trim().to_owned();
    assert!(secret.starts_with("sluice_key_") && secret.lines().count() == 1, "{created:?}");
    assert!(!created.stderr.contains(&secret), "{}", created.stderr);
    let listed = ada.run(&["keys", "ls", "--json"]).await;
    let key = listed.assert_code(0).event("api_key");
    assert_eq!(key["scopes"], serde_json::json!(["files:read"]));
    assert!(key["secret"].is_null() && !listed.text().contains(&secret), "{}", listed.text());

    // Kept by `login`, and used for what it may.
    let program = person(&server);
    fs::write(program.path("key"), &secret).unwrap();
    program.run(&["login", "--token-file", "key"]).await.assert_code(0);
    let mode = fs::metadata(program.path(FILE)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    program.run(&["ls"]).await.assert_code(0);
    Content::new(1, 10).write_to(&program.path("file"));
    let refused = program.run(&["upload", "file"]).await;
    assert!(refused.assert_code(11).stderr.contains("uploads:write"), "{}", refused.stderr);

    let id = key["api_key_id"].as_str().unwrap();
    ada.run(&["keys", "revoke", id]).await.assert_code(0);
    ada.run(&["keys", "revoke", id]).await.assert_code(4);
    assert_sent_to_login(&program.run(&["ls"]).await);
    let wrong = program.run(&["login", "--token-file", "key"]).await;
    assert!(wrong.assert_code(11).stderr.contains("still good"), "{}", wrong.stderr);
    for wrong in [&["keys", "create", "x"][..], &["keys", "create", "x", "--scope", "files"]] {
        ada.run(wrong).await.assert_code(2);
    }
}
