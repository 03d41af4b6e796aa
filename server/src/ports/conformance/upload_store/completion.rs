//! Freezing and publishing.

use futures::future::join_all;
use sluice_domain::{ByteRange, FileDigest, FileState, OnConflict, RangeSet, Reason, UploadState};

use crate::ports::{
    Freeze, StorageTag, UploadStore,
    conformance::fixtures::{
        NOW, PART_SIZE, TTL, after, assert_refused, commit, completed, create, created, freeze_of,
        frozen, name, new_owner, new_upload, number, part, processing, unread, written,
    },
};

/// An upload is frozen only when every part is there.
pub async fn freezing_needs_every_part(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 2).await;
    commit(store, &upload, part(2, 7)).await.expect("the part is recorded");
    let frozen = store.freeze(upload.owner, upload.id, freeze_of(2), NOW).await;
    assert_refused(frozen, Reason::PartsMissing);
    let read = store.upload(upload.owner, upload.id).await.expect("it is there");
    assert_eq!(read.state, UploadState::Active);
}

/// An upload is not frozen with another size than it has.
pub async fn freezing_needs_the_right_size(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 2).await;
    let frozen = store.freeze(upload.owner, upload.id, freeze_of(1), NOW).await;
    assert_refused(frozen, Reason::SizeMismatch);
}

/// An empty file has no parts.
pub async fn an_empty_upload_can_be_frozen(store: &dyn UploadStore) {
    let upload = create(store, new_upload(new_owner(), "file", None)).await;
    let frozen = store.freeze(upload.owner, upload.id, freeze_of(0), NOW).await;
    assert_eq!(frozen.expect("it is frozen").plan.size, Some(0));
    let file = store.publish(upload.owner, upload.id, NOW).await.expect("it is published");
    assert_eq!((file.size, file.state), (0, FileState::Ready));
}

/// Of many that freeze at once one does.
pub async fn an_upload_is_frozen_once(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 2).await;
    let freeze = || store.freeze(upload.owner, upload.id, freeze_of(2), NOW);
    let (done, refused): (Vec<_>, Vec<_>) =
        join_all((0..64).map(|_| freeze())).await.into_iter().partition(Result::is_ok);
    assert_eq!(done.len(), 1);
    for refusal in refused {
        assert_refused(refusal, Reason::UploadNotActive);
    }
}

/// A writer who was fenced cannot freeze.
pub async fn freezing_is_for_the_current_writer(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 1).await;
    let (owner, id) = (upload.owner, upload.id);
    let stale = Freeze { epoch: Some(sluice_domain::Epoch(9)), ..freeze_of(1) };
    assert_refused(store.freeze(owner, id, stale, NOW).await, Reason::StaleWriter);
    let current = Freeze { epoch: Some(upload.epoch), ..freeze_of(1) };
    store.freeze(owner, id, current, NOW).await.expect("the current writer may");
}

/// A frozen upload keeps what was decided: digest, name, rule, and an order
/// among all completions.
pub async fn freezing_keeps_what_was_decided(store: &dyn UploadStore) {
    let owner = new_owner();
    let first = frozen(store, owner, "first", 1).await;
    let upload = written(store, owner, "second", 2).await;
    let freeze = Freeze {
        name: Some(name("third")),
        on_conflict: Some(OnConflict::Replace),
        sha256: Some([3; 32]),
        ..freeze_of(2)
    };
    let answered = store.freeze(owner, upload.id, freeze.clone(), after(1)).await;
    let answered = answered.expect("it is frozen");
    let read = store.upload(owner, upload.id).await.expect("it is there");
    assert_eq!(read, answered);
    assert_eq!(read.state, UploadState::Completing);
    assert_eq!((read.name, read.on_conflict), (name("third"), OnConflict::Replace));
    assert_eq!((read.declared.sha256, read.update_time), (Some([3; 32]), after(1)));
    let (earlier, later) = (first.completion.expect("frozen"), read.completion.expect("frozen"));
    assert_eq!(later.digest, freeze.digest);
    assert!(earlier.sequence < later.sequence, "{earlier:?} came before {later:?}");
}

/// Neither a file's name nor that of another completion is given twice.
pub async fn freezing_refuses_a_taken_name(store: &dyn UploadStore) {
    let owner = new_owner();
    let late = [written(store, owner, "file", 1).await, written(store, owner, "coming", 1).await];
    completed(store, owner, "file").await;
    frozen(store, owner, "coming", 1).await;
    for upload in late {
        let refused = store.freeze(owner, upload.id, freeze_of(1), NOW).await;
        assert_refused(refused, Reason::FileExists);
        let renamed = Freeze { name: Some(name("file")), ..freeze_of(1) };
        assert_refused(store.freeze(owner, upload.id, renamed, NOW).await, Reason::FileExists);
        let replacing = Freeze { on_conflict: Some(OnConflict::Replace), ..freeze_of(1) };
        store.freeze(owner, upload.id, replacing, NOW).await.expect("it may replace");
    }
}

/// However often and by how many it is published, an upload becomes one file.
pub async fn an_upload_becomes_one_file(store: &dyn UploadStore) {
    let upload = frozen(store, new_owner(), "file", 2).await;
    let publish = || store.publish(upload.owner, upload.id, after(5));
    let answers = join_all((0..64).map(|_| publish())).await;
    let first = answers[0].clone().expect("it is published");
    assert_eq!((first.id, first.upload_id), (upload.file_id, upload.id));
    assert_eq!((first.size, first.part_size), (2 * PART_SIZE, PART_SIZE));
    assert_eq!((first.state, first.create_time), (FileState::Ready, after(5)));
    assert_eq!(first.checksums.crc32c, Some(freeze_of(2).digest.crc32c));
    assert_eq!(first.checksums.blake3, freeze_of(2).digest.blake3);
    assert!(first.checksums.blake3.is_some(), "its parts were read");
    for answer in answers {
        assert_eq!(answer.expect("it is published"), first);
    }
    let read = store.file_of_upload(upload.owner, upload.file_id).await;
    assert_eq!(read.expect("it is there"), first);
    let ended = store.upload(upload.owner, upload.id).await.expect("it is there");
    assert_eq!(ended.state, UploadState::Completed);
}

/// In one step an upload becomes the same file as in two, or nothing happens.
pub async fn an_upload_can_become_a_file_at_once(store: &dyn UploadStore) {
    let owner = new_owner();
    let upload = written(store, owner, "file", 2).await;
    let at_once = |freeze| store.freeze_and_publish(owner, upload.id, freeze, NOW);
    let too_small = freeze_of(1);
    assert_refused(at_once(too_small).await, Reason::SizeMismatch);
    let read = store.upload(owner, upload.id).await.expect("it is there");
    assert_eq!(read.state, UploadState::Active);
    let file = at_once(freeze_of(2)).await.expect("it is a file");
    assert_eq!((file.id, file.upload_id), (upload.file_id, upload.id));
    assert_eq!(store.publish(owner, upload.id, NOW).await, Ok(file.clone()));
    assert_refused(at_once(freeze_of(2)).await, Reason::UploadNotActive);
    let other = written(store, owner, "other", 1).await;
    let same_name = Freeze { name: Some(upload.name), ..freeze_of(1) };
    let taken = store.freeze_and_publish(owner, other.id, same_name, NOW).await;
    assert_refused(taken, Reason::FileExists);
    let read = store.upload(owner, other.id).await.expect("it is there");
    assert_eq!(read.state, UploadState::Active);
}

/// Nothing is published that was not frozen.
pub async fn publishing_needs_a_freeze(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 1).await;
    let published = store.publish(upload.owner, upload.id, NOW).await;
    assert_refused(published, Reason::UploadNotActive);
    store.cancel(upload.owner, upload.id, NOW).await.expect("it is cancelled");
    let published = store.publish(upload.owner, upload.id, NOW).await;
    assert_refused(published, Reason::UploadNotActive);
    let file = store.file_of_upload(upload.owner, upload.file_id).await;
    assert_refused(file, Reason::FileNotFound);
}

/// A file with a declared SHA-256 is not readable before it was checked.
pub async fn a_declared_sha256_is_checked_first(store: &dyn UploadStore) {
    let file = processing(store, new_owner(), "file", OnConflict::Fail).await;
    assert_eq!((file.state, file.ready_time), (FileState::Processing, None));
    assert_eq!(file.checksums.sha256, Some([9; 32]));
}

/// A file with parts that nobody has read is not readable before somebody has; until
/// then it has the BLAKE3 that it must have, and what was declared first.
pub async fn a_file_of_unread_parts_is_read_first(store: &dyn UploadStore) {
    let owner = new_owner();
    for (at_creation, at_completion, expected) in [
        (None, None, None),
        (None, Some([3; 32]), Some([3; 32])),
        (Some([2; 32]), Some([2; 32]), Some([2; 32])),
    ] {
        let mut upload = new_upload(owner, "file", Some(2 * PART_SIZE));
        upload.declared.blake3 = at_creation;
        upload.on_conflict = OnConflict::Replace;
        let upload = create(store, upload).await;
        commit(store, &upload, part(1, 7)).await.expect("the part is recorded");
        commit(store, &upload, unread(2, 7)).await.expect("the part is recorded");
        let digest = FileDigest::of(&[part(1, 7), unread(2, 7)]);
        let freeze = Freeze { digest, blake3: at_completion, ..freeze_of(2) };
        let frozen = store.freeze(owner, upload.id, freeze, NOW).await.expect("it is frozen");
        assert_eq!(frozen.declared.blake3, expected);
        let read = store.upload(owner, upload.id).await.expect("it is there");
        assert_eq!(read, frozen);
        assert_eq!(read.completion.expect("frozen").digest, digest);
        let file = store.publish(owner, upload.id, NOW).await.expect("it is published");
        assert_eq!((file.state, file.ready_time), (FileState::Processing, None));
        assert_eq!(file.checksums.crc32c, Some(digest.crc32c));
        assert_eq!(file.checksums.blake3, expected);
        let reread = store.file_of_upload(owner, file.id).await.expect("it is there");
        assert_eq!(reread, file);
        assert_eq!(store.add_detail(owner, upload.id, part(2, 7)).await, Ok(true));
        let parts = store.parts(owner, upload.id, None, 10).await.expect("they are there");
        assert_eq!(parts, [part(1, 7), part(2, 7)]);
    }
}

/// Replacing keeps one file of a name: the one that was completed last, not the
/// one that was published last.
pub async fn the_last_completion_keeps_the_name(store: &dyn UploadStore) {
    let owner = new_owner();
    let replacing = || Freeze { on_conflict: Some(OnConflict::Replace), ..freeze_of(1) };
    let [first, second] =
        [written(store, owner, "file", 1).await, written(store, owner, "file", 1).await];
    for upload in [&first, &second] {
        store.freeze(owner, upload.id, replacing(), NOW).await.expect("it is frozen");
    }
    for upload in [&second, &first] {
        store.publish(owner, upload.id, NOW).await.expect("it is published");
    }
    assert_refused(store.file_of_upload(owner, first.file_id).await, Reason::FileNotFound);
    let kept = store.file_of_upload(owner, second.file_id).await.expect("the last one is there");
    assert_eq!(kept.state, FileState::Ready);
    assert!(!store.blob_in_use(owner, first.id).await.expect("an answer"));
}

/// A completion whose parts are lost takes them again: those are forgotten, the
/// others stay, the name is free, and nothing else about the upload is new.
pub async fn a_reopened_upload_takes_lost_parts_again(store: &dyn UploadStore) {
    let upload = frozen(store, new_owner(), "file", 3).await;
    let (owner, id) = (upload.owner, upload.id);
    let lost = vec![number(1), number(3)];
    let reopened = store.reopen(owner, id, lost.clone(), after(9), TTL).await;
    let reopened = reopened.expect("it is reopened");
    let (read, persisted) = store.persisted(owner, id).await.expect("it is there");
    assert_eq!(read, reopened);
    assert_eq!((read.state, read.completion), (UploadState::Active, None));
    assert_eq!((read.persisted_bytes, read.plan.size), (PART_SIZE, Some(3 * PART_SIZE)));
    assert_eq!((read.update_time, read.epoch), (after(9), upload.epoch));
    let kept = ByteRange { start: PART_SIZE, end: 2 * PART_SIZE };
    assert_eq!(persisted, RangeSet::from_sorted([kept]));
    let frozen = store.freeze(owner, id, freeze_of(3), NOW).await;
    assert_refused(frozen, Reason::PartsMissing);
    completed(store, owner, "file").await;

    for of in [1, 3] {
        commit(store, &upload, part(of, 8)).await.expect("it is recorded");
        let written = store.written(owner, id, number(of)).await.expect("it is there");
        assert_eq!(written.part, Some(part(of, 8)));
    }
    assert_refused(store.freeze(owner, id, freeze_of(3), NOW).await, Reason::FileExists);
    let renamed = Freeze { name: Some(name("other")), ..freeze_of(3) };
    store.freeze(owner, id, renamed, NOW).await.expect("it is whole");
    store.publish(owner, id, NOW).await.expect("it is published");
    assert_refused(store.reopen(owner, id, lost, NOW, TTL).await, Reason::UploadNotActive);
}

/// Only a completing upload can be reopened, and its parts get other tags.
pub async fn only_a_completion_is_reopened(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 2).await;
    let (owner, id) = (upload.owner, upload.id);
    let reopened = store.reopen(owner, id, vec![number(1)], NOW, TTL).await;
    assert_refused(reopened, Reason::UploadNotActive);
    let tags = vec![(number(1), StorageTag("new".into()))];
    assert_refused(store.retag_parts(owner, id, tags).await, Reason::UploadNotActive);
    let (read, persisted) = store.persisted(owner, id).await.expect("it is there");
    assert_eq!((read.state, persisted.end()), (UploadState::Active, 2 * PART_SIZE));
}
