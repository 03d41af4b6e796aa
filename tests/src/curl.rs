//! HTTP by curl, a client that nobody here has written and that knows nothing of
//! this server.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tempfile::TempDir;
use tokio::{fs, process::Command};

use crate::Answer;

/// A request that curl is to make.
#[derive(Debug)]
pub struct Curl {
    url: String,
    body: Option<Bytes>,
    arguments: Vec<String>,
}

impl Curl {
    /// GET.
    pub fn get(url: &str) -> Self {
        Self { url: url.to_owned(), body: None, arguments: Vec::new() }
    }

    /// PUT with a body, whose length curl says.
    pub fn put(url: &str, body: Bytes) -> Self {
        Self { body: Some(body), ..Self::get(url) }
    }

    /// With this header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.argument("--header").argument(&format!("{name}: {value}"))
    }

    /// Goes where the answer sends it.
    pub fn following(self) -> Self {
        self.argument("--location")
    }

    fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Makes the request; answers what came at last.
    pub async fn send(self) -> Answer {
        let folder = TempDir::new().expect("a folder can be made");
        let [sent, headers, body] =
            ["sent", "headers", "body"].map(|name| folder.path().join(name));
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"])
            .args(&self.arguments)
            .arg("--dump-header")
            .arg(&headers)
            .arg("--output")
            .arg(&body);
        if let Some(bytes) = &self.body {
            fs::write(&sent, bytes).await.expect("the body can be written");
            curl.arg("--upload-file").arg(&sent);
        }
        let output = curl.arg(&self.url).output().await.expect("curl is installed");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "curl {}: {complaint}", self.url);
        let text = fs::read_to_string(&headers).await.expect("headers are ASCII");
        let (status, headers) = last_head(&text);
        // There is no file where there is no body.
        let body = fs::read(&body).await.unwrap_or_default();
        Answer { status, headers, body: body.into(), is_whole: true }
    }
}

/// Status and headers of the last answer of several.
fn last_head(text: &str) -> (StatusCode, HeaderMap) {
    let heads = text.split("\r\n\r\n").filter(|head| !head.is_empty());
    let mut lines = heads.last().expect("an answer").lines();
    let status = lines.next().expect("a status").split(' ').nth(1).expect("a number");
    let headers = lines.map(|line| {
        let (name, value) = line.split_once(':').expect("a header");
        let name: HeaderName = name.parse().expect("the name of a header");
        (name, HeaderValue::from_str(value.trim()).expect("a value"))
    });
    (status.parse().expect("a status"), headers.collect())
}
