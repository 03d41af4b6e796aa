//! Finding, renaming and deleting files.

use futures::TryStreamExt;
use sluice_sdk::{FileChange, ListQuery, Reason, UploadOptions};
use sluice_tests::Server;

use crate::{builder, client, content};

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_in_order_and_folders_fold() {
    let server = Server::start().await;
    let client = client(&server);
    for name in ["b", "a/2", "a/1", "a-", "a/deep/3"] {
        client.upload(content(3), UploadOptions::new().name(name)).await.unwrap();
    }
    let names = async |query| {
        let entries = client.list(query).map_ok(|entry| entry.name().to_owned());
        entries.try_collect::<Vec<_>>().await.unwrap()
    };
    assert_eq!(names(ListQuery::by_name()).await, ["a-", "a/1", "a/2", "a/deep/3", "b"]);
    assert_eq!(names(ListQuery::newest_first()).await, ["a/deep/3", "a-", "a/1", "a/2", "b"]);
    assert_eq!(names(ListQuery::by_name().folded()).await, ["a-", "a/", "b"]);
    let folder = ListQuery::by_name().prefix("a/").folded();
    assert_eq!(names(folder).await, ["a/1", "a/2", "a/deep/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_found_renamed_and_deleted() {
    let server = Server::start().await;
    let client = client(&server);
    for name in ["a", "ab"] {
        client.upload(content(3), UploadOptions::new().name(name)).await.unwrap();
    }
    assert!(client.find("").await.unwrap().is_none());
    assert!(client.find("abc").await.unwrap().is_none());
    let file = client.find("a").await.unwrap().unwrap();
    assert_eq!(client.get(&file.id).await.unwrap(), file);

    let labels = [("k".to_owned(), "v".to_owned())];
    let change = FileChange::default().name("c").metadata(labels.into()).if_etag(&file.etag);
    let changed = client.update(&file.id, change.clone()).await.unwrap();
    assert_eq!((changed.name.as_str(), changed.metadata["k"].as_str()), ("c", "v"));
    let stale = client.update(&file.id, change).await.unwrap_err();
    assert_eq!(stale.reason(), Some(Reason::EtagMismatch));
    let taken = client.update(&file.id, FileChange::default().name("ab")).await.unwrap_err();
    assert_eq!(taken.reason(), Some(Reason::FileExists));

    client.delete(&file.id).await.unwrap();
    let gone = client.get(&file.id).await.unwrap_err();
    assert_eq!(gone.reason(), Some(Reason::FileNotFound));
    let twice = client.delete(&file.id).await.unwrap_err();
    assert_eq!(twice.reason(), Some(Reason::FileNotFound));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_is_told_at_once() {
    let server = Server::start().await;
    let wrong = builder(&server, &server.url()).api_key("wrong").build().unwrap();
    assert!(wrong.capabilities().await.is_ok(), "needs no key");
    let error = wrong.find("a").await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
    let error = wrong.upload(content(20 << 20), UploadOptions::new().name("a")).await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::CredentialsInvalid));
}
