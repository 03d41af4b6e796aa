//! Signed links that lead to storage.

use std::time::Duration;

use http::StatusCode;
use sluice_proto::v1::{CreateUploadRequest, sign_download_url_request::Disposition};
use sluice_tests::{Content, Curl, Frames, MIB, Protocol, http, http_body, in_small_parts};

use super::direct_parts::direct_server;

#[tokio::test]
async fn a_download_is_sent_to_storage() {
    let server = direct_server().await;
    let client = server.client();
    for size in [1, MIB, 3 * MIB + 5] {
        let content = Content::new(41, size);
        let request = CreateUploadRequest {
            content_type: "text/html".into(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..in_small_parts(&format!("folder/of {size} ü.html"), size)
        };
        let written = Frames::creating(request).all(&content).complete();
        let file = client.write(written).await.unwrap().file.unwrap();
        let link = client.link(&file.id).await;

        let redirect = Curl::get(&link).send().await;
        assert_eq!(redirect.status, StatusCode::TEMPORARY_REDIRECT);
        assert_eq!(redirect.header("cache-control"), "no-store");
        assert_eq!(redirect.header("referrer-policy"), "no-referrer");
        let target = redirect.header("location");
        assert!(!target.starts_with(&server.url()), "{target} is no URL of storage");
        assert!(target.contains("X-Amz-Expires=60&"), "{target} lives for another time");

        let answer = Curl::get(&link).following().send().await;
        assert_eq!(answer.status, StatusCode::OK);
        assert!(answer.body == content.all());
        assert_eq!(answer.header("content-type"), "text/html");
        let disposition = answer.header("content-disposition");
        assert!(disposition.starts_with("attachment; filename=\"of"), "{disposition}");
        assert!(disposition.contains("%C3%BC.html"), "{disposition}");
        let (start, end) = (size / 3, size / 2);
        let range = format!("bytes={start}-{end}");
        let answer = Curl::get(&link).header("range", &range).following().send().await;
        assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(answer.header("content-range"), format!("bytes {start}-{end}/{size}"));
        assert!(answer.body == content.bytes(start..end + 1));
    }
}

/// What storage cannot answer as well is answered here: conditions, heads, what is
/// shown, what is empty.
#[tokio::test]
async fn other_requests_are_answered_by_the_server() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(42, MIB + 1);
    let file = client.put("kept", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let etag = format!("\"{}\"", hex::encode(content.blake3()));
    for (name, value, status) in [
        ("if-none-match", etag.as_str(), StatusCode::NOT_MODIFIED),
        ("if-none-match", "\"other\"", StatusCode::OK),
        ("if-match", etag.as_str(), StatusCode::OK),
        ("if-match", "\"other\"", StatusCode::PRECONDITION_FAILED),
        ("if-range", etag.as_str(), StatusCode::OK),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", StatusCode::OK),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", StatusCode::PRECONDITION_FAILED),
    ] {
        let answer = Curl::get(&link).header(name, value).send().await;
        assert_eq!(answer.status, status, "{name}: {value}");
        if status == StatusCode::OK {
            assert!(answer.body == content.all(), "{name}: {value}");
        }
    }
    for protocol in Protocol::ALL {
        let head = http(protocol, http::Method::HEAD, &link, &[], http_body("".into())).await;
        let head = head.unwrap();
        assert_eq!((head.status, head.header("etag")), (StatusCode::OK, etag.as_str()));
    }

    let empty = client.put("empty", &Content::new(0, 0)).await.unwrap();
    let answer = Curl::get(&client.link(&empty.id).await).send().await;
    assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, 0));

    for (content_type, status) in
        [("image/png", StatusCode::OK), ("text/html", StatusCode::TEMPORARY_REDIRECT)]
    {
        let request = CreateUploadRequest {
            content_type: content_type.into(),
            request_id: uuid::Uuid::now_v7().to_string(),
            ..in_small_parts(content_type, content.size())
        };
        let written = Frames::creating(request).all(&content).complete();
        let file = client.write(written).await.unwrap().file.unwrap();
        let shown =
            client.link_for(&file.id, Duration::from_secs(60), Disposition::Inline).await.unwrap();
        let answer = Curl::get(&shown).send().await;
        assert_eq!(answer.status, status, "{content_type}");
        assert!(answer.headers.contains_key("content-security-policy"));
    }
}

/// Nobody is sent on who may not have the file.
#[tokio::test]
async fn a_link_is_checked_before_it_leads_anywhere() {
    let server = direct_server().await;
    let client = server.client();
    let content = Content::new(43, MIB);
    let file = client.put("gone", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let changed = link.replacen("disposition=attachment", "disposition=inline", 1);
    assert_ne!(changed, link);
    let brief = client.link_for(&file.id, Duration::from_secs(1), Disposition::Attachment).await;
    let brief = brief.unwrap();
    sluice_tests::eventually("the link expires", Duration::from_secs(30), async || {
        Curl::get(&brief).send().await.status == StatusCode::FORBIDDEN
    })
    .await;
    assert_eq!(Curl::get(&changed).send().await.status, StatusCode::FORBIDDEN);
    assert_eq!(Curl::get(&link).send().await.status, StatusCode::TEMPORARY_REDIRECT);
    client.delete_file(&file.id).await.unwrap();
    assert_eq!(Curl::get(&link).send().await.status, StatusCode::NOT_FOUND);
}
