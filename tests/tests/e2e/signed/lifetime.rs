//! How long links and keys work.

use std::{collections::BTreeSet, time::Duration};

use http::StatusCode;
use sluice_proto::v1::sign_download_url_request::Disposition;
use sluice_tests::{Content, Protocol, Server, eventually, http_get};

use super::{MIB, put, signed, upload_of};

/// The id of the key that signed a link.
fn key_of(link: &str) -> &str {
    let (_, rest) = link.split_once("&key=").unwrap();
    rest.split('&').next().unwrap()
}

#[tokio::test]
async fn a_link_expires() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("short", &Content::new(1, 100)).await.unwrap();
    let second = Duration::from_secs(1);
    let short = client.link_for(&file.id, second, Disposition::Attachment).await.unwrap();
    let long = client.link(&file.id).await;
    eventually("the link expires", Duration::from_secs(20), async || {
        let answer = http_get(&short, &[]).await;
        match answer.status {
            StatusCode::OK => false,
            status => {
                assert_eq!(status, StatusCode::FORBIDDEN);
                assert_eq!(answer.reason(), "TOKEN_EXPIRED");
                true
            }
        }
    })
    .await;
    assert_eq!(http_get(&long, &[]).await.status, StatusCode::OK);
}

/// The answer tells when the link ends, and it lasts no shorter than asked for.
#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "the answer is compared with the real time")]
async fn the_expiry_is_told() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("told", &Content::new(1, 100)).await.unwrap();
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let before = now();
    let request =
        sluice_proto::v1::SignDownloadUrlRequest { file_id: file.id.clone(), ..Default::default() };
    let signed = client.files.clone().sign_download_url(request).await.unwrap().into_inner();
    let expires = Duration::from_secs(signed.expire_time.unwrap().seconds as u64);
    let hour = Duration::from_secs(3600);
    assert!(before + hour <= expires && expires <= now() + hour + Duration::from_secs(1));
    assert!(signed.url.contains(&format!("&expires={}&", expires.as_secs())));
}

#[tokio::test]
async fn links_outlive_restarts_and_rotations() {
    let mut server = Server::with().setting("SLUICE__SIGNING__ROTATION", "1s").start().await;
    let content = Content::new(1, 100);
    let part = Content::new(2, MIB);
    let client = server.client();
    let file = client.put("rotated", &content).await.unwrap();
    let upload = upload_of(&client, "part", &part).await;
    let put_later = signed(&client, &upload, &part, 1).await;
    let mut links = vec![client.link(&file.id).await];
    for restart in [false, true, false, true] {
        if restart {
            server.restart().await;
        }
        let client = server.client();
        eventually("another key signs", Duration::from_secs(20), async || {
            let link = client.link(&file.id).await;
            let rotated = key_of(&link) != key_of(&links[links.len() - 1]);
            if rotated {
                links.push(link);
            }
            rotated
        })
        .await;
        for link in &links {
            let answer = http_get(link, &[]).await;
            assert_eq!(answer.status, StatusCode::OK, "an old link fails");
            assert_eq!(answer.body, content.all());
        }
    }
    let keys: BTreeSet<_> = links.iter().map(|link| key_of(link)).collect();
    assert_eq!(keys.len(), 5);
    assert_eq!(put(Protocol::Http1, &put_later, part.all()).await.status, StatusCode::OK);
    // No key answers to the name of another.
    let forged = links[0].replace(key_of(&links[0]), key_of(&links[1]));
    let unknown = links[0].replace(key_of(&links[0]), "0123456789abcdef");
    for link in [forged, unknown] {
        let answer = http_get(&link, &[]).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN);
        assert_eq!(answer.reason(), "CREDENTIALS_INVALID");
    }
}

#[tokio::test]
async fn another_servers_links_are_worthless() {
    let (server, stranger) = (Server::start().await, Server::start().await);
    let file = server.client().put("here", &Content::new(1, 100)).await.unwrap();
    let link = server.client().link(&file.id).await;
    let elsewhere = link.replacen(&server.url(), &stranger.url(), 1);
    assert_eq!(http_get(&elsewhere, &[]).await.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn links_begin_with_what_clients_reach() {
    let public = "https://files.example.com/sluice";
    let server =
        Server::with().setting("SLUICE__SERVER__PUBLIC_URL", &format!("{public}/")).start().await;
    let client = server.client();
    let file = client.put("public", &Content::new(1, 100)).await.unwrap();
    let link = client.link(&file.id).await;
    let path = link.strip_prefix(public).expect("the link begins with the public URL");
    let answer = http_get(&format!("{}{path}", server.url()), &[]).await;
    assert_eq!(answer.status, StatusCode::OK);
}

/// Neither a signature nor a key can be learnt from the log.
#[tokio::test]
async fn nothing_secret_is_logged() {
    let server = Server::with().arguments(["--log-level", "debug"]).start().await;
    let client = server.client();
    let file = client.put("quiet", &Content::new(1, 100)).await.unwrap();
    let content = Content::new(2, MIB);
    let upload = upload_of(&client, "part", &content).await;
    let part = signed(&client, &upload, &content, 1).await;
    let link = client.link(&file.id).await;
    assert_eq!(http_get(&link, &[]).await.status, StatusCode::OK);
    assert_eq!(put(Protocol::Http1, &part, content.all()).await.status, StatusCode::OK);
    assert_eq!(http_get(&format!("{link}x"), &[]).await.status, StatusCode::FORBIDDEN);
    let log = server.log();
    assert!(log.contains("/signed/v1/files/"), "requests are logged");
    for url in [&link, &part.url] {
        let (_, signature) = url.rsplit_once('=').unwrap();
        assert!(!log.contains(signature), "a signature is in the log");
    }
}
