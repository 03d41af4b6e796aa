//! Changing and deleting files.

use std::{collections::BTreeMap, time::Duration};

use prost_types::FieldMask;
use sluice_domain::Reason;
use sluice_proto::v1::{DeleteFileRequest, File, UpdateFileRequest};
use sluice_tests::{
    Client, Content, MIB, Server, Stored, assert_reason, bytes_on_disk, eventually, fact,
    invalid_field, named,
};
use tonic::Status;

fn labels(text: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("label".to_owned(), text.to_owned())])
}

/// Updates a file by a mask; an empty mask is none.
async fn update(client: &Client, file: File, mask: &[&str]) -> Result<File, Status> {
    let paths = mask.iter().map(ToString::to_string).collect();
    let request = UpdateFileRequest {
        file: Some(file),
        update_mask: (!mask.is_empty()).then_some(FieldMask { paths }),
        ..Default::default()
    };
    client.update_file(request).await
}

#[tokio::test]
async fn an_update_changes_what_its_mask_names_and_nothing_else() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 10);
    let mut now = client.put("first", &content).await.unwrap();
    let new = |name: &str, label: &str| File {
        id: now.id.clone(),
        name: name.to_owned(),
        metadata: labels(label),
        size: 999,
        content_type: "ignored/ignored".into(),
        ..Default::default()
    };
    let steps = [
        (new("second", "no"), vec!["name"], "second", None),
        (new("no", "one"), vec!["metadata"], "second", Some("one")),
        (new("third", "two"), vec!["name", "metadata"], "third", Some("two")),
        (new("fourth", "three"), vec!["*"], "fourth", Some("three")),
        (new("fifth", "four"), vec![], "fifth", Some("four")),
        (new("", "five"), vec![], "fifth", Some("five")),
        (File { metadata: BTreeMap::new(), ..new("x", "") }, vec!["metadata"], "fifth", None),
    ];
    for (change, mask, name, label) in steps {
        let after = update(&client, change, &mask).await.unwrap();
        assert_ne!(after.etag, now.etag, "the etag changes with {mask:?}");
        let expect = File {
            name: name.to_owned(),
            metadata: label.map(labels).unwrap_or_default(),
            etag: after.etag.clone(),
            ..now.clone()
        };
        assert_eq!(after, expect, "{mask:?}");
        assert_eq!(client.file(&now.id).await.unwrap(), after);
        now = after;
    }
    client.assert_content(&now.id, &content).await;
}

#[tokio::test]
async fn wrong_updates_name_their_field_and_change_nothing() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("stays", &Content::new(1, 10)).await.unwrap();
    let with_name =
        |name: &str| File { id: file.id.clone(), name: name.to_owned(), ..Default::default() };
    for mask in ["size", "id", "name.x", "file.name", "", "content_type"] {
        let refused = update(&client, with_name("x"), &[mask]).await;
        assert!(invalid_field(refused).starts_with("update_mask"), "{mask:?}");
    }
    for name in ["", "/x", "a//b", "..", "a\0b"] {
        let refused = update(&client, with_name(name), &["name"]).await;
        assert_eq!(invalid_field(refused), "file.name", "{name:?}");
    }
    let request = UpdateFileRequest::default();
    invalid_field(client.update_file(request).await);
    assert_eq!(client.file(&file.id).await.unwrap(), file);
}

#[tokio::test]
async fn a_name_that_is_taken_refuses_the_whole_update() {
    let server = Server::start().await;
    let client = server.client();
    let one = client.put("one", &Content::new(1, 10)).await.unwrap();
    let two = client.put("two", &Content::new(2, 10)).await.unwrap();
    let change = File {
        id: two.id.clone(),
        name: "one".into(),
        metadata: labels("never"),
        ..Default::default()
    };
    let refused = update(&client, change, &["name", "metadata"]).await;
    assert_eq!(fact(&assert_reason(refused, Reason::FileExists), "file_id"), one.id);
    assert_eq!(client.file(&two.id).await.unwrap(), two);

    let own = File { id: two.id.clone(), name: "two".into(), ..Default::default() };
    update(&client, own, &["name"]).await.expect("its own name is no conflict");
}

#[tokio::test]
async fn of_many_updates_with_one_etag_exactly_one_wins() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("contended", &Content::new(1, 10)).await.unwrap();
    let updates = (0..16).map(|n| {
        let request = UpdateFileRequest {
            file: Some(File {
                id: file.id.clone(),
                metadata: labels(&n.to_string()),
                ..Default::default()
            }),
            etag: file.etag.clone(),
            ..Default::default()
        };
        client.update_file(request)
    });
    let outcomes = futures::future::join_all(updates).await;
    let winners: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert_eq!(winners.len(), 1);
    assert_eq!(client.file(&file.id).await.unwrap(), *winners[0]);
    for outcome in &outcomes {
        if outcome.is_err() {
            assert_reason(outcome.clone(), Reason::EtagMismatch);
        }
    }
}

#[tokio::test]
async fn deleting_frees_the_name_at_once_and_the_bytes_soon() {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(1, 8 * MIB);
    let before = bytes_on_disk(&server.data_dir());
    let file = client.put("deleted", &content).await.unwrap();
    assert!(Stored::find(&server.data_dir(), &content).is_some());

    let stale = DeleteFileRequest { file_id: file.id.clone(), etag: "\"another\"".into() };
    let refused = client.files.clone().delete_file(stale).await;
    assert_eq!(fact(&assert_reason(refused, Reason::EtagMismatch), "etag"), file.etag);

    let request = DeleteFileRequest { file_id: file.id.clone(), etag: file.etag };
    client.files.clone().delete_file(request).await.unwrap();
    assert_reason(client.file(&file.id).await, Reason::FileNotFound);
    assert_reason(client.read(&file.id, 0, 0).await, Reason::FileNotFound);
    assert_reason(client.delete_file(&file.id).await, Reason::FileNotFound);
    client.create(named("deleted")).await.expect("the name is free");
    eventually("the bytes are gone", Duration::from_secs(10), async || {
        Stored::find(&server.data_dir(), &content).is_none()
    })
    .await;
    let after = bytes_on_disk(&server.data_dir());
    assert!(after < before + 4 * MIB, "{} bytes are left", after - before);
}

#[tokio::test]
async fn the_upload_of_a_deleted_file_says_that_it_was_completed() {
    let server = Server::start().await;
    let client = server.client();
    let file = client.put("deleted", &Content::new(1, 10)).await.unwrap();
    client.delete_file(&file.id).await.unwrap();
    let upload = client.upload(&file.upload_id).await.unwrap();
    assert_eq!(upload.state(), sluice_proto::v1::upload::State::Completed);
    let again = client.complete(&file.upload_id).await;
    assert_reason(again, Reason::FileNotFound);
}

#[tokio::test]
async fn replacing_frees_the_bytes_of_the_old_file() {
    let server = Server::embedded().await;
    let client = server.client();
    let (old, new) = (Content::new(1, 2 * MIB), Content::new(2, 2 * MIB));
    let replaced = client.put("kept name", &old).await.unwrap();
    let request = sluice_proto::v1::CreateUploadRequest {
        request_id: "replacement".into(),
        on_conflict: sluice_proto::v1::OnConflict::Replace.into(),
        ..sluice_tests::in_small_parts("kept name", new.size())
    };
    let frames = sluice_tests::Frames::creating(request).all(&new).complete();
    let file = client.write(frames).await.unwrap().file.unwrap();
    assert_reason(client.file(&replaced.id).await, Reason::FileNotFound);
    client.assert_content(&file.id, &new).await;
    eventually("the old bytes are gone", Duration::from_secs(10), async || {
        Stored::find(&server.data_dir(), &old).is_none()
    })
    .await;
}

#[tokio::test]
async fn cancelling_and_expiring_free_their_bytes() {
    let server = Server::with()
        .embedded()
        .setting("SLUICE__LIMITS__UPLOAD_TTL", "2s")
        .setting("SLUICE__WORKER__SWEEP_INTERVAL", "1s")
        .start()
        .await;
    let client = server.client();
    let (cancelled, expired) = (Content::new(1, 2 * MIB), Content::new(2, 2 * MIB));
    for (name, content) in [("cancelled", &cancelled), ("expired", &expired)] {
        let request = sluice_tests::in_small_parts(name, content.size() + 1);
        let upload = client.create(request).await.unwrap();
        client.write(sluice_tests::Frames::to(&upload).all(content)).await.unwrap();
        assert!(Stored::find(&server.data_dir(), content).is_some());
        if name == "cancelled" {
            client.cancel(&upload.id).await.unwrap();
        }
    }
    eventually("the bytes are gone", Duration::from_secs(30), async || {
        let left = |content| Stored::find(&server.data_dir(), content).is_some();
        !left(&cancelled) && !left(&expired)
    })
    .await;
}
