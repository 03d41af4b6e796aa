//! People who have accounts, at the command line, and what is kept of them.

mod account;
mod keys;
mod sessions;
mod signing_in;
mod typing;

use std::{fs, time::Duration};

use serde_json::Value;
use sluice_domain::Reason;
use sluice_proto::v1::ListFilesRequest;
use sluice_tests::{Client, Ended, PASSWORD, Server, Terminal, eventually, reason};

const LIMIT: Duration = Duration::from_secs(60);

/// Where credentials are kept.
const FILE: &str = ".config/sluice/credentials.json";

/// Somebody with a password in a file and nothing else.
pub(super) fn person(server: &Server) -> Terminal {
    let terminal = Terminal::without_server().set("SLUICE_SERVER", &server.url());
    fs::write(terminal.path("password"), format!("{PASSWORD}\n")).unwrap();
    terminal
}

pub(super) async fn login(terminal: &Terminal, name: &str) -> Ended {
    let email = format!("{name}@example.com");
    let login = ["login", "--email", &email, "--password-file", "password", "--json"];
    terminal.run(&login).await
}

/// Somebody who has an account and has signed in.
pub(super) async fn signed_in(server: &Server, name: &str) -> Terminal {
    server.person(name).await;
    let terminal = person(server);
    login(&terminal, name).await.assert_code(0);
    terminal
}

pub(super) async fn whoami(terminal: &Terminal) -> Value {
    terminal.run(&["whoami", "--json"]).await.assert_code(0).event("account")
}

/// What is kept of a session.
pub(super) fn kept(terminal: &Terminal) -> Value {
    let file: Value = serde_json::from_slice(&fs::read(terminal.path(FILE)).unwrap()).unwrap();
    let servers = file["servers"].as_object().unwrap();
    assert_eq!(servers.len(), 1);
    servers.values().next().unwrap()["secret"]["session"].clone()
}

/// A secret of a session that is kept.
pub(super) fn token(session: &Value, name: &str) -> String {
    session[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// Waits until the server takes the access token no more.
pub(super) async fn expired(server: &Server, session: &Value) {
    let client = Client::new(&server.url(), &token(session, "access_token"));
    eventually("the access token ends", LIMIT, async || {
        let refused = client.list_files(ListFilesRequest::default()).await.err();
        refused.is_some_and(|status| reason(&status) == Some(Reason::TokenExpired))
    })
    .await;
}

/// Asserts that it was refused, and says that signing in would help.
#[track_caller]
pub(super) fn assert_sent_to_login(ended: &Ended) {
    assert!(ended.assert_code(11).stderr.contains("`sluice login`"), "{}", ended.stderr);
}
