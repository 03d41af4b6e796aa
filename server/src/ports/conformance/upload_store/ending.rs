//! Ends without a file, and forgetting.

use futures::future::join_all;
use sluice_domain::{Error, RangeSet, Reason, UploadId, UploadState};

use crate::ports::{
    UploadStore,
    conformance::fixtures::{
        NOW, TTL, after, assert_refused, commit, completed, create, created, frozen, new_id,
        new_owner, new_upload, part, processing, written,
    },
};

async fn assert_given_up(store: &dyn UploadStore, owner: sluice_domain::AccountId, id: UploadId) {
    let (upload, persisted) = store.persisted(owner, id).await.expect("it is there");
    assert_eq!((persisted, upload.persisted_bytes), (RangeSet::default(), 0));
    assert!(!store.blob_in_use(owner, id).await.expect("an answer"));
}

/// Cancelling ends an active upload, once for all.
pub async fn a_cancelled_upload_stays_cancelled(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 1).await;
    let (owner, id) = (upload.owner, upload.id);
    let cancelled = store.cancel(owner, id, after(1)).await.expect("it is cancelled");
    assert_eq!((cancelled.state, cancelled.update_time), (UploadState::Cancelled, after(1)));
    let again = store.cancel(owner, id, after(2)).await.expect("a repeat is no error");
    assert_eq!(again, cancelled);
    assert_given_up(store, owner, id).await;
}

/// What is being completed, or is complete, cannot be cancelled.
pub async fn a_frozen_upload_cannot_be_cancelled(store: &dyn UploadStore) {
    let upload = frozen(store, new_owner(), "file", 1).await;
    let (owner, id) = (upload.owner, upload.id);
    assert_refused(store.cancel(owner, id, NOW).await, Reason::UploadNotActive);
    assert_eq!(store.expire(owner, id, NOW.plus(TTL)).await, Ok(false));
    store.publish(owner, id, NOW).await.expect("it is published");
    assert_refused(store.cancel(owner, id, NOW).await, Reason::UploadNotActive);
    assert!(store.blob_in_use(owner, id).await.expect("an answer"));
}

/// Of a freeze and a cancellation at once, one wins.
pub async fn cancelling_and_freezing_exclude_each_other(store: &dyn UploadStore) {
    let owner = new_owner();
    let race = async |index: u32| {
        let upload = written(store, owner, &format!("file-{index}"), 1).await;
        let freeze = crate::ports::conformance::fixtures::freeze_of(1);
        let (frozen, cancelled) = futures::join!(
            store.freeze(owner, upload.id, freeze, NOW),
            store.cancel(owner, upload.id, NOW)
        );
        assert!(frozen.is_ok() != cancelled.is_ok(), "{frozen:?} and {cancelled:?}");
    };
    join_all((0..20).map(race)).await;
}

/// An upload expires when its time is over, not before, and not if somebody has
/// touched it since it was found overdue.
pub async fn only_an_overdue_upload_expires(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 2).await;
    let (owner, id, epoch) = (upload.owner, upload.id, upload.epoch);
    let end = NOW.plus(TTL);
    assert_eq!(store.expire(owner, id, after(1)).await, Ok(false));
    store
        .commit_part(owner, id, epoch, part(1, 7).into(), after(60), TTL)
        .await
        .expect("it is recorded");
    assert_eq!(store.expire(owner, id, end).await, Ok(false));
    let read = store.upload(owner, id).await.expect("it is there");
    assert_eq!(read.state, UploadState::Active);
    assert_eq!(store.expire(owner, id, after(60).plus(TTL)).await, Ok(true));
    assert_eq!(store.expire(owner, id, after(60).plus(TTL)).await, Ok(false));
    assert_given_up(store, owner, id).await;
}

/// Overdue uploads are found, the most overdue first, and no others.
pub async fn overdue_uploads_are_found(store: &dyn UploadStore) {
    let owner = new_owner();
    let mut ids = Vec::new();
    for seconds in [30, 10, 20, 90] {
        let mut upload = new_upload(owner, &format!("file-{seconds}"), None);
        upload.expire_time = after(seconds);
        ids.push(create(store, upload).await.id);
    }
    store.cancel(owner, ids[2], NOW).await.expect("it is cancelled");
    let own = |found: Vec<(_, UploadId)>| -> Vec<UploadId> {
        found.into_iter().filter(|(of, _)| *of == owner).map(|(_, id)| id).collect()
    };
    assert_eq!(own(store.overdue(after(60), 1000).await.expect("a list")), [ids[1], ids[0]]);
    assert_eq!(own(store.overdue(after(5), 1000).await.expect("a list")), []);
    assert!(store.overdue(after(60), 1).await.expect("a list").len() <= 1);
}

/// Completions that were left alone are found.
pub async fn abandoned_completions_are_found(store: &dyn UploadStore) {
    let owner = new_owner();
    let upload = frozen(store, owner, "file", 1).await;
    created(store, owner, "other", 1).await;
    let found = async |before| -> Vec<UploadId> {
        let found = store.completing(before, 1000).await.expect("a list");
        found.into_iter().filter(|(of, _)| *of == owner).map(|(_, id)| id).collect()
    };
    assert_eq!(found(NOW).await, []);
    assert_eq!(found(after(1)).await, [upload.id]);
    store.publish(owner, upload.id, NOW).await.expect("it is published");
    assert_eq!(found(after(1)).await, []);
}

/// An upload that fails keeps the reason.
pub async fn a_failed_upload_keeps_its_reason(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 1).await;
    let (owner, id) = (upload.owner, upload.id);
    let failure = || Error::new(Reason::FileChecksumMismatch, "other bytes").with("algorithm", "x");
    store.fail_upload(owner, id, failure().into(), after(1)).await.expect("it fails");
    let read = store.upload(owner, id).await.expect("it is there");
    assert_eq!((read.state, read.error), (UploadState::Failed, Some(failure().into())));
    assert_given_up(store, owner, id).await;
    let again = store.fail_upload(owner, id, failure().into(), after(2)).await;
    assert_refused(again, Reason::UploadNotActive);
}

/// Ended uploads are forgotten after a while; what became a file keeps its file
/// and its parts, and what goes on is not touched.
pub async fn only_ended_uploads_are_forgotten(store: &dyn UploadStore) {
    let owner = new_owner();
    let cancelled = created(store, owner, "cancelled", 1).await;
    store.cancel(owner, cancelled.id, after(10)).await.expect("it is cancelled");
    let file = completed(store, owner, "file").await;
    let active = created(store, owner, "active", 1).await;
    let frozen = frozen(store, owner, "frozen", 1).await;

    let forget =
        async |before| while store.forget_ended(before, 2).await.expect("an answer") > 0 {};
    forget(after(10)).await;
    store.upload(owner, cancelled.id).await.expect("its time has not come");
    assert_refused(store.upload(owner, file.upload_id).await, Reason::UploadNotFound);
    forget(after(1000)).await;
    assert_refused(store.upload(owner, cancelled.id).await, Reason::UploadNotFound);
    store.upload(owner, active.id).await.expect("it goes on");
    store.upload(owner, frozen.id).await.expect("it goes on");
    store.file_of_upload(owner, file.id).await.expect("the file stays");
    assert_eq!(store.parts(owner, file.upload_id, None, 10).await.expect("its parts").len(), 2);
    assert!(store.blob_in_use(owner, file.upload_id).await.expect("an answer"));
}

/// Bytes are in use as long as an upload goes on or a file is there.
pub async fn bytes_are_in_use_while_a_record_needs_them(store: &dyn UploadStore) {
    let owner = new_owner();
    let in_use = async |id| store.blob_in_use(owner, id).await.expect("an answer");
    assert!(!in_use(new_id()).await);
    let upload = created(store, owner, "file", 1).await;
    assert!(in_use(upload.id).await);
    commit(store, &upload, part(1, 7)).await.expect("the part is recorded");
    assert!(in_use(upload.id).await);
    assert!(in_use(frozen(store, owner, "frozen", 1).await.id).await);
    assert!(in_use(completed(store, owner, "ready").await.upload_id).await);
    let checked = processing(store, owner, "checked", sluice_domain::OnConflict::Fail).await;
    assert!(in_use(checked.upload_id).await);
}
