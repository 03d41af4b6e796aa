//! The tests in `tests/browser`, which drive a real browser.

use std::{path::Path, time::Duration};

use crate::tls::Files;
use sluice_tests::{Authority, Server, binary};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    process::Command,
    task::JoinHandle,
    time::timeout,
};

/// The first run installs a browser.
const LIMIT: Duration = Duration::from_secs(900);

/// Runs one file of browser tests against a server.
async fn run(server: &Server, file: &str) {
    run_with(server, file, &[]).await;
}

/// The same with more to know.
async fn run_with(server: &Server, file: &str, environment: &[(&str, &str)]) {
    let runner = Path::new(env!("CARGO_MANIFEST_DIR")).join("browser/run");
    let mut command = Command::new(runner);
    command
        .arg(file)
        .env("SLUICE_SERVER", server.url())
        .env("SLUICE_API_KEY", server.key())
        .env("SLUICE_BIN", binary())
        .envs(environment.iter().copied())
        .kill_on_drop(true);
    let output = timeout(LIMIT, command.output()).await.expect("the browser ends in time");
    let output = output.expect("tests/browser/run can be started");
    println!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{file} ended with {}", output.status);
}

#[tokio::test]
async fn a_real_browser_can_be_driven() {
    run(&Server::start().await, "harness.test.mjs").await;
}

#[tokio::test]
async fn links_run_no_script() {
    run(&Server::start().await, "links.test.mjs").await;
}

#[tokio::test]
async fn pages_upload_files() {
    let page = Page::serve().await;
    let origins = format!("[\"{}\"]", page.origin);
    let server = Server::with().setting("SLUICE__SERVER__ALLOWED_ORIGINS", &origins).start().await;
    run_with(&server, "grpc-web.test.mjs", &[("SLUICE_APP_ORIGIN", &page.origin)]).await;
}

/// Browsers speak HTTP/2 only over TLS.
#[tokio::test]
async fn pages_upload_files_over_http2() {
    let (authority, files) = (Authority::new("one"), Files::new());
    files.put_server(&authority.server());
    let server = files.server().start().await;
    let ca = files.put("ca.pem", &authority.certificate());
    run_with(&server, "grpc-web.test.mjs", &[("SLUICE_CA_CERT", &ca)]).await;
}

#[tokio::test]
async fn cut_connections_of_pages_leave_the_right_bytes() {
    run(&Server::start().await, "cuts.test.mjs").await;
}

/// Some other server with a page.
struct Page {
    origin: String,
    serving: JoinHandle<()>,
}

impl Page {
    async fn serve() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = socket.read(&mut request).await;
                let answer = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: \
                              6\r\nconnection: close\r\n\r\na page";
                let _ = socket.write_all(answer.as_bytes()).await;
            }
        });
        Self { origin, serving }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.serving.abort();
    }
}
