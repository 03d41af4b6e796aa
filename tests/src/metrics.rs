//! What a server shows at `/metrics`.

use std::collections::BTreeMap;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::Server;

/// One look at a server's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    text: String,
}

impl Metrics {
    /// Asks as Prometheus does, without a credential.
    pub async fn of(server: &Server) -> Self {
        let mut socket = TcpStream::connect(server.address()).await.expect("the server listens");
        let request = "GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
        socket.write_all(request.as_bytes()).await.expect("the request is taken");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.expect("the answer is text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/plain; version=0.0.4"), "{head}");
        Self { text: body.to_owned() }
    }

    /// The text itself.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value of a series, as `name` or `name{label="value",…}`, with labels
    /// in any order; 0 if there is none yet.
    pub fn value(&self, series: &str) -> f64 {
        let wanted = parse(series);
        self.samples().find(|(it, _)| *it == wanted).map_or(0.0, |(_, value)| value)
    }

    /// Bytes of content that came to the server so far.
    pub fn received(&self) -> u64 {
        self.value("sluice_content_received_bytes_total") as u64
    }

    /// Bytes of content that the server has handed out so far.
    pub fn handed_out(&self) -> u64 {
        self.value("sluice_content_sent_bytes_total") as u64
    }

    /// The sum over all series of this name.
    pub fn sum(&self, name: &str) -> f64 {
        self.samples().filter(|((it, _), _)| it == name).map(|(_, value)| value).sum()
    }

    /// Every metric with its type and the names of its labels.
    pub fn families(&self) -> BTreeMap<String, (String, Vec<String>)> {
        let types = self.text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let family = |line: &str| {
            let (name, kind) = line.split_once(' ').expect("a name and a type");
            let of_family = |it: &str| {
                it == name || (kind == "histogram" && it.strip_suffix("_bucket") == Some(name))
            };
            let mut sample = self.samples().filter(|((it, _), _)| of_family(it));
            let labels = sample.next().map(|((_, labels), _)| labels).unwrap_or_default();
            let names = labels.into_keys().filter(|label| label != "le").collect();
            (name.to_owned(), (kind.to_owned(), names))
        };
        types.map(family).collect()
    }

    fn samples(&self) -> impl Iterator<Item = (Series, f64)> {
        let lines = self.text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').expect("a series and a value");
            (parse(series), value.parse().expect("a number"))
        })
    }
}

type Series = (String, BTreeMap<String, String>);

fn parse(series: &str) -> Series {
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    let labels = labels.trim_end_matches('}').split(',').filter(|label| !label.is_empty());
    let pair = |label: &str| {
        let (key, value) = label.split_once('=').expect("a label and a value");
        (key.to_owned(), value.trim_matches('"').to_owned())
    };
    (name.to_owned(), labels.map(pair).collect())
}
