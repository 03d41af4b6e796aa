//! Recording parts.

use futures::future::join_all;
use sluice_domain::{ByteRange, Epoch, Part, RangeSet, Reason, UploadState};

use crate::ports::{
    Recorded, UploadStore,
    conformance::fixtures::{
        NOW, PART_SIZE, TTL, after, assert_refused, commit, create, created, freeze_of, frozen,
        new_owner, new_upload, number, part, unread, written,
    },
};

fn ranges(ranges: &[(u64, u64)]) -> RangeSet {
    RangeSet::from_sorted(ranges.iter().map(|(start, end)| ByteRange { start: *start, end: *end }))
}

/// The persisted bytes are those of the recorded parts, in whatever order these
/// came.
pub async fn persisted_are_the_recorded_parts(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 4).await;
    for number in [4, 1, 2] {
        commit(store, &upload, part(number, 7)).await.expect("the part is recorded");
    }
    let (read, persisted) = store.persisted(upload.owner, upload.id).await.expect("it is there");
    assert_eq!(persisted, ranges(&[(0, 2 * PART_SIZE), (3 * PART_SIZE, 4 * PART_SIZE)]));
    assert_eq!(read.persisted_bytes, 3 * PART_SIZE);
}

/// A part keeps its first record; a second one changes nothing and answers the
/// first.
pub async fn a_part_is_recorded_once(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 1).await;
    let attempts = join_all((0..16).map(|byte| commit(store, &upload, part(1, byte)))).await;
    let attempts: Vec<_> =
        attempts.into_iter().map(|attempt| attempt.expect("a repeat is no error")).collect();
    let (new, before): (Vec<_>, Vec<_>) =
        attempts.into_iter().partition(|recorded| *recorded == Recorded::New);
    assert_eq!(new.len(), 1);
    let first = store.written(upload.owner, upload.id, number(1)).await.expect("it is there");
    commit(store, &upload, part(1, 99)).await.expect("a repeat is no error");
    let again = store.written(upload.owner, upload.id, number(1)).await.expect("it is there");
    let first = first.part.expect("it is recorded");
    assert!(before.iter().all(|recorded| *recorded == Recorded::Before(first.clone())));
    assert_eq!(again.part, Some(first));
    assert_eq!(again.upload.persisted_bytes, PART_SIZE);
}

/// A record is read back as it was written.
pub async fn a_recorded_part_reads_back(store: &dyn UploadStore) {
    let upload = written(store, new_owner(), "file", 2).await;
    for of in [1, 2] {
        let read = store.written(upload.owner, upload.id, number(of)).await.expect("it is there");
        assert_eq!(read.part, Some(part(of, 7)));
    }
}

/// A part that nobody has read is persisted like any other.
pub async fn an_unread_part_is_a_part(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 2).await;
    let (owner, id) = (upload.owner, upload.id);
    assert_eq!(commit(store, &upload, unread(1, 7)).await, Ok(Recorded::New));
    let again = commit(store, &upload, part(1, 7)).await;
    assert_eq!(again, Ok(Recorded::Before(unread(1, 7))));
    commit(store, &upload, part(2, 7)).await.expect("the part is recorded");
    let (_, persisted) = store.persisted(owner, id).await.expect("it is there");
    assert_eq!(persisted, ranges(&[(0, 2 * PART_SIZE)]));
    let read = store.written(owner, id, number(1)).await.expect("it is there");
    assert_eq!(read.part, Some(unread(1, 7)));
    let listed = store.parts(owner, id, None, 10).await.expect("a page");
    assert_eq!(listed, [unread(1, 7), part(2, 7)]);
}

/// What reading a part has found is recorded once, and only of the recorded bytes.
pub async fn what_reading_finds_is_recorded_once(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 3).await;
    let (owner, id) = (upload.owner, upload.id);
    for number in [1, 2] {
        commit(store, &upload, unread(number, 7)).await.expect("the part is recorded");
    }
    let add = |part| store.add_detail(owner, id, part);
    assert_eq!(add(part(1, 8)).await, Ok(false), "of other bytes");
    assert_eq!(add(Part { size: 1, ..part(1, 7) }).await, Ok(false), "of another size");
    assert_eq!(add(part(3, 7)).await, Ok(false), "of no part");
    let listed = store.parts(owner, id, None, 10).await.expect("a page");
    assert_eq!(listed, [unread(1, 7), unread(2, 7)]);
    for answer in join_all((0..8).map(|_| add(part(1, 7)))).await {
        assert_eq!(answer, Ok(true));
    }
    let other = Part { detail: part(1, 8).detail, ..part(1, 7) };
    assert_eq!(add(other).await, Ok(true));
    let listed = store.parts(owner, id, None, 10).await.expect("a page");
    assert_eq!(listed, [part(1, 7), unread(2, 7)]);
    store.cancel(owner, id, NOW).await.expect("it is cancelled");
}

/// Parts come by number, page by page.
pub async fn parts_are_listed_by_number(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 5).await;
    for number in [5, 3, 1, 4, 2] {
        commit(store, &upload, part(number, 7)).await.expect("the part is recorded");
    }
    let mut listed = Vec::new();
    loop {
        let page =
            store.parts(upload.owner, upload.id, listed.last().copied(), 2).await.expect("a page");
        assert!(page.len() <= 2, "{} parts on a page of 2", page.len());
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|part| part.number));
    }
    assert_eq!(listed, [1, 2, 3, 4, 5].map(number));
}

/// Only the current writer records parts.
pub async fn a_part_of_another_epoch_is_refused(store: &dyn UploadStore) {
    let old = created(store, new_owner(), "file", 1).await;
    let resumed = store.advance_epoch(old.owner, old.id, NOW, TTL).await.expect("it is resumed");
    assert_refused(commit(store, &old, part(1, 7)).await, Reason::StaleWriter);
    let (_, persisted) = store.persisted(old.owner, old.id).await.expect("it is there");
    assert_eq!(persisted, RangeSet::default());
    commit(store, &resumed, part(1, 7)).await.expect("the new writer may");
}

/// Only an active upload takes parts and sizes and new writers.
pub async fn only_an_active_upload_takes_parts(store: &dyn UploadStore) {
    let owner = new_owner();
    let cancelled = created(store, owner, "cancelled", 1).await;
    store.cancel(owner, cancelled.id, NOW).await.expect("it is cancelled");
    let expired = created(store, owner, "expired", 1).await;
    assert_eq!(store.expire(owner, expired.id, NOW.plus(TTL)).await, Ok(true));
    let frozen = frozen(store, owner, "frozen", 1).await;
    for (upload, reason) in [
        (cancelled, Reason::UploadNotActive),
        (expired, Reason::UploadExpired),
        (frozen, Reason::UploadNotActive),
    ] {
        let id = upload.id;
        let before = store.persisted(owner, id).await.expect("it is there");
        assert_refused(commit(store, &upload, part(1, 8)).await, reason);
        assert_refused(store.fix_size(owner, id, None, PART_SIZE, NOW).await, reason);
        assert_refused(store.advance_epoch(owner, id, NOW, TTL).await, reason);
        assert_refused(store.freeze(owner, id, freeze_of(1), NOW).await, reason);
        assert_eq!(store.persisted(owner, id).await.expect("it is there"), before);
    }
}

/// A part that is not as long as the size says is refused.
pub async fn a_part_of_the_wrong_length_is_refused(store: &dyn UploadStore) {
    let upload = create(store, new_upload(new_owner(), "file", Some(PART_SIZE - 1))).await;
    assert_refused(commit(store, &upload, part(1, 7)).await, Reason::SizeMismatch);
    let (_, persisted) = store.persisted(upload.owner, upload.id).await.expect("it is there");
    assert_eq!(persisted, RangeSet::default());
}

/// Whoever writes keeps the upload alive.
pub async fn a_recorded_part_slides_the_expiry(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 1).await;
    let (owner, id, epoch) = (upload.owner, upload.id, upload.epoch);
    store
        .commit_part(owner, id, epoch, part(1, 7).into(), after(60), TTL)
        .await
        .expect("it is recorded");
    let read = store.upload(owner, id).await.expect("it is there");
    assert_eq!(read.update_time, after(60));
    assert_eq!(read.expire_time, after(60).plus(TTL));
}

/// Every writer gets an epoch of its own, newer than all before.
pub async fn every_writer_gets_an_epoch_of_its_own(store: &dyn UploadStore) {
    let upload = created(store, new_owner(), "file", 1).await;
    let (owner, id) = (upload.owner, upload.id);
    let resumed = join_all((0..20).map(|_| store.advance_epoch(owner, id, after(60), TTL))).await;
    let mut epochs: Vec<_> =
        resumed.into_iter().map(|resumed| resumed.expect("it is resumed").epoch).collect();
    epochs.sort();
    assert_eq!(epochs, (2..=21).map(Epoch).collect::<Vec<_>>());
    let read = store.upload(owner, id).await.expect("it is there");
    assert_eq!((read.epoch, read.expire_time), (Epoch(21), after(60).plus(TTL)));
}

/// The size is fixed once, by the current writer, and not below what is
/// persisted.
pub async fn the_size_is_fixed_once(store: &dyn UploadStore) {
    let upload = create(store, new_upload(new_owner(), "file", None)).await;
    let (owner, id) = (upload.owner, upload.id);
    commit(store, &upload, part(2, 7)).await.expect("the part is recorded");
    let fix = |epoch, size| store.fix_size(owner, id, epoch, size, NOW);
    assert_refused(fix(None, PART_SIZE).await, Reason::SizeMismatch);
    assert_refused(fix(Some(Epoch(9)), 3 * PART_SIZE).await, Reason::StaleWriter);
    assert_refused(fix(None, 101 * PART_SIZE).await, Reason::SizeExceeded);
    assert_eq!(store.upload(owner, id).await.expect("it is there").plan.size, None);
    for _ in 0..2 {
        assert_eq!(fix(Some(Epoch::FIRST), 3 * PART_SIZE).await, Ok(()));
    }
    assert_refused(fix(None, 4 * PART_SIZE).await, Reason::SizeMismatch);
    let read = store.upload(owner, id).await.expect("it is there");
    assert_eq!((read.plan.size, read.state), (Some(3 * PART_SIZE), UploadState::Active));
}
