//! What a link gives.

use std::time::Duration;

use bytes::Bytes;
use futures::future::join_all;
use http::{Method, StatusCode};
use rand::RngExt;
use sluice_proto::v1::{
    CreateUploadRequest, UpdateFileRequest, sign_download_url_request::Disposition,
};
use sluice_tests::{
    Content, Frames, MIB, Protocol, Seed, Server, Stored, eventually, http, http_body, http_get,
    http_open, named, scale,
};

#[tokio::test]
async fn a_link_gives_the_file_to_anybody() {
    let server = Server::start().await;
    let client = server.client();
    for size in [0, 1, MIB, 3 * MIB + 17] {
        let content = Content::new(size, size);
        let file = client.put(&format!("file of {size}"), &content).await.unwrap();
        let link = client.link(&file.id).await;
        assert!(link.starts_with(&server.url()), "{link} does not lead to the server");
        for protocol in Protocol::ALL {
            let request = |method| http(protocol, method, &link, &[], http_body(Bytes::new()));
            let answer = request(Method::GET).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK);
            assert!(answer.is_whole && answer.body == content.all(), "{size} bytes differ");
            let head = request(Method::HEAD).await.unwrap();
            assert_eq!(head.status, StatusCode::OK);
            assert!(head.body.is_empty());
            for answer in [answer, head] {
                assert_eq!(answer.header("content-length"), size.to_string());
                assert_eq!(answer.header("accept-ranges"), "bytes");
                assert_eq!(answer.header("x-content-type-options"), "nosniff");
                assert_eq!(answer.header("referrer-policy"), "no-referrer");
                assert!(answer.header("cache-control").contains("private"));
                let policy = answer.header("content-security-policy");
                assert!(policy.starts_with("sandbox;") && policy.contains("default-src 'none'"));
                let etag = format!("\"{}\"", hex::encode(content.blake3()));
                assert_eq!(answer.header("etag"), etag);
            }
        }
    }
}

#[tokio::test]
async fn ranges_are_what_the_file_has_there() {
    let server = Server::start().await;
    let client = server.client();
    let size = 5 * MIB + 12_345;
    let content = Content::new(7, size);
    let request = CreateUploadRequest {
        size: Some(size as i64),
        preferred_part_size: Some(2 * MIB as i64),
        request_id: "ranges".into(),
        ..named("ranges")
    };
    let written = client.write(Frames::creating(request).all(&content).complete()).await.unwrap();
    let link = client.link(&written.file.unwrap().id).await;
    let seed = Seed::of("ranges_are_what_the_file_has_there");
    let mut rng = seed.rng(0);
    for _ in 0..scale(150, 5000) {
        // Near a boundary of blocks or parts as often as anywhere.
        let mut offset = || match rng.random_range(0..2) {
            0 => rng.random_range(0..size + 10),
            _ => (rng.random_range(0..7) * MIB + rng.random_range(0..5)).saturating_sub(2),
        };
        let (a, b) = (offset(), offset());
        let (header, range) = match a % 4 {
            0 => (format!("bytes={a}-"), a..size),
            1 => (format!("bytes=-{a}"), size.saturating_sub(a)..size),
            _ => (format!("bytes={}-{}", a.min(b), a.max(b)), a.min(b)..(a.max(b) + 1).min(size)),
        };
        let answer = http_get(&link, &[("range", &header)]).await;
        if range.start >= range.end {
            assert_eq!(answer.status, StatusCode::RANGE_NOT_SATISFIABLE, "{header}");
            assert_eq!(answer.header("content-range"), format!("bytes */{size}"));
            continue;
        }
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT, "{header}");
        let expect = format!("bytes {}-{}/{size}", range.start, range.end - 1);
        assert_eq!(answer.header("content-range"), expect);
        assert_eq!(answer.header("content-length"), (range.end - range.start).to_string());
        assert!(answer.body == content.bytes(range), "{header} gives other bytes");
    }
    for ignored in ["bytes=0-1,3-4", "bytes=9-3", "lines=0-1", "bytes=x"] {
        let answer = http_get(&link, &[("range", ignored)]).await;
        assert_eq!(answer.status, StatusCode::OK, "{ignored}");
        assert!(answer.body == content.all());
    }
}

#[tokio::test]
async fn many_connections_share_one_download() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 16 * MIB + 5);
    let file = client.put("shared", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let part = content.size().div_ceil(8);
    let ranges = (0..8).map(|index| {
        let (start, link) = (index * part, &link);
        let end = (start + part).min(content.size());
        async move {
            let range = format!("bytes={start}-{}", end - 1);
            let answer = http_get(link, &[("range", &range)]).await;
            assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
            assert!(content.matches(start, &answer.body), "{range} gives other bytes");
            answer.body.len() as u64
        }
    });
    assert_eq!(join_all(ranges).await.into_iter().sum::<u64>(), content.size());
}

#[tokio::test]
async fn a_link_shows_only_what_is_harmless() {
    let server = Server::start().await;
    let client = server.client();
    for (content_type, shown, sent) in [
        ("image/png", true, "image/png"),
        ("text/plain; charset=utf-8", true, "text/plain; charset=utf-8"),
        ("video/mp4", true, "video/mp4"),
        ("TEXT/HTML", false, "text/html"),
        ("image/svg+xml", false, "image/svg+xml"),
        ("application/pdf", false, "application/pdf"),
        ("text/javascript", false, "application/octet-stream"),
        ("", false, "application/octet-stream"),
    ] {
        let request = CreateUploadRequest {
            content_type: content_type.into(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..named(&format!("of type {content_type}"))
        };
        let content = Content::new(1, 10);
        let frames = Frames::creating(request).all(&content).complete();
        let file = client.write(frames).await.unwrap().file.unwrap();
        let hour = Duration::from_secs(3600);
        for (wanted, kind) in [
            (Disposition::Inline, if shown { "inline" } else { "attachment" }),
            (Disposition::Attachment, "attachment"),
            (Disposition::Unspecified, "attachment"),
        ] {
            let link = client.link_for(&file.id, hour, wanted).await.unwrap();
            let answer = http_get(&link, &[]).await;
            let found = answer.header("content-disposition").split(';').next().unwrap();
            assert_eq!(found, kind, "{content_type} as {wanted:?}");
            assert_eq!(answer.header("content-type"), sent);
        }
    }
}

#[tokio::test]
async fn a_link_follows_the_file_and_ends_with_it() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("before", &Content::new(1, 100)).await.unwrap();
    let link = client.link(&file.id).await;
    let renamed = sluice_proto::v1::File {
        id: file.id.clone(),
        name: "folder/after".into(),
        ..Default::default()
    };
    let request = UpdateFileRequest { file: Some(renamed), ..Default::default() };
    client.update_file(request).await.unwrap();
    let answer = http_get(&link, &[]).await;
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"after\"");
    client.delete_file(&file.id).await.unwrap();
    let gone = http_get(&link, &[]).await;
    assert_eq!((gone.status, gone.reason().as_str()), (StatusCode::NOT_FOUND, "FILE_NOT_FOUND"));
}

/// Bytes that have changed on the disk never leave, and what was sent before
/// them cannot be taken for the whole.
#[tokio::test]
async fn a_damaged_file_never_looks_whole() {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(5, 4 * MIB);
    let file = client.put("damaged", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let stored = Stored::find(&server.data_dir(), &content).unwrap();
    stored.flip_bit(3 * MIB + 7, 2);
    for protocol in Protocol::ALL {
        let request = http(protocol, Method::GET, &link, &[], http_body(Bytes::new()));
        let answer = request.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        assert!(!answer.is_whole, "{protocol:?}: a damaged file looks whole");
        assert!(answer.body.len() as u64 <= 3 * MIB && content.matches(0, &answer.body));
    }
    // In the first block asked for, there is still time to say so.
    let range = format!("bytes={}-", 3 * MIB);
    let answer = http_get(&link, &[("range", &range)]).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.reason(), "STORED_DATA_CORRUPT");
}

#[tokio::test]
async fn readers_that_stall_hold_little_memory() {
    const READERS: u64 = 32;
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(5, 64 * MIB);
    let file = client.put("large", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let before = server.resident_bytes();
    let open = (0..READERS)
        .map(|_| http_open(Protocol::Http1, Method::GET, &link, &[], http_body(Bytes::new())));
    let open: Vec<_> = join_all(open).await.into_iter().map(Result::unwrap).collect();
    // It settles once every socket is full.
    let mut last = 0;
    eventually("memory settles", Duration::from_secs(60), async || {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = server.resident_bytes();
        let settled = now.abs_diff(last) < MIB;
        last = now;
        settled
    })
    .await;
    assert_eq!(open.len() as u64, READERS);
    let growth = last.saturating_sub(before);
    assert!(growth <= (4 * READERS + 64) * MIB, "{READERS} readers cost {growth} bytes");
}
