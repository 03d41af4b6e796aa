//! What accounts hold: counted to the byte.

use std::collections::BTreeMap;

use futures::future::join_all;
use rand::RngExt;
use sluice_domain::Reason;
use sluice_proto::v1::{GetUsageRequest, OnConflict, Quota, Usage};
use sluice_tests::{
    Client, Content, Frames, MIB, Seed, Server, assert_reason, assert_refusal, in_small_parts,
    named, scale,
};

const GIB: i64 = 1024 * 1024 * 1024;

async fn usage(client: &Client) -> (i64, i64, i64) {
    let answer = client.accounts.clone().get_usage(GetUsageRequest {}).await.unwrap();
    let Usage { stored_bytes, reserved_bytes, active_uploads, .. } =
        answer.into_inner().usage.unwrap();
    (stored_bytes, reserved_bytes, active_uploads)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_creations_the_last_place_goes_to_one() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    for count in [16, 100] {
        let held = ada.client.list_uploads(Default::default()).await.unwrap().uploads.len() as i64;
        let quota = Quota { max_active_uploads: Some(held + 1), ..Quota::default() };
        server.set_quota(&ada.id, quota).await;
        let created = (0..count).map(|n| {
            let request = in_small_parts(&format!("{count}/{n}"), 7);
            let client = Client::new(&server.url(), &ada.tokens.access_token);
            async move { client.create(request).await }
        });
        let created = join_all(created).await;
        assert_eq!(created.iter().filter(|outcome| outcome.is_ok()).count(), 1, "of {count}");
        for outcome in created.into_iter().filter(Result::is_err) {
            let status = assert_reason(outcome, Reason::QuotaExceeded);
            let details = tonic_types::StatusExt::get_error_details(&status);
            assert!(details.quota_failure().is_some(), "{status:?}");
        }
    }
    assert_eq!(usage(&ada.client).await, (0, 14, 2));
}

#[tokio::test]
async fn an_upload_that_meets_the_quota_stays_active_and_goes_on() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let quota = |max_bytes| Quota { max_bytes: Some(max_bytes), ..Quota::default() };
    server.set_quota(&ada.id, quota(3 * MIB as i64)).await;
    let content = Content::new(1, 4 * MIB);
    let request = sluice_proto::v1::CreateUploadRequest { size: None, ..in_small_parts("a", 0) };
    let upload = ada.client.create(request).await.unwrap();
    let refused = ada.client.write(Frames::to(&upload).range(&content, 0..4 * MIB)).await;
    assert_reason(refused, Reason::QuotaExceeded);
    let seen = ada.client.upload(&upload.id).await.unwrap();
    assert_eq!(seen.persisted_bytes, 3 * MIB as i64);
    assert_eq!(usage(&ada.client).await, (0, 3 * MIB as i64, 1));
    let other = ada.client.create(in_small_parts("b", 1)).await;
    assert_reason(other, Reason::QuotaExceeded);

    server.set_quota(&ada.id, quota(4 * MIB as i64)).await;
    let rest = Frames::to(&upload).range(&content, 3 * MIB..4 * MIB);
    ada.client.write(rest).await.unwrap();
    let file = ada.client.complete(&upload.id).await.unwrap();
    assert_eq!(usage(&ada.client).await, (4 * MIB as i64, 0, 0));
    ada.client.delete_file(&file.id).await.unwrap();
    assert_eq!(usage(&ada.client).await, (0, 0, 0));
}

#[tokio::test]
async fn a_file_can_be_too_large_for_an_account() {
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let quota = Quota { max_file_size: Some(MIB as i64), ..Quota::default() };
    server.set_quota(&ada.id, quota).await;
    let large = ada.client.create(in_small_parts("a", MIB + 1)).await;
    assert_reason(large, Reason::FileTooLarge);
    ada.client.put("a", &Content::new(1, MIB)).await.unwrap();
    let unknown = ada.client.create(named("b")).await.unwrap();
    let content = Content::new(1, unknown.part_size as u64);
    let refused = ada.client.write(Frames::to(&unknown).all(&content)).await;
    assert_reason(refused, Reason::FileTooLarge);
}

/// What the account must hold, by what was asked and answered.
#[derive(Default)]
struct Books {
    /// Reserved bytes of open uploads, by id.
    open: BTreeMap<String, i64>,
    /// Sizes of files, by id.
    files: BTreeMap<String, i64>,
}

impl Books {
    fn expect(&self) -> (i64, i64, i64) {
        (self.files.values().sum(), self.open.values().sum(), self.open.len() as i64)
    }
}

/// A thousand operations, after each of which the sums are right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sums_are_right_after_any_operations() {
    let seed = Seed::of("the_sums_are_right_after_any_operations");
    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let (client, mut rng) = (&ada.client, seed.rng(0));
    let mut books = Books::default();
    for n in 0..scale(1000, 20_000) as u64 {
        let pick = |rng: &mut rand::rngs::SmallRng, of: &BTreeMap<String, i64>| {
            let index = rng.random_range(0..of.len().max(1));
            of.iter().nth(index).map(|(id, size)| (id.clone(), *size))
        };
        match rng.random_range(0..10) {
            0..3 => {
                let size = rng.random_range(0..2000);
                let mut request = in_small_parts(&format!("open/{n}"), size);
                if rng.random_ratio(1, 3) {
                    request.size = None;
                }
                let upload = client.create(request.clone()).await.unwrap();
                let mut reserved = request.size.unwrap_or(0);
                if request.size.is_none() && rng.random() {
                    let part = Frames::to(&upload).range(&Content::new(n, MIB), 0..MIB);
                    client.write(part).await.unwrap();
                    reserved = GIB;
                }
                books.open.insert(upload.id, reserved);
            }
            3..6 => {
                let (size, replaced) = (rng.random_range(0..2000), rng.random_ratio(1, 2));
                let name = if replaced { "the same".to_owned() } else { format!("file/{n}") };
                let request = sluice_proto::v1::CreateUploadRequest {
                    request_id: n.to_string(),
                    on_conflict: OnConflict::Replace.into(),
                    ..in_small_parts(&name, size)
                };
                let frames = Frames::creating(request).all(&Content::new(n, size)).complete();
                let file = client.write(frames).await.unwrap().file.unwrap();
                if replaced {
                    let mut gone = Vec::new();
                    for id in books.files.keys() {
                        if let Err(status) = client.file(id).await {
                            assert_eq!(assert_refusal(&status), Reason::FileNotFound);
                            gone.push(id.clone());
                        }
                    }
                    assert!(gone.len() <= 1, "one file is replaced at most");
                    books.files.retain(|id, _| !gone.contains(id));
                }
                books.files.insert(file.id, size as i64);
            }
            6 => {
                if let Some((id, _)) = pick(&mut rng, &books.open) {
                    client.cancel(&id).await.unwrap();
                    books.open.remove(&id);
                }
            }
            7 => {
                if let Some((id, _)) = pick(&mut rng, &books.files) {
                    client.delete_file(&id).await.unwrap();
                    books.files.remove(&id);
                }
            }
            _ => {
                if let Some((id, _)) = pick(&mut rng, &books.open)
                    && let Ok(file) = client.complete(&id).await
                {
                    books.open.remove(&id);
                    books.files.insert(file.id, file.size);
                }
            }
        }
        assert_eq!(usage(client).await, books.expect(), "after {n} operations, {seed}");
    }
    for id in books.open.keys() {
        client.cancel(id).await.unwrap();
    }
    for id in books.files.keys() {
        client.delete_file(id).await.unwrap();
    }
    assert_eq!(usage(client).await, (0, 0, 0));
}
