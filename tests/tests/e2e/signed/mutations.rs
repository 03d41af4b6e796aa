//! 10,000 links that are not what was signed.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use http::Method;
use rand::{RngExt, rngs::SmallRng, seq::IndexedRandom};
use sluice_proto::v1::sign_download_url_request::Disposition;
use sluice_tests::{Content, Protocol, Seed, Server, http, http_body, scale};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream},
    net::TcpStream,
    time::timeout,
};

use super::{MIB, signed, upload_of};

/// Methods, of which each link allows one or two.
const METHODS: [&str; 12] = [
    "GET", "HEAD", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "TRACE", "get", "put", "PROPFIND",
    "GETT",
];

/// What somebody may put into a link.
const INSERTED: [&str; 24] = [
    "/",
    "//",
    "%2F",
    "%2f",
    "%00",
    "%20",
    "+",
    "&",
    "&&",
    "=",
    "?",
    ";",
    "..",
    "/../",
    "./",
    "%26",
    "%3D",
    "&a=b",
    "&expires=9999999999",
    "&disposition=inline",
    "&owner=",
    "&signature=",
    "\u{e9}",
    "\\",
];

/// What may be one thing or another.
const SYNONYMS: [(&str, &str); 26] = [
    ("/signed/", "/Signed/"),
    ("/signed/", "//signed/"),
    ("/signed/", "/./signed/"),
    ("/signed/", "/x/../signed/"),
    ("/signed/", "/%73igned/"),
    ("/v1/", "/v1//"),
    ("/v1/", "/v2/"),
    ("/v1/", "%2Fv1%2F"),
    ("/files/", "/file/"),
    ("/files/", "/uploads/"),
    ("/parts/", "/parts/0"),
    ("?", "%3F"),
    ("?", "/?"),
    ("?", "?&"),
    ("?", "??"),
    ("&", ";"),
    ("&", "&amp;"),
    ("=", "%3D"),
    ("=attachment", "=inline"),
    ("=attachment", "="),
    ("owner=usr_", "owner=USR_"),
    ("expires=1", "expires=2"),
    ("expires=", "expires=0"),
    ("expires=", "expires=+"),
    ("-", "%2D"),
    ("_", "%5F"),
];

/// Plain HTTP/1.1 by hand: what is sent is exactly what was written.
struct Line {
    address: SocketAddr,
    socket: Option<BufStream<TcpStream>>,
}

impl Line {
    /// Answers status and body.
    async fn ask(&mut self, method: &str, target: &str) -> (u16, String) {
        // A server may close a connection after what it cannot read.
        for _ in 0..2 {
            let answer = timeout(Duration::from_secs(30), self.try_ask(method, target)).await;
            match answer.expect("an answer comes") {
                Ok(answer) => return answer,
                Err(_) => self.socket = None,
            }
        }
        (0, String::new())
    }

    async fn try_ask(&mut self, method: &str, target: &str) -> std::io::Result<(u16, String)> {
        let mut socket = match self.socket.take() {
            Some(socket) => socket,
            None => BufStream::new(TcpStream::connect(self.address).await?),
        };
        let request = format!("{method} {target} HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n");
        socket.write_all(request.as_bytes()).await?;
        socket.flush().await?;
        let (mut status, mut length, mut closes) = (0, 0, false);
        loop {
            let mut line = String::new();
            if socket.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_ascii_lowercase();
            match line.split_once(": ") {
                _ if line.is_empty() => break,
                Some(("content-length", value)) => length = value.parse().unwrap(),
                Some(("connection", value)) => closes = value == "close",
                Some(_) => {}
                None => status = line.split(' ').nth(1).unwrap().parse().unwrap(),
            }
        }
        let mut body = vec![0; if method == "HEAD" { 0 } else { length }];
        socket.read_exact(&mut body).await?;
        if !closes {
            self.socket = Some(socket);
        }
        Ok((status, String::from_utf8_lossy(&body).into_owned()))
    }
}

/// Something else than `(method, target)`.
fn mutated(rng: &mut SmallRng, method: &str, target: &str, other: &str) -> (String, String) {
    let mut bytes = target.as_bytes().to_vec();
    let position = rng.random_range(1..bytes.len());
    let parameters = |text: &str| -> (String, Vec<String>) {
        let (path, query) = text.split_once('?').unwrap();
        (path.to_owned(), query.split('&').map(str::to_owned).collect())
    };
    let joined = |path: String, query: Vec<String>| format!("{path}?{}", query.join("&"));
    let target = match rng.random_range(0..12) {
        0 => return ((*METHODS.choose(rng).unwrap()).to_owned(), target.to_owned()),
        1 => {
            let (from, to) = SYNONYMS.choose(rng).unwrap();
            target.replacen(from, to, 1)
        }
        2 => {
            let inserted = INSERTED.choose(rng).unwrap();
            format!("{}{inserted}{}", &target[..position], &target[position..])
        }
        3 => target[..position].to_owned(),
        4 => {
            bytes[position] ^= 1 << rng.random_range(0..7);
            String::from_utf8_lossy(&bytes).into_owned()
        }
        5 => {
            bytes.remove(position);
            String::from_utf8(bytes).unwrap()
        }
        // The same character in another spelling.
        6 => {
            let spelt = format!("%{:02X}", bytes[position]);
            format!("{}{spelt}{}", &target[..position], &target[position + 1..])
        }
        7 => {
            let byte = bytes[position];
            bytes[position] =
                if byte.is_ascii_lowercase() { byte.to_ascii_uppercase() } else { byte ^ 1 };
            String::from_utf8_lossy(&bytes).into_owned()
        }
        8 => {
            let (path, mut query) = parameters(target);
            let (a, b) = (rng.random_range(0..query.len()), rng.random_range(0..query.len()));
            match rng.random_range(0..3) {
                0 => query.swap(a, b),
                1 => query.push(query[a].clone()),
                _ => drop(query.remove(a)),
            }
            joined(path, query)
        }
        // A field of another link that is good by itself.
        9 => {
            let ((path, mut query), (other_path, other)) = (parameters(target), parameters(other));
            let index = rng.random_range(0..=query.len());
            if index == query.len() {
                joined(other_path, query)
            } else {
                query[index] = other[index.min(other.len() - 1)].clone();
                joined(path, query)
            }
        }
        // A signature of the right form.
        10 => {
            let (rest, _) = target.rsplit_once('=').unwrap();
            format!("{rest}={}", URL_SAFE_NO_PAD.encode(rng.random::<[u8; 32]>()))
        }
        // One digit of a number.
        _ => {
            let digits: Vec<_> =
                (0..bytes.len()).filter(|at| bytes[*at].is_ascii_digit()).collect();
            bytes[*digits.choose(rng).unwrap()] = b'0' + rng.random_range(0..10);
            String::from_utf8(bytes).unwrap()
        }
    };
    (method.to_owned(), target)
}

#[tokio::test]
async fn ten_thousand_mutated_links_are_refused() {
    let server = Server::start().await;
    let client = server.client();
    let (first, second) = (Content::new(1, 100), Content::new(2, 2 * MIB));
    let files =
        [client.put("a", &first).await.unwrap().id, client.put("b", &first).await.unwrap().id];
    let upload = upload_of(&client, "direct", &second).await;
    let hour = Duration::from_secs(3600);
    let mut links = Vec::new();
    for (file, disposition) in
        [(&files[0], Disposition::Attachment), (&files[1], Disposition::Inline)]
    {
        links.push(("GET", client.link_for(file, hour, disposition).await.unwrap()));
    }
    for number in [1, 2] {
        links.push(("PUT", signed(&client, &upload, &second, number).await.url));
    }
    let links: Vec<_> = links
        .into_iter()
        .map(|(method, url)| (method, url.strip_prefix(&server.url()).unwrap().to_owned()))
        .collect();
    let good = |method: &str, target: &str| {
        links.iter().any(|(allowed, link)| {
            // What follows a # is no part of the request.
            let same = target.split('#').next() == Some(link);
            same && (*allowed == method || (*allowed == "GET" && method == "HEAD"))
        })
    };

    let mut line = Line { address: server.address(), socket: None };
    // The links themselves work, so a refusal below means something.
    for (method, target) in &links {
        let (status, body) = line.ask(method, target).await;
        match *method {
            "GET" => assert_eq!(status, 200, "{target}"),
            _ => assert!(body.contains("content-length: must be 1048576"), "{target}: {body}"),
        }
    }
    let seed = Seed::of("ten_thousand_mutated_links_are_refused");
    let mut rng = seed.rng(0);
    let mut answers = BTreeMap::new();
    let mut sent = 0;
    while sent < scale(10_000, 200_000) {
        let index = rng.random_range(0..links.len());
        let (method, target) = &links[index];
        let (_, other) = &links[index ^ 1];
        let (mut method, mut target) = mutated(&mut rng, method, target, other);
        if rng.random_ratio(1, 4) {
            (method, target) = mutated_again(&mut rng, &method, &target, other);
        }
        if good(&method, &target) || target.contains([' ', '\r', '\n']) {
            continue;
        }
        sent += 1;
        let (status, body) = line.ask(&method, &target).await;
        // Whoever asks what pages of other origins may do is told so, link or not.
        let is_preflight = method == "OPTIONS" && status == 200 && body.is_empty();
        assert!(
            is_preflight || matches!(status, 0 | 400 | 403 | 404 | 405 | 501),
            "{method} {target} answers {status}: {body}"
        );
        // Everything that could have been a link gets the same answer.
        if target.starts_with("/signed/") && status != 400 && !body.is_empty() {
            assert!(body.contains("\"CREDENTIALS_INVALID\""), "{method} {target}: {body}");
        }
        assert!(!body.contains("content-length"), "{method} {target} was taken: {body}");
        *answers.entry((status, body)).or_insert(0) += 1;
    }
    println!("{answers:#?}");
    let refused: i32 = answers.iter().filter(|(of, _)| of.0 == 403).map(|(_, count)| count).sum();
    assert!(refused as usize > sent / 2, "most mutations must get as far as the check");
    let after = client.upload(&upload.id).await.unwrap();
    assert_eq!(after.persisted_bytes, 0);
}

/// Mutates once more what may not be a link any more.
fn mutated_again(rng: &mut SmallRng, method: &str, target: &str, other: &str) -> (String, String) {
    match target.split_once('?') {
        Some((_, query)) if query.contains('=') && target.is_ascii() && target.len() > 20 => {
            mutated(rng, method, target, other)
        }
        _ => (method.to_owned(), target.to_owned()),
    }
}

/// HTTP/2 has no request line to be misread, but its own way to the same check.
#[tokio::test]
async fn mutated_links_are_refused_over_http2_too() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("a", &Content::new(1, 100)).await.unwrap();
    let link = client.link(&file.id).await;
    let wrong = [
        link.replacen("/signed/", "/%73igned/", 1),
        link.replacen("/v1/", "/v1//", 1),
        link.replacen("attachment", "inline", 1),
        link.replacen("expires=1", "expires=2", 1),
        format!("{link}&a=b"),
        link[..link.len() - 1].to_owned(),
        link.split('?').next().unwrap().to_owned(),
    ];
    let ask = async |method: Method, url: &str| {
        let body = http_body(bytes::Bytes::new());
        http(Protocol::Http2, method, url, &[], body).await.unwrap().status.as_u16()
    };
    assert_eq!(ask(Method::GET, &link).await, 200);
    for url in &wrong {
        let status = ask(Method::GET, url).await;
        assert!(matches!(status, 403 | 404), "{url} answers {status}");
    }
    for method in [Method::PUT, Method::POST, Method::DELETE] {
        assert_eq!(ask(method, &link).await, 403);
    }
}
