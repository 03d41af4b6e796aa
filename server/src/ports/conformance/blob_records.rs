//! Promises of [`BlobRecords`].

use futures::future::join_all;
use sluice_domain::{Epoch, FileState};

use crate::ports::{
    BlobRecords, Persisted, PersistedPart, StorageTag, StoredPart, UploadStore,
    conformance::fixtures::{
        NOW, TTL, created, freeze_of, frozen, new_id, new_owner, number, part, written,
    },
};

fn tag(text: &str) -> StorageTag {
    StorageTag(text.to_owned())
}

/// Of many places one is kept, and all are told which.
pub async fn one_place_is_kept(uploads: &dyn UploadStore, records: &dyn BlobRecords) {
    let upload = created(uploads, new_owner(), "file", 1).await;
    let other = created(uploads, new_owner(), "file", 1).await;
    assert_eq!(records.place(upload.id).await, Ok(None));
    let kept = (0..16).map(|number| records.keep_place(upload.id, tag(&number.to_string())));
    let kept = join_all(kept).await;
    let first = kept[0].clone().expect("one is kept");
    assert!(kept.iter().all(|kept| *kept == Ok(first.clone())), "{kept:?}");
    assert_eq!(records.place(upload.id).await, Ok(Some(first)));
    assert_eq!(records.place(other.id).await, Ok(None));
}

/// A place is forgotten once all that was there is lost.
pub async fn a_place_without_parts_is_forgotten(
    uploads: &dyn UploadStore,
    records: &dyn BlobRecords,
) {
    let upload = written(uploads, new_owner(), "file", 2).await;
    let (owner, id) = (upload.owner, upload.id);
    records.keep_place(id, tag("place")).await.expect("it is kept");
    for (lost, kept) in [(1, Some(tag("place"))), (2, None)] {
        uploads.freeze(owner, id, freeze_of(2), NOW).await.expect("it is frozen");
        let lost: Vec<_> = (1..=lost).map(number).collect();
        uploads.reopen(owner, id, lost.clone(), NOW, TTL).await.expect("it is reopened");
        assert_eq!(records.place(id).await, Ok(kept));
        for lost in lost {
            let record = part(lost.get(), 7).into();
            let recorded = uploads.commit_part(owner, id, upload.epoch, record, NOW, TTL).await;
            recorded.expect("it is recorded");
        }
    }
}

/// What storage said of a part is told as it was recorded, page by page.
pub async fn parts_keep_their_tags(uploads: &dyn UploadStore, records: &dyn BlobRecords) {
    let upload = created(uploads, new_owner(), "file", 5).await;
    let tag_of = |number: u32| (number != 3).then(|| tag(&format!("tag {number}")));
    for of in [5, 2, 4, 1, 3] {
        let bytes = Persisted::Stored(tag_of(of));
        let part = PersistedPart { record: part(of, 7), bytes };
        let recorded =
            uploads.commit_part(upload.owner, upload.id, Epoch::FIRST, part, NOW, TTL).await;
        recorded.expect("it is recorded");
    }
    let expected: Vec<_> = (1..=5)
        .map(|of| {
            let record = part(of, 7);
            let (size, crc32c) = (record.size, record.crc32c);
            StoredPart { number: number(of), size, crc32c, tag: tag_of(of) }
        })
        .collect();
    let mut listed: Vec<StoredPart> = Vec::new();
    loop {
        let after = listed.last().map(|part| part.number);
        let page = records.stored_parts(upload.id, after, 2).await.expect("a page");
        if page.is_empty() {
            break;
        }
        listed.extend(page);
    }
    assert_eq!(listed, expected);
    assert_eq!(records.stored_parts(new_id(), None, 9).await, Ok(Vec::new()));
}

/// A file with parts that were written late cannot be read before it is verified.
pub async fn a_file_with_other_tags_is_verified_first(
    uploads: &dyn UploadStore,
    records: &dyn BlobRecords,
) {
    let upload = frozen(uploads, new_owner(), "file", 2).await;
    let (owner, id) = (upload.owner, upload.id);
    let new = tag("new");
    for _ in 0..2 {
        let tags = vec![(number(2), new.clone())];
        uploads.retag_parts(owner, id, tags).await.expect("they are kept");
    }
    let parts = records.stored_parts(id, None, 10).await.expect("they are there");
    let tags: Vec<_> = parts.into_iter().map(|part| part.tag).collect();
    assert_eq!(tags, [None, Some(new)]);
    let file = uploads.publish(owner, id, NOW).await.expect("it is published");
    assert_eq!(file.state, FileState::Processing);
}
