//! People who sign in at the command line, and what is kept of it.

use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::PermissionsExt,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use serde_json::Value;
use sluice_domain::Reason;
use sluice_proto::v1::{ListFilesRequest, RefreshSessionRequest};
use sluice_tests::{
    Client, Content, Ended, PASSWORD, Server, Terminal, assert_reason, ended, eventually, reason,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Where credentials are kept.
const FILE: &str = ".config/sluice/credentials.json";

/// Somebody with a password in a file and nothing else.
fn person(server: &Server) -> Terminal {
    let terminal = Terminal::without_server().set("SLUICE_SERVER", &server.url());
    fs::write(terminal.path("password"), format!("{PASSWORD}\n")).unwrap();
    terminal
}

async fn login(terminal: &Terminal, name: &str) -> Ended {
    let email = format!("{name}@example.com");
    let login = ["login", "--email", &email, "--password-file", "password", "--json"];
    terminal.run(&login).await
}

/// Somebody who has an account and has signed in.
async fn signed_in(server: &Server, name: &str) -> Terminal {
    server.person(name).await;
    let terminal = person(server);
    login(&terminal, name).await.assert_code(0);
    terminal
}

async fn whoami(terminal: &Terminal) -> Value {
    terminal.run(&["whoami", "--json"]).await.assert_code(0).event("account")
}

/// What is kept of a session.
fn kept(terminal: &Terminal) -> Value {
    let file: Value = serde_json::from_slice(&fs::read(terminal.path(FILE)).unwrap()).unwrap();
    let servers = file["servers"].as_object().unwrap();
    assert_eq!(servers.len(), 1);
    servers.values().next().unwrap()["secret"]["session"].clone()
}

/// A secret of a session that is kept.
fn token(session: &Value, name: &str) -> String {
    session[name].as_str().unwrap_or_else(|| panic!("no {name}")).to_owned()
}

/// Waits until the server takes the access token no more.
async fn expired(server: &Server, session: &Value) {
    let client = Client::new(&server.url(), &token(session, "access_token"));
    eventually("the access token ends", LIMIT, async || {
        let refused = client.list_files(ListFilesRequest::default()).await.err();
        refused.is_some_and(|status| reason(&status) == Some(Reason::TokenExpired))
    })
    .await;
}

/// Asserts that it was refused, and says that signing in would help.
#[track_caller]
fn assert_sent_to_login(ended: &Ended) {
    assert!(ended.assert_code(11).stderr.contains("`sluice login`"), "{}", ended.stderr);
}

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_type_what_must_not_be_seen() {
    let server = Server::with().open_to_all().start().await;
    let ada = person(&server);
    let register = Typing::at(&ada, &["register"]);
    register.answer("Address: ", "Ada@example.com").await;
    register.answer_unseen("New password: ", PASSWORD).await;
    register.answer_unseen("once more: ", PASSWORD).await;
    register.answer_unseen("if you have one: ", "").await;
    let screen = register.ended(0).await;
    assert!(screen.contains("signed in to") && screen.contains("Ada@example.com"), "{screen}");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert_eq!(whoami(&ada).await["email"], "ada@example.com");

    let login = Typing::at(&ada, &["login", "--email", "ada@example.com"]);
    login.answer_unseen("Password: ", "something else").await;
    assert!(!login.ended(11).await.contains("something else"));
    let bob = Typing::at(&ada, &["register", "--email", "bob@example.com"]);
    bob.answer_unseen("New password: ", PASSWORD).await;
    bob.answer_unseen("once more: ", "something else").await;
    bob.ended(1).await;
    // What was kept before is kept.
    assert_eq!(whoami(&ada).await["email"], "ada@example.com");
}

/// Somebody who answers the questions of a command.
struct Typing {
    child: tokio::process::Child,
    keyboard: Mutex<fs::File>,
    /// Everything on the screen so far.
    screen: Arc<Mutex<String>>,
}

impl Typing {
    fn at(terminal: &Terminal, arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = || fs::File::options().read(true).write(true).open(&name).unwrap();
        let child = terminal.start_at(arguments, theirs(), theirs());
        let ours = fs::File::from(ours);
        let screen = Arc::<Mutex<String>>::default();
        let (mut output, seen) = (ours.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut chunk = [0; 1024];
            // An error is that the other side is closed.
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]);
                seen.lock().unwrap().push_str(&text);
            }
        });
        Self { child, keyboard: Mutex::new(ours), screen }
    }

    /// Types a line once there is the question.
    async fn answer(&self, question: &str, answer: &str) {
        eventually(question, LIMIT, async || self.screen.lock().unwrap().ends_with(question)).await;
        writeln!(self.keyboard.lock().unwrap(), "{answer}").unwrap();
    }

    /// The same for what must not be seen, once the terminal does not show it.
    async fn answer_unseen(&self, question: &str, answer: &str) {
        let hidden = async || {
            let modes = tcgetattr(&*self.keyboard.lock().unwrap()).unwrap().local_modes;
            !modes.contains(LocalModes::ECHO)
        };
        eventually("the terminal hides what is typed", LIMIT, hidden).await;
        self.answer(question, answer).await;
    }

    /// What was to be seen when it ended with this code.
    async fn ended(self, code: i32) -> String {
        let Self { child, screen, .. } = self;
        let ended = ended(child).await;
        let last = if code == 0 { "signed in" } else { "error:" };
        eventually(last, LIMIT, async || screen.lock().unwrap().contains(last)).await;
        let screen = screen.lock().unwrap().clone();
        assert_eq!(ended.code, Some(code), "{screen}");
        screen
    }
}
