//! Promises about what accounts hold: nothing is counted twice, and everything
//! is given back.

use futures::future::join_all;
use sluice_domain::{AccountId, LEASE, OnConflict, Quota, Reason, Upload, Usage};

use super::{
    account_store::registered,
    fixtures::{
        NOW, PART_SIZE, assert_refused, commit, completed, create, created, freeze_of, frozen,
        new_upload, part, processing,
    },
};
use crate::ports::{AccountStore, FileStore, NewUpload, UploadStore};

async fn account(accounts: &dyn AccountStore) -> AccountId {
    registered(accounts, "ada@example.com").await.id
}

async fn used(accounts: &dyn AccountStore, owner: AccountId) -> (u64, u64, u64) {
    let Usage { stored_bytes, reserved_bytes, active_uploads } =
        accounts.usage(owner).await.expect("it is read").0;
    (stored_bytes, reserved_bytes, active_uploads)
}

fn with_quota(upload: Upload, quota: Quota) -> NewUpload {
    NewUpload { upload, request: None, quota }
}

/// Of a hundred creations with one place left, one succeeds.
pub async fn the_last_place_is_taken_once(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let quota = Quota { max_active_uploads: Some(1), ..Quota::default() };
    let tried = (0..100).map(|n| {
        uploads.create_upload(with_quota(new_upload(owner, &n.to_string(), Some(1)), quota))
    });
    let tried = join_all(tried).await;
    assert_eq!(tried.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in tried.into_iter().filter(Result::is_err) {
        assert_refused(outcome, Reason::QuotaExceeded);
    }
    assert_eq!(used(accounts, owner).await, (0, 1, 1));
}

/// The same with room for the bytes of one.
pub async fn the_last_bytes_are_taken_once(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let quota = Quota { max_bytes: Some(1999), ..Quota::default() };
    let tried = (0..16).map(|n| {
        uploads.create_upload(with_quota(new_upload(owner, &n.to_string(), Some(1000)), quota))
    });
    let tried = join_all(tried).await;
    assert_eq!(tried.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    let rest = with_quota(new_upload(owner, "rest", Some(999)), quota);
    uploads.create_upload(rest).await.expect("it fits exactly");
    assert_eq!(used(accounts, owner).await, (0, 1999, 2));
}

/// However an upload ends, its bytes and its place are free again.
pub async fn what_ends_gives_its_bytes_back(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let cancelled = created(uploads, owner, "a", 2).await;
    let failed = created(uploads, owner, "b", 3).await;
    let expired = created(uploads, owner, "c", 4).await;
    assert_eq!(used(accounts, owner).await, (0, 9 * PART_SIZE, 3));
    uploads.cancel(owner, cancelled.id, NOW).await.expect("it is cancelled");
    uploads.cancel(owner, cancelled.id, NOW).await.expect("it stays cancelled");
    assert_eq!(used(accounts, owner).await, (0, 7 * PART_SIZE, 2));
    let failure = sluice_domain::Error::storage_io("a test").into();
    uploads.fail_upload(owner, failed.id, failure, NOW).await.expect("it has failed");
    assert_eq!(used(accounts, owner).await, (0, 4 * PART_SIZE, 1));
    uploads.expire(owner, expired.id, expired.expire_time).await.expect("it expires");
    assert_eq!(used(accounts, owner).await, (0, 0, 0));
    uploads.forget_ended(expired.expire_time, 10).await.expect("they are forgotten");
    assert_eq!(used(accounts, owner).await, (0, 0, 0));
}

/// What was reserved becomes what is stored, until the file goes, whether it
/// was ready or not.
pub async fn a_file_holds_its_size_until_it_is_gone(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let upload = frozen(uploads, owner, "a", 2).await;
    assert_eq!(used(accounts, owner).await, (0, 2 * PART_SIZE, 1));
    let ready = uploads.publish(owner, upload.id, NOW).await.expect("it is published");
    uploads.publish(owner, upload.id, NOW).await.expect("it is published already");
    assert_eq!(used(accounts, owner).await, (2 * PART_SIZE, 0, 0));
    let failed = processing(uploads, owner, "b", OnConflict::Fail).await;
    assert_eq!(used(accounts, owner).await, (4 * PART_SIZE, 0, 0));
    let failure = sluice_domain::Error::storage_io("a test");
    files.mark_failed(owner, failed.id, failure.into()).await.expect("it has failed");
    assert_eq!(used(accounts, owner).await, (2 * PART_SIZE, 0, 0));
    for file in [failed.id, ready.id] {
        files.delete_file(owner, file, String::new(), NOW).await.expect("it is deleted");
    }
    assert_eq!(used(accounts, owner).await, (0, 0, 0));
}

/// A file that is replaced holds nothing any more.
pub async fn a_replaced_file_gives_its_bytes_back(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    completed(uploads, owner, "a").await;
    let again =
        Upload { on_conflict: OnConflict::Replace, ..new_upload(owner, "a", Some(PART_SIZE)) };
    let again = create(uploads, again).await;
    commit(uploads, &again, part(1, 7)).await.expect("the part is recorded");
    assert_eq!(used(accounts, owner).await, (2 * PART_SIZE, PART_SIZE, 1));
    uploads.freeze(owner, again.id, freeze_of(1), NOW).await.expect("it is frozen");
    uploads.publish(owner, again.id, NOW).await.expect("it is published");
    assert_eq!(used(accounts, owner).await, (PART_SIZE, 0, 0));
}

/// An upload whose size is not known holds whole leases, and its size once that
/// is known.
pub async fn unknown_sizes_take_bytes_as_they_come(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let quota = Quota { max_bytes: Some(3 * LEASE), ..Quota::default() };
    let upload = create(uploads, new_upload(owner, "a", None)).await;
    assert_eq!(used(accounts, owner).await, (0, 0, 1));
    let reserve = |end| uploads.reserve(owner, upload.id, end, quota);
    reserve(1).await.expect("there is room");
    assert_eq!(used(accounts, owner).await, (0, LEASE, 1));
    reserve(LEASE + 1).await.expect("there is room");
    reserve(7).await.expect("it has it already");
    assert_eq!(used(accounts, owner).await, (0, 2 * LEASE, 1));
    assert_refused(reserve(3 * LEASE + 1).await, Reason::QuotaExceeded);
    commit(uploads, &upload, part(1, 7)).await.expect("it is still active");

    uploads.fix_size(owner, upload.id, None, PART_SIZE, NOW).await.expect("it is fixed");
    assert_eq!(used(accounts, owner).await, (0, PART_SIZE, 1));
    reserve(LEASE).await.expect("nothing is to be done");
    assert_eq!(used(accounts, owner).await, (0, PART_SIZE, 1));

    // The same where the completion fixes the size.
    let other = create(uploads, new_upload(owner, "b", None)).await;
    uploads.reserve(owner, other.id, PART_SIZE, quota).await.expect("there is room");
    commit(uploads, &other, part(1, 7)).await.expect("the part is recorded");
    uploads.freeze(owner, other.id, freeze_of(1), NOW).await.expect("it is frozen");
    assert_eq!(used(accounts, owner).await, (0, 2 * PART_SIZE, 2));
}

/// Where there is no room for a lease, what is left is enough.
pub async fn a_small_quota_is_used_to_its_last_byte(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let quota = Quota { max_bytes: Some(3 * PART_SIZE), ..Quota::default() };
    let upload = create(uploads, new_upload(owner, "a", None)).await;
    let reserve = |end| uploads.reserve(owner, upload.id, end, quota);
    reserve(3 * PART_SIZE).await.expect("there is room");
    assert_eq!(used(accounts, owner).await, (0, 3 * PART_SIZE, 1));
    assert_refused(reserve(3 * PART_SIZE + 1).await, Reason::QuotaExceeded);
}

/// The limits of the account come before those of the server.
pub async fn an_own_limit_comes_first(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let own = Quota { max_bytes: Some(100), ..Quota::default() };
    accounts.set_quota(owner, own).await.expect("it is set");
    assert_eq!(accounts.usage(owner).await.expect("it is read").1, own);
    let default = Quota { max_bytes: Some(10), ..Quota::default() };
    let new = with_quota(new_upload(owner, "a", Some(100)), default);
    uploads.create_upload(new).await.expect("there is room");
    let new = with_quota(new_upload(owner, "b", Some(1)), default);
    assert_refused(uploads.create_upload(new).await, Reason::QuotaExceeded);
}

/// A file that is too large for the account is refused, as soon as that is
/// known.
pub async fn a_large_file_is_refused(
    uploads: &dyn UploadStore,
    _: &dyn FileStore,
    accounts: &dyn AccountStore,
) {
    let owner = account(accounts).await;
    let quota = Quota { max_file_size: Some(10), ..Quota::default() };
    let large = with_quota(new_upload(owner, "a", Some(11)), quota);
    assert_refused(uploads.create_upload(large).await, Reason::FileTooLarge);
    let upload = create(uploads, new_upload(owner, "b", None)).await;
    uploads.reserve(owner, upload.id, 10, quota).await.expect("it is small enough");
    let reserved = uploads.reserve(owner, upload.id, 11, quota).await;
    assert_refused(reserved, Reason::FileTooLarge);
}
