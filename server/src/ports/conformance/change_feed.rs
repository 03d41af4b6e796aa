//! Promises of [`ChangeFeed`]. Changes enter it through the stores, so these
//! need them all.

use std::time::{Duration, Instant};

use sluice_domain::{AccountId, Error, OnConflict, Reason, Upload};

use crate::ports::{
    Change, ChangeFeed, Changed, FeedPosition, FileChange, FileStore, UploadStore,
    conformance::fixtures::{
        NOW, TTL, after, assert_refused, commit, completed, created, freeze_of, frozen, name,
        new_owner, part, processing,
    },
};

const AT_ONCE: Duration = Duration::ZERO;

async fn end(feed: &dyn ChangeFeed, owner: AccountId) -> FeedPosition {
    feed.end(owner).await.expect("a place")
}

/// What has changed since, in order.
async fn since(feed: &dyn ChangeFeed, owner: AccountId, place: &FeedPosition) -> Vec<Changed> {
    let page = feed.changes(owner, place.clone(), 1000, AT_ONCE).await.expect("a page");
    page.changes.into_iter().map(|change| change.what).collect()
}

fn file_of(upload: &Upload) -> Changed {
    Changed::File { id: upload.file_id, upload: upload.id }
}

/// Whatever changes an upload, its change is there when the method returns.
pub async fn every_change_of_an_upload_is_told(
    uploads: &dyn UploadStore,
    _files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let mut place = end(feed, owner).await;
    let upload = created(uploads, owner, "file", 2).await;
    let (id, told) = (upload.id, [Changed::Upload(upload.id)]);
    let mut check = async |what: &str| {
        assert_eq!(since(feed, owner, &place).await, told, "{what}");
        place = end(feed, owner).await;
        assert!(since(feed, owner, &place).await.is_empty(), "{what}");
    };
    check("created").await;
    commit(uploads, &upload, part(1, 7)).await.expect("the part is recorded");
    check("written").await;
    let newer = uploads.advance_epoch(owner, id, NOW, TTL).await.expect("an epoch");
    check("resumed").await;
    commit(uploads, &newer, part(2, 7)).await.expect("the part is recorded");
    check("written again").await;
    uploads.freeze(owner, id, freeze_of(2), NOW).await.expect("it is frozen");
    check("frozen").await;
    uploads.publish(owner, id, NOW).await.expect("it is published");
    let told = since(feed, owner, &place).await;
    assert!(told.contains(&Changed::Upload(id)) && told.contains(&file_of(&upload)), "{told:?}");

    let late = after(10 * TTL.as_secs());
    for way in ["cancelled", "failed", "expired"] {
        let upload = created(uploads, owner, way, 1).await;
        let place = end(feed, owner).await;
        match way {
            "cancelled" => drop(uploads.cancel(owner, upload.id, NOW).await.expect(way)),
            "failed" => {
                let failure = Error::new(Reason::FileChecksumMismatch, "other bytes").into();
                uploads.fail_upload(owner, upload.id, failure, NOW).await.expect(way);
            }
            _ => assert!(uploads.expire(owner, upload.id, late).await.expect(way)),
        }
        assert_eq!(since(feed, owner, &place).await, [Changed::Upload(upload.id)], "{way}");
    }
}

/// Whatever changes a file, its change is there when the method returns.
pub async fn every_change_of_a_file_is_told(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let file = processing(uploads, owner, "file", OnConflict::Fail).await;
    let told = Changed::File { id: file.id, upload: file.upload_id };
    let place = end(feed, owner).await;
    files.mark_ready(owner, file.id, [3; 32], NOW).await.expect("it is ready");
    assert_eq!(since(feed, owner, &place).await, [told]);

    let place = end(feed, owner).await;
    let change = FileChange { name: Some(name("other")), metadata: None };
    files.update_file(owner, file.id, String::new(), change).await.expect("it is renamed");
    assert_eq!(since(feed, owner, &place).await, [told]);

    let bad = processing(uploads, owner, "bad", OnConflict::Fail).await;
    let place = end(feed, owner).await;
    let failure = Error::new(Reason::FileChecksumMismatch, "other bytes");
    files.mark_failed(owner, bad.id, failure.into()).await.expect("it has failed");
    let failed = Changed::File { id: bad.id, upload: bad.upload_id };
    assert_eq!(since(feed, owner, &place).await, [failed]);
}

/// A file that is deleted or replaced is told to be gone, and nothing else of
/// it; what replaces it comes after that.
pub async fn a_file_that_is_gone_is_told(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let start = end(feed, owner).await;
    let file = completed(uploads, owner, "deleted").await;
    let gone = Changed::FileGone { id: file.id, upload: file.upload_id };
    files.delete_file(owner, file.id, String::new(), NOW).await.expect("it is deleted");
    assert_eq!(since(feed, owner, &start).await, [Changed::Upload(file.upload_id), gone]);

    let old = completed(uploads, owner, "file").await;
    let new = processing(uploads, owner, "file", OnConflict::Replace).await;
    let place = end(feed, owner).await;
    files.mark_ready(owner, new.id, [3; 32], NOW).await.expect("it is ready");
    let gone = Changed::FileGone { id: old.id, upload: old.upload_id };
    let came = Changed::File { id: new.id, upload: new.upload_id };
    assert_eq!(since(feed, owner, &place).await, [gone, came]);
}

/// What was refused has not happened, and is not told.
pub async fn what_was_refused_is_not_told(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let upload = frozen(uploads, owner, "file", 1).await;
    let file = completed(uploads, owner, "other").await;
    let place = end(feed, owner).await;
    assert!(commit(uploads, &upload, part(1, 7)).await.is_err());
    assert!(uploads.cancel(owner, upload.id, NOW).await.is_err());
    assert!(uploads.advance_epoch(owner, upload.id, NOW, TTL).await.is_err());
    let stale = files.delete_file(owner, file.id, "another".into(), NOW).await;
    assert_refused(stale, Reason::EtagMismatch);
    assert!(since(feed, owner, &place).await.is_empty());
}

/// However it is cut into pages, the feed has each record once, in the order
/// of their newest changes, and can be read on from every entry.
pub async fn a_record_is_told_once_at_its_newest_change(
    uploads: &dyn UploadStore,
    _files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let start = end(feed, owner).await;
    let mut ids = Vec::new();
    for index in 0..7 {
        let upload = created(uploads, owner, &format!("file-{index}"), 2).await;
        ids.push(upload.clone());
    }
    for again in [1, 4] {
        commit(uploads, &ids[again], part(1, 7)).await.expect("the part is recorded");
    }
    let order = [0, 2, 3, 5, 6, 1, 4].map(|index| Changed::Upload(ids[index].id));
    for limit in [1, 2, 3, 7, 100] {
        let (mut place, mut told) = (start.clone(), Vec::<Change>::new());
        loop {
            let page = feed.changes(owner, place.clone(), limit, AT_ONCE).await.expect("a page");
            assert!(page.changes.len() <= limit as usize, "{} of {limit}", page.changes.len());
            assert!(page.end >= place, "it goes back");
            place = page.end;
            if page.changes.is_empty() {
                break;
            }
            told.extend(page.changes);
        }
        assert!(told.windows(2).all(|pair| pair[0].position < pair[1].position));
        let whats: Vec<_> = told.iter().map(|change| change.what).collect();
        assert_eq!(whats, order, "pages of {limit}");
        for (index, change) in told.iter().enumerate() {
            assert_eq!(since(feed, owner, &change.position).await, order[index + 1..]);
        }
    }
}

/// Nobody is told of what belongs to somebody else.
pub async fn each_account_has_a_feed_of_its_own(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let (owner, other) = (new_owner(), new_owner());
    let (start, others) = (end(feed, owner).await, end(feed, other).await);
    let mine = created(uploads, owner, "mine", 1).await;
    let theirs = completed(uploads, other, "theirs").await;
    files.delete_file(other, theirs.id, String::new(), NOW).await.expect("it is deleted");
    assert_eq!(since(feed, owner, &start).await, [Changed::Upload(mine.id)]);
    let gone = Changed::FileGone { id: theirs.id, upload: theirs.upload_id };
    assert_eq!(since(feed, other, &others).await, [Changed::Upload(theirs.upload_id), gone]);
}

/// Waiting ends with a change, and in any case.
pub async fn waiting_ends(
    uploads: &dyn UploadStore,
    _files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let place = end(feed, owner).await;
    let start = Instant::now();
    let wait = |at_most| feed.changes(owner, place.clone(), 10, at_most);
    let page = wait(Duration::from_millis(50)).await.expect("a page");
    assert!(page.changes.is_empty() && start.elapsed() < Duration::from_secs(5));

    let start = Instant::now();
    let later = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        created(uploads, owner, "file", 1).await
    };
    let (page, upload) = futures::join!(wait(Duration::from_secs(30)), later);
    let told: Vec<_> = page.expect("a page").changes.iter().map(|it| it.what).collect();
    assert_eq!(told, [Changed::Upload(upload.id)]);
    assert!(start.elapsed() < Duration::from_secs(10), "a change came, and it waits on");
}

/// A place that is not from this feed is refused, whatever it looks like.
pub async fn an_unknown_place_is_refused(
    uploads: &dyn UploadStore,
    _files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    created(uploads, owner, "file", 1).await;
    let known = end(feed, owner).await.as_bytes().to_vec();
    let mut unknown = vec![Vec::new(), vec![0], vec![0; FeedPosition::MAX_BYTES], vec![0xff; 16]];
    assert!(known.len() <= FeedPosition::MAX_BYTES);
    unknown.push(known[1..].to_vec());
    unknown.push([&known[..], &[0]].concat());
    let mut foreign = known.clone();
    foreign[0] ^= 1;
    unknown.push(foreign);
    let mut future = known.clone();
    *future.last_mut().expect("it is not empty") = 0xff;
    future[known.len() - 2] = 0xff;
    unknown.push(future);
    for bytes in unknown {
        let place = FeedPosition::from_bytes(bytes.clone());
        let page = feed.changes(owner, place, 10, AT_ONCE).await;
        assert!(page.is_err(), "{bytes:?} is taken for a place");
        assert_refused(page, Reason::ResumeTokenInvalid);
    }
}

/// Who has not read what is forgotten is told so, and nobody else.
pub async fn a_place_before_what_is_forgotten_is_refused(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    feed: &dyn ChangeFeed,
) {
    let owner = new_owner();
    let read = |place: &FeedPosition| feed.changes(owner, place.clone(), 10, AT_ONCE);
    let start = end(feed, owner).await;
    let file = completed(uploads, owner, "file").await;
    let before = end(feed, owner).await;
    files.delete_file(owner, file.id, String::new(), after(10)).await.expect("it is deleted");
    let behind = end(feed, owner).await;
    while feed.forget_gone(after(10), 100).await.expect("an answer") > 0 {}
    read(&before).await.expect("it is not old enough");
    assert_eq!(feed.forget_gone(after(11), 100).await, Ok(1));
    assert_eq!(feed.forget_gone(after(11), 100).await, Ok(0));
    assert_refused(read(&start).await, Reason::ResumeTokenInvalid);
    assert_refused(read(&before).await, Reason::ResumeTokenInvalid);
    read(&behind).await.expect("it misses nothing");

    let upload = created(uploads, owner, "ended", 1).await;
    let before = end(feed, owner).await;
    uploads.cancel(owner, upload.id, after(20)).await.expect("it is cancelled");
    let behind = end(feed, owner).await;
    while uploads.forget_ended(after(20), 100).await.expect("an answer") > 0 {}
    read(&before).await.expect("it is not old enough");
    while uploads.forget_ended(after(21), 100).await.expect("an answer") > 0 {}
    assert_refused(read(&before).await, Reason::ResumeTokenInvalid);
    read(&behind).await.expect("it misses nothing");
}
