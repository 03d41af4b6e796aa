//! Sessions that are kept, refreshed, and ended elsewhere.

use std::fs;

use sluice_domain::Reason;
use sluice_proto::v1::RefreshSessionRequest;
use sluice_tests::{Client, Content, Server, assert_reason, ended};

use super::{FILE, assert_sent_to_login, expired, kept, login, person, signed_in, token, whoami};

#[tokio::test]
async fn commands_go_on_when_access_tokens_end_and_stop_after_logout() {
    let setup = Server::with().open_to_all();
    let server = setup.setting("SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL", "3s").start().await;
    let ada = signed_in(&server, "ada").await;
    assert_eq!(whoami(&ada).await["email"], "ada@example.com");
    let before = kept(&ada);
    expired(&server, &before).await;
    Content::new(1, 10).write_to(&ada.path("file"));
    ada.run(&["upload", "file"]).await.assert_code(0);
    let after = kept(&ada);
    assert_ne!(token(&before, "refresh_token"), token(&after, "refresh_token"));
    assert_eq!(before["session_id"], after["session_id"]);

    let out = ada.run(&["logout", "--json"]).await;
    assert_eq!(out.assert_code(0).event("signed_out")["server"], server.url());
    assert!(!fs::read_to_string(ada.path(FILE)).unwrap().contains("refresh_token"));
    assert_sent_to_login(&ada.run(&["ls"]).await);
    ada.run(&["logout"]).await.assert_code(0);
    // Ended on the server as well.
    let mut auth = Client::anonymous(&server.url()).auth;
    let request = RefreshSessionRequest { refresh_token: token(&after, "refresh_token") };
    assert_reason(auth.refresh_session(request).await, Reason::TokenRevoked);
    // The device stays known, and signs in again.
    login(&ada, "ada").await.assert_code(0);
    ada.run(&["stat", "file"]).await.assert_code(0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_share_a_session_refresh_it_in_turn() {
    let setup = Server::with().open_to_all();
    let server = setup.setting("SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL", "3s").start().await;
    let ada = signed_in(&server, "ada").await;
    for _ in 0..2 {
        let before = kept(&ada);
        expired(&server, &before).await;
        let processes: Vec<_> = (0..6).map(|_| ada.start(&["whoami", "--json"])).collect();
        for process in processes {
            ended(process).await.assert_code(0);
        }
        let after = kept(&ada);
        assert_ne!(token(&before, "refresh_token"), token(&after, "refresh_token"));
        assert_eq!(before["session_id"], after["session_id"]);
    }
    // Nothing is left but the file and its lock.
    let mut left: Vec<_> = fs::read_dir(ada.path(".config/sluice"))
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["credentials.json", "credentials.lock"]);
}

#[tokio::test]
async fn a_session_that_was_ended_elsewhere_says_so() {
    let server = Server::with().open_to_all().start().await;
    let here = signed_in(&server, "ada").await;
    let there = person(&server);
    login(&there, "ada").await.assert_code(0);

    let listed = here.run(&["sessions", "ls", "--json"]).await;
    let sessions = listed.assert_code(0).events();
    // The third is that of the registration.
    assert_eq!(sessions.len(), 3);
    let current: Vec<_> = sessions.iter().filter(|it| it["current"] == true).collect();
    assert_eq!(current[0]["session_id"], kept(&here)["session_id"]);
    assert_eq!(current.len(), 1);

    let id = token(&kept(&there), "session_id");
    here.run(&["sessions", "revoke", &id]).await.assert_code(0);
    assert_sent_to_login(&there.run(&["ls"]).await);
    here.run(&["sessions", "revoke", &id]).await.assert_code(4);
    let revoked = here.run(&["sessions", "revoke", "--others", "--json"]).await;
    assert_eq!(revoked.assert_code(0).event("sessions_revoked")["count"], 1);
    here.run(&["ls"]).await.assert_code(0);
    // Signing out of what has ended is no failure.
    there.run(&["logout"]).await.assert_code(0);

    // A new password ends the others as well.
    login(&there, "ada").await.assert_code(0);
    fs::write(here.path("new"), "twelve lazy lizards").unwrap();
    let change = ["password", "--password-file", "password", "--new-password-file", "new"];
    here.run(&change).await.assert_code(0);
    assert_sent_to_login(&there.run(&["ls"]).await);
    here.run(&change).await.assert_code(11);
    let wrong = login(&there, "ada").await;
    assert!(wrong.assert_code(11).stderr.contains("is wrong"), "{}", wrong.stderr);
}
