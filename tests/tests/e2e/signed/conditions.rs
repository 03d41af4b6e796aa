//! Conditional requests (RFC 9110, section 13).

use http::StatusCode;
use sluice_tests::{Content, Server, http_get};

#[tokio::test]
async fn conditions_are_judged_as_the_rfc_says() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(9, 1000);
    let file = client.put("conditional", &content).await.unwrap();
    let link = client.link(&file.id).await;
    let first = http_get(&link, &[]).await;
    let (etag, modified) = (first.header("etag"), first.header("last-modified"));
    let weak = format!("W/{etag}");
    let list = format!("\"other\", {etag}");
    let (early, late) = ("Wed, 01 Jan 2020 00:00:00 GMT", "Thu, 01 Jan 2099 00:00:00 GMT");
    let whole = StatusCode::OK;
    let part = StatusCode::PARTIAL_CONTENT;
    let unchanged = StatusCode::NOT_MODIFIED;
    let failed = StatusCode::PRECONDITION_FAILED;
    let range = ("range", "bytes=10-19");
    let cases: &[(&[(&str, &str)], StatusCode)] = &[
        (&[("if-none-match", etag)], unchanged),
        (&[("if-none-match", &weak)], unchanged),
        (&[("if-none-match", &list)], unchanged),
        (&[("if-none-match", "*")], unchanged),
        (&[("if-none-match", "\"other\"")], whole),
        (&[("if-none-match", etag), range], unchanged),
        (&[("if-modified-since", modified)], unchanged),
        (&[("if-modified-since", early)], whole),
        // The etag says more, so the date is not asked.
        (&[("if-none-match", "\"other\""), ("if-modified-since", late)], whole),
        (&[("if-modified-since", "yesterday")], whole),
        (&[("if-match", etag)], whole),
        (&[("if-match", "*")], whole),
        (&[("if-match", "\"other\"")], failed),
        (&[("if-match", &weak)], failed),
        (&[("if-unmodified-since", modified)], whole),
        (&[("if-unmodified-since", early)], failed),
        (&[("if-match", etag), ("if-unmodified-since", early)], whole),
        (&[range, ("if-range", etag)], part),
        (&[range, ("if-range", &weak)], whole),
        (&[range, ("if-range", "\"other\"")], whole),
        (&[range, ("if-range", modified)], part),
        (&[range, ("if-range", early)], whole),
        (&[range, ("if-range", "nonsense")], whole),
        (&[("range", "bytes=5000-"), ("if-range", "\"other\"")], whole),
    ];
    for (headers, expect) in cases {
        let answer = http_get(&link, headers).await;
        assert_eq!(answer.status, *expect, "{headers:?}");
        match *expect {
            status if status == whole => assert_eq!(answer.body, content.all()),
            status if status == part => assert_eq!(answer.body, content.bytes(10..20)),
            status if status == unchanged => {
                assert!(answer.body.is_empty());
                assert_eq!(answer.header("etag"), etag);
            }
            _ => assert_eq!(answer.reason(), "ETAG_MISMATCH"),
        }
    }
}

#[tokio::test]
async fn equal_contents_have_equal_etags_and_others_have_not() {
    let server = Server::start().await;
    let client = server.client();
    let mut etags = Vec::new();
    for (name, seed) in [("a", 1), ("b", 1), ("c", 2)] {
        let file = client.put(name, &Content::new(seed, 1000)).await.unwrap();
        let answer = http_get(&client.link(&file.id).await, &[]).await;
        etags.push(answer.header("etag").to_owned());
    }
    assert_eq!(etags[0], etags[1]);
    assert_ne!(etags[0], etags[2]);
}
