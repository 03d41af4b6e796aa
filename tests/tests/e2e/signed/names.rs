//! Hostile names in `Content-Disposition`.

use percent_encoding::percent_decode_str;
use rand::{RngExt, rngs::SmallRng, seq::IndexedRandom};
use sluice_tests::{Content, Seed, Server, http_get};

/// What names are made of that somebody hopes will be misread.
const PIECES: [&str; 40] = [
    "a",
    "B",
    "7",
    " ",
    "  ",
    ".",
    "..x",
    "-",
    "_",
    "'",
    "\"",
    "\\",
    "%",
    "%00",
    "%0d%0a",
    "%2F",
    ";",
    "; filename=x",
    "=",
    "*=UTF-8''",
    ",",
    "<script>",
    "&amp;",
    "|",
    ":",
    "?",
    "*",
    "#",
    "\u{202e}gpj.",
    "\u{200b}",
    "\u{feff}",
    "é",
    "e\u{301}",
    "日本",
    "😀",
    "\u{e000}",
    ".exe",
    ".html",
    "~",
    "`$(id)`",
];

/// Names that are known for trouble.
const KNOWN: [&str; 12] = [
    "\"",
    "\\",
    "a\"; filename=\"b.exe",
    "%22",
    "a%0d%0aSet-Cookie: x=y",
    "photo\u{202e}gpj.exe",
    "con",
    "-rf",
    "~",
    ".htaccess",
    "a;b=c",
    "UTF-8''x",
];

fn hostile(rng: &mut SmallRng) -> String {
    let count = rng.random_range(1..12);
    (0..count).map(|_| *PIECES.choose(rng).unwrap()).collect()
}

#[tokio::test]
async fn two_hundred_hostile_names_come_back_as_they_are() {
    let server = Server::start().await;
    let client = server.client();
    let seed = Seed::of("two_hundred_hostile_names_come_back_as_they_are");
    let mut rng = seed.rng(0);
    let mut names: Vec<String> = KNOWN.map(str::to_owned).to_vec();
    while names.len() < 200 {
        let name = hostile(&mut rng);
        if name != "." && name != ".." {
            names.push(name);
        }
    }
    for (index, name) in names.iter().enumerate() {
        let path = format!("{index}/{name}");
        let file = client.put(&path, &Content::new(1, 1)).await.unwrap();
        assert_eq!(file.name, path);
        let answer = http_get(&client.link(&file.id).await, &[]).await;
        assert_eq!(answer.headers.get_all("content-disposition").iter().count(), 1);
        let value = answer.header("content-disposition");
        let (plain, extended) = parsed(value);
        assert_eq!(extended.as_ref().unwrap_or(&plain), name, "{value}");
        if extended.is_some() {
            assert!(
                plain.chars().all(|c| matches!(c, ' '..='~') && !"\"\\%".contains(c)),
                "{value}: programs may misread this"
            );
        }
        assert_eq!(answer.body.len(), 1);
    }
}

/// Reads `attachment; filename="…"` with or without `; filename*=UTF-8''…`, and
/// nothing else.
fn parsed(value: &str) -> (String, Option<String>) {
    let rest = value.strip_prefix("attachment; filename=\"").expect(value);
    let (plain, rest) = rest.split_once('"').expect(value);
    if rest.is_empty() {
        return (plain.to_owned(), None);
    }
    let encoded = rest.strip_prefix("; filename*=UTF-8''").expect(value);
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!#$&+-.^_`|~%".contains(c);
    assert!(encoded.chars().all(allowed), "{value}: not of RFC 8187");
    let decoded = percent_decode_str(encoded).decode_utf8().expect(value);
    (plain.to_owned(), Some(decoded.into_owned()))
}
