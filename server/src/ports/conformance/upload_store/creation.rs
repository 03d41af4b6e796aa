//! Opening uploads.

use futures::future::join_all;
use sluice_domain::{OnConflict, Quota, Reason, RequestId, Upload};

use crate::ports::{
    Created, NewUpload, RequestKey, UploadStore,
    conformance::fixtures::{
        NOW, TTL, assert_refused, completed, create, created, freeze_of, frozen, new_owner,
        new_upload, number, part,
    },
};

fn asked(upload: Upload, id: &str, fingerprint: u8) -> NewUpload {
    let id = RequestId::parse(id, "request_id").expect("a request id").expect("not empty");
    let request = Some(RequestKey { id, fingerprint: [fingerprint; 32] });
    NewUpload { upload, request, quota: Quota::default() }
}

/// What was created is read back as it was, at once.
pub async fn a_created_upload_reads_back(store: &dyn UploadStore) {
    for size in [None, Some(0), Some(1 << 40)] {
        let upload = create(store, new_upload(new_owner(), "a/b.txt", size)).await;
        let read = store.upload(upload.owner, upload.id).await;
        assert_eq!(read.expect("the upload is there"), upload);
    }
}

/// Of many equal requests one creates, and all name the same upload.
pub async fn a_repeated_request_answers_the_first_upload(store: &dyn UploadStore) {
    let owner = new_owner();
    let requests: Vec<_> =
        (0..100).map(|_| asked(new_upload(owner, "file", None), "request", 1)).collect();
    let ids: Vec<_> = requests.iter().map(|new| new.upload.id).collect();
    let answers = join_all(requests.into_iter().map(|new| store.create_upload(new))).await;
    let mut new = Vec::new();
    let mut before = Vec::new();
    for (answer, id) in answers.into_iter().zip(ids) {
        match answer.expect("the request is answered") {
            Created::New => new.push(id),
            Created::Before(upload) => before.push(upload.id),
        }
    }
    assert_eq!(new.len(), 1, "uploads were created: {new:?}");
    assert!(before.iter().all(|id| *id == new[0]), "{before:?} are not {new:?}");
}

/// A request id cannot be used for another request.
pub async fn a_request_id_names_one_request(store: &dyn UploadStore) {
    let owner = new_owner();
    let first = store.create_upload(asked(new_upload(owner, "one", None), "request", 1)).await;
    assert_eq!(first, Ok(Created::New));
    let other = store.create_upload(asked(new_upload(owner, "two", None), "request", 2)).await;
    assert_refused(other, Reason::RequestIdReused);
}

/// Two accounts may use the same request id.
pub async fn a_request_id_belongs_to_its_owner(store: &dyn UploadStore) {
    for fingerprint in [1, 2] {
        let new = asked(new_upload(new_owner(), "file", None), "request", fingerprint);
        assert_eq!(store.create_upload(new).await, Ok(Created::New));
    }
}

/// A name that a file has, or will have, is refused early, unless the caller
/// wants to replace.
pub async fn a_taken_name_is_refused_at_creation(store: &dyn UploadStore) {
    let owner = new_owner();
    completed(store, owner, "file").await;
    frozen(store, owner, "coming", 1).await;
    for name in ["file", "coming"] {
        let upload = new_upload(owner, name, None);
        let new = NewUpload { upload: upload.clone(), request: None, quota: Quota::default() };
        assert_refused(store.create_upload(new).await, Reason::FileExists);
        create(store, Upload { on_conflict: OnConflict::Replace, ..upload }).await;
        create(store, new_upload(new_owner(), name, None)).await;
    }
}

/// An upload of another account is not there, whatever is done to it.
pub async fn an_upload_of_another_owner_is_not_found(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 1).await;
    let (id, epoch, foe) = (upload.id, upload.epoch, new_owner());
    let gone = Reason::UploadNotFound;
    assert_refused(store.upload(foe, id).await, gone);
    assert_refused(store.written(foe, id, number(1)).await, gone);
    assert_refused(store.persisted(foe, id).await, gone);
    assert_refused(store.advance_epoch(foe, id, NOW, TTL).await, gone);
    assert_refused(store.commit_part(foe, id, epoch, part(1, 7).into(), NOW, TTL).await, gone);
    assert_refused(store.fix_size(foe, id, None, 5, NOW).await, gone);
    assert_refused(store.freeze(foe, id, freeze_of(1), NOW).await, gone);
    assert_refused(store.publish(foe, id, NOW).await, gone);
    assert_refused(store.cancel(foe, id, NOW).await, gone);
    assert_refused(store.expire(foe, id, NOW.plus(TTL)).await, gone);
    let unchanged = store.upload(upload.owner, id).await;
    assert_eq!(unchanged.expect("its owner sees it"), upload);
}
