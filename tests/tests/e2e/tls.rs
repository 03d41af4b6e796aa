//! Secured connections: who is trusted, who is not, and certificates that
//! change.

use std::{fs, path::PathBuf, time::Duration};

use sluice_tests::{
    Authority, Content, Identity, MIB, Proxy, Server, Terminal, argument, ended, eventually,
};
use tempfile::TempDir;

/// The files that a server and its users need.
pub(crate) struct Files {
    folder: TempDir,
}

impl Files {
    pub(crate) fn new() -> Self {
        Self { folder: TempDir::with_prefix("sluice-tls-").unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) -> String {
        fs::write(self.path(name), text).unwrap();
        argument(&self.path(name))
    }

    /// Puts a server's certificate where the server looks for it.
    pub(crate) fn put_server(&self, identity: &Identity) {
        identity.write_to(&self.path("server.pem"), &self.path("server.key"));
    }

    /// The arguments of a client that shows this certificate.
    fn client(&self, name: &str, identity: &Identity) -> [String; 4] {
        let certificate = self.put(&format!("{name}.pem"), &identity.certificate);
        let key = self.put(&format!("{name}.key"), &identity.key);
        ["--client-cert".into(), certificate, "--client-key".into(), key]
    }

    /// A server with the certificate that was put there.
    pub(crate) fn server(&self) -> sluice_tests::Setup {
        let [certificate, key] =
            ["server.pem", "server.key"].map(|name| argument(&self.path(name)));
        Server::with()
            .setting("SLUICE__TLS__CERTIFICATE", &certificate)
            .setting("SLUICE__TLS__KEY", &key)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_goes_there_and_back_over_tls() {
    let (authority, files) = (Authority::new("one"), Files::new());
    files.put_server(&authority.server());
    let server = files.server().start().await;
    assert!(server.url().starts_with("https://"), "{}", server.url());
    let ca = files.put("ca.pem", &authority.certificate());
    let terminal = Terminal::of(&server, &server.url());
    let content = Content::new(1, 40 * MIB + 7);
    content.write_to(&terminal.path("file"));
    for input in ["file", "-"] {
        let name = format!("secret {input}");
        let upload =
            terminal.start_piped(&["upload", input, "--name", &name, "--json", "--ca-cert", &ca]);
        let uploaded = feed(upload, &content, input == "-").await;
        let event = uploaded.assert_code(0).event("uploaded");
        assert_eq!((&event["size"], &event["bytes_resent"]), (&content.size().into(), &0.into()));
        let back = argument(&terminal.path("back"));
        terminal.run(&["download", &name, "-o", &back, "--ca-cert", &ca]).await.assert_code(0);
        assert!(content.is_in(&terminal.path("back")), "other bytes came back");
    }
}

#[tokio::test]
async fn silence_instead_of_a_handshake_is_ended() {
    use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};
    let (authority, files) = (Authority::new("one"), Files::new());
    files.put_server(&authority.server());
    let server = files.server().start().await;
    let mut silent = TcpStream::connect(server.address()).await.unwrap();
    let mut answer = Vec::new();
    let ended = timeout(Duration::from_secs(10), silent.read_to_end(&mut answer)).await;
    ended.expect("the connection is ended").ok();
    assert!(answer.is_empty(), "{answer:?}");
}

/// Writes content to a command's standard input, or nothing.
async fn feed(
    mut command: tokio::process::Child,
    content: &Content,
    wanted: bool,
) -> sluice_tests::Ended {
    use tokio::io::AsyncWriteExt;
    let mut stdin = command.stdin.take().unwrap();
    if wanted {
        stdin.write_all(&content.all()).await.unwrap();
    }
    drop(stdin);
    ended(command).await
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_not_talked_to() {
    let (authority, other, files) = (Authority::new("one"), Authority::new("other"), Files::new());
    files.put_server(&authority.server());
    let server = files.server().start().await;
    let terminal = Terminal::of(&server, &server.url());
    let ca = files.put("other.pem", &other.certificate());

    let unknown = terminal.run(&["ls"]).await;
    unknown.assert_code(11);
    assert!(unknown.stderr.contains("UnknownIssuer"), "{}", unknown.stderr);
    assert!(unknown.stderr.contains("--ca-cert"), "no next step: {}", unknown.stderr);

    let wrong = terminal.run(&["ls", "--ca-cert", &ca]).await;
    wrong.assert_code(11);
    assert!(wrong.stderr.contains("has not signed"), "no next step: {}", wrong.stderr);

    let nothing = terminal.run(&["ls", "--ca-cert", "no such file"]).await;
    nothing.assert_code(11);
    assert!(nothing.stderr.contains("no such file"), "{}", nothing.stderr);
    let text = files.put("text", "nothing of use");
    terminal.run(&["ls", "--ca-cert", &text]).await.assert_code(2);
}

#[tokio::test]
async fn clients_show_certificates_where_they_are_asked_to() {
    let (authority, other, files) = (Authority::new("one"), Authority::new("other"), Files::new());
    files.put_server(&authority.server());
    let ca = files.put("ca.pem", &authority.certificate());
    let server = files.server().setting("SLUICE__TLS__CLIENT_CA", &ca).start().await;
    let terminal = Terminal::of(&server, &server.url());
    let ls = |client: &[String]| {
        let arguments = ["ls", "--ca-cert", &ca].map(ToOwned::to_owned);
        [&arguments[..], client].concat()
    };
    let known = files.client("known", &authority.client());
    let unknown = files.client("unknown", &other.client());

    terminal.run(&ls(&known)).await.assert_code(0);
    let none = terminal.run(&ls(&[])).await;
    none.assert_code(11);
    assert!(none.stderr.contains("--client-cert"), "no next step: {}", none.stderr);
    let stranger = terminal.run(&ls(&unknown)).await;
    stranger.assert_code(11);
    assert!(
        stranger.stderr.contains("does not trust this client certificate"),
        "no next step: {}",
        stranger.stderr
    );
    terminal.run(&ls(&known[..2])).await.assert_code(2);

    let optional = files
        .server()
        .setting("SLUICE__TLS__CLIENT_CA", &ca)
        .setting("SLUICE__TLS__CLIENT_CERTIFICATES", "optional")
        .start()
        .await;
    let terminal = Terminal::of(&optional, &optional.url());
    terminal.run(&ls(&[])).await.assert_code(0);
    terminal.run(&ls(&known)).await.assert_code(0);
    terminal.run(&ls(&unknown)).await.assert_code(11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn certificates_change_while_the_server_runs() {
    let (old, new, files) = (Authority::new("old"), Authority::new("new"), Files::new());
    files.put_server(&old.server());
    let server = files.server().start().await;
    let pid = server.pid();
    let proxy = Proxy::to(server.address()).await;
    let [old_ca, new_ca] =
        [("old.pem", &old), ("new.pem", &new)].map(|(name, ca)| files.put(name, &ca.certificate()));

    // Under way over connections that were made with the old one.
    let way = proxy.url().replace("http://", "https://");
    let user = Terminal::of(&server, &way);
    let content = Content::new(2, 24 * MIB);
    content.write_to(&user.path("file"));
    proxy.slow_down(MIB);
    let upload = user.start(&["upload", "file", "--ca-cert", &old_ca]);
    eventually("it is under way", Duration::from_secs(30), async || proxy.sent() > 2 * MIB).await;

    let terminal = Terminal::of(&server, &server.url());
    terminal.run(&["ls", "--ca-cert", &new_ca]).await.assert_code(11);
    // Half of a renewal, which is of no use, changes nothing.
    let renewed = new.server();
    fs::write(files.path("server.pem"), &renewed.certificate).unwrap();
    eventually("the half was seen", Duration::from_secs(30), async || {
        server.log().contains("stay in use")
    })
    .await;
    terminal.run(&["ls", "--ca-cert", &old_ca]).await.assert_code(0);
    files.put_server(&renewed);
    eventually("the new one is in use", Duration::from_secs(30), async || {
        terminal.run(&["ls", "--ca-cert", &new_ca]).await.code == Some(0)
    })
    .await;
    terminal.run(&["ls", "--ca-cert", &old_ca]).await.assert_code(11);

    proxy.slow_down(0);
    ended(upload).await.assert_code(0);
    assert_eq!(server.pid(), pid);
    let back = argument(&terminal.path("back"));
    terminal.run(&["download", "file", "-o", &back, "--ca-cert", &new_ca]).await.assert_code(0);
    assert!(content.is_in(&terminal.path("back")), "other bytes came back");
}
