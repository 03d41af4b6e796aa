//! Promises of [`FileStore`]. Files come from uploads, so these need both
//! stores.

use sluice_domain::{AccountId, Error, FileState, Metadata, OnConflict, Reason};

use crate::ports::{
    FileChange, FileOrder, FilePage, FilePosition, FileQuery, FileStore, UploadStore,
    conformance::fixtures::{
        NOW, after, assert_refused, completed, frozen, name, new_owner, processing,
    },
};

const BLAKE3: [u8; 32] = [3; 32];

fn renamed(to: &str) -> FileChange {
    FileChange { name: Some(name(to)), metadata: None }
}

/// A file of another account is not there, whatever is done to it.
pub async fn a_file_of_another_owner_is_not_found(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
) {
    let owner = new_owner();
    let file = completed(uploads, owner, "file").await;
    let (id, foe) = (file.id, new_owner());
    let gone = Reason::FileNotFound;
    assert_refused(files.file(foe, id).await, gone);
    assert_refused(files.update_file(foe, id, String::new(), renamed("mine")).await, gone);
    assert_refused(files.delete_file(foe, id, String::new(), NOW).await, gone);
    let page = files.list_files(foe, by_time()).await.expect("a list");
    assert!(page.files.is_empty());
    assert_eq!(files.file(owner, id).await.expect("its owner sees it"), file);
}

/// A change changes what it names, and the etag.
pub async fn a_change_leaves_the_rest(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = completed(uploads, owner, "file").await;
    let metadata = Metadata::parse([("a".into(), "b".into())].into(), "metadata").expect("few");
    let change = FileChange { name: None, metadata: Some(metadata.clone()) };
    let changed = files.update_file(owner, file.id, file.etag(), change).await.expect("changed");
    assert_eq!((changed.metadata.clone(), &changed.name), (metadata.clone(), &file.name));
    assert_ne!(changed.etag(), file.etag());
    let moved = files.update_file(owner, file.id, changed.etag(), renamed("b")).await;
    let moved = moved.expect("renamed");
    assert_eq!((&moved.name, &moved.metadata), (&name("b"), &metadata));
    assert_eq!(files.file(owner, file.id).await.expect("it is there"), moved);
}

/// Who has seen an older state changes nothing.
pub async fn an_old_etag_is_refused(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = completed(uploads, owner, "file").await;
    let update = |etag: String, to: &str| files.update_file(owner, file.id, etag, renamed(to));
    let (one, two) = futures::join!(update(file.etag(), "one"), update(file.etag(), "two"));
    assert!(one.is_ok() != two.is_ok(), "{one:?} and {two:?}");
    let lost = if one.is_ok() { two } else { one };
    assert_refused(lost, Reason::EtagMismatch);
    assert_refused(files.delete_file(owner, file.id, file.etag(), NOW).await, Reason::EtagMismatch);
    files.file(owner, file.id).await.expect("it is there");
}

/// A name that another file has, or will have, is refused; one's own, and one
/// that was given up, is free.
pub async fn a_taken_name_is_refused(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = completed(uploads, owner, "file").await;
    completed(uploads, owner, "taken").await;
    frozen(uploads, owner, "coming", 1).await;
    let rename = |to: &str| files.update_file(owner, file.id, String::new(), renamed(to));
    assert_refused(rename("taken").await, Reason::FileExists);
    assert_refused(rename("coming").await, Reason::FileExists);
    assert_eq!(files.file(owner, file.id).await.expect("it is there"), file);
    rename("file").await.expect("it has that name");
    rename("other").await.expect("nobody has that name");
    completed(uploads, owner, "file").await;
    completed(uploads, new_owner(), "taken").await;
}

/// A deleted file is gone, with its name and its bytes.
pub async fn a_deleted_file_is_gone(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = completed(uploads, owner, "file").await;
    files.delete_file(owner, file.id, file.etag(), NOW).await.expect("it is deleted");
    assert_refused(files.file(owner, file.id).await, Reason::FileNotFound);
    let again = files.delete_file(owner, file.id, String::new(), NOW).await;
    assert_refused(again, Reason::FileNotFound);
    assert!(!uploads.blob_in_use(owner, file.upload_id).await.expect("an answer"));
    assert!(uploads.parts(owner, file.upload_id, None, 10).await.expect("a list").is_empty());
    completed(uploads, owner, "file").await;
}

/// A file that was checked becomes readable, once.
pub async fn a_checked_file_becomes_ready(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = processing(uploads, owner, "file", OnConflict::Fail).await;
    files.mark_ready(owner, file.id, [5; 32], after(5)).await.expect("it is ready");
    let ready = files.file(owner, file.id).await.expect("it is there");
    assert_eq!((ready.state, ready.ready_time), (FileState::Ready, Some(after(5))));
    assert_eq!(ready.checksums.blake3, Some([5; 32]), "not what reading has found");
    files.mark_ready(owner, file.id, [9; 32], after(9)).await.expect("a repeat is no error");
    let failure = Error::new(Reason::FileChecksumMismatch, "too late");
    files.mark_failed(owner, file.id, failure.into()).await.expect("it changes nothing");
    assert_eq!(files.file(owner, file.id).await.expect("it is there"), ready);
    let gone = completed(uploads, owner, "gone").await;
    files.delete_file(owner, gone.id, String::new(), NOW).await.expect("it is deleted");
    files.mark_ready(owner, gone.id, BLAKE3, NOW).await.expect("it changes nothing");
    assert_refused(files.file(owner, gone.id).await, Reason::FileNotFound);
}

/// A file that failed its check says why, and neither its name nor its bytes
/// are kept.
pub async fn a_failed_file_says_why(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let file = processing(uploads, owner, "file", OnConflict::Fail).await;
    let failure = Error::new(Reason::FileChecksumMismatch, "other bytes").with("algorithm", "x");
    let kept = failure.clone().into();
    files.mark_failed(owner, file.id, failure.into()).await.expect("it has failed");
    let failed = files.file(owner, file.id).await.expect("it is there");
    assert_eq!((failed.state, failed.error), (FileState::Failed, Some(kept)));
    assert!(!uploads.blob_in_use(owner, file.upload_id).await.expect("an answer"));
    files.mark_ready(owner, file.id, BLAKE3, NOW).await.expect("it changes nothing");
    let still = files.file(owner, file.id).await.expect("it is there");
    assert_eq!(still.state, FileState::Failed);
    completed(uploads, owner, "file").await;
}

/// A file that replaces takes the name only when it is readable; until then the
/// one before can be read.
pub async fn a_replacement_waits_until_it_is_ready(
    uploads: &dyn UploadStore,
    files: &dyn FileStore,
) {
    let owner = new_owner();
    let old = completed(uploads, owner, "file").await;
    let bad = processing(uploads, owner, "file", OnConflict::Replace).await;
    let failure = Error::new(Reason::FileChecksumMismatch, "other bytes");
    files.mark_failed(owner, bad.id, failure.into()).await.expect("it has failed");
    assert_eq!(files.file(owner, old.id).await.expect("it is there"), old);

    let good = processing(uploads, owner, "file", OnConflict::Replace).await;
    assert_eq!(files.file(owner, old.id).await.expect("it is there").state, FileState::Ready);
    files.mark_ready(owner, good.id, BLAKE3, NOW).await.expect("it is ready");
    assert_refused(files.file(owner, old.id).await, Reason::FileNotFound);
    assert!(!uploads.blob_in_use(owner, old.upload_id).await.expect("an answer"));
}

fn by_time() -> FileQuery {
    FileQuery {
        order: FileOrder::CreateTime,
        name_prefix: String::new(),
        delimiter: String::new(),
        states: Vec::new(),
        created_after: None,
        created_before: None,
        after: None,
        limit: 100,
    }
}

fn by_name(prefix: &str, delimiter: &str) -> FileQuery {
    FileQuery {
        order: FileOrder::Name,
        name_prefix: prefix.to_owned(),
        delimiter: delimiter.to_owned(),
        ..by_time()
    }
}

/// All names and folded prefixes of a list, in their order, page by page.
async fn listed(files: &dyn FileStore, owner: AccountId, query: FileQuery) -> Vec<String> {
    let mut names = Vec::new();
    let mut after = None;
    loop {
        let query = FileQuery { after, ..query.clone() };
        let limit = query.limit as usize;
        let page = files.list_files(owner, query).await.expect("a page");
        let FilePage { files, prefixes, next } = page;
        assert!(files.len() + prefixes.len() <= limit, "too much for a page of {limit}");
        names.extend(files.iter().map(|file| file.name.to_string()));
        names.extend(prefixes);
        match next {
            Some(position) => after = Some(position),
            None => return names,
        }
    }
}

/// By time, the newest file comes first.
pub async fn files_are_listed_newest_first(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    for (file, seconds) in [("b", 1), ("c", 3), ("a", 2), ("d", 3)] {
        let upload = frozen(uploads, owner, file, 1).await;
        uploads.publish(owner, upload.id, after(seconds)).await.expect("it is published");
        completed(uploads, new_owner(), file).await;
    }
    for limit in [1, 2, 3, 100] {
        let names = listed(files, owner, FileQuery { limit, ..by_time() }).await;
        assert_eq!(names.len(), 4, "pages of {limit}: {names:?}");
        assert_eq!(names[2..], ["a", "b"], "pages of {limit}");
    }
    let between =
        FileQuery { created_after: Some(after(2)), created_before: Some(after(3)), ..by_time() };
    assert_eq!(listed(files, owner, between).await, ["a"]);
}

/// By name, files come in the order of their bytes; a delimiter folds names, and
/// a page may end anywhere.
pub async fn names_are_folded_at_the_delimiter(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    for file in ["b/1", "b", "a", "b/2/x", "b/2/y", "b0", "c/1", "é/1", "b/", "z"] {
        if !file.ends_with('/') {
            completed(uploads, owner, file).await;
        }
    }
    for limit in [1, 2, 3, 100] {
        let list = async |prefix, delimiter| {
            let query = FileQuery { limit, ..by_name(prefix, delimiter) };
            let mut names = listed(files, owner, query).await;
            // Files and prefixes are two lists on each page.
            names.sort();
            names
        };
        let all = ["a", "b", "b/1", "b/2/x", "b/2/y", "b0", "c/1", "z", "é/1"];
        assert_eq!(list("", "").await, all, "pages of {limit}");
        assert_eq!(list("", "/").await, ["a", "b", "b/", "b0", "c/", "z", "é/"]);
        assert_eq!(list("b/", "/").await, ["b/1", "b/2/"]);
        assert_eq!(list("b", "").await, ["b", "b/1", "b/2/x", "b/2/y", "b0"]);
        assert_eq!(list("b/2/x", "/").await, ["b/2/x"]);
        assert!(list("nothing", "/").await.is_empty());
    }
    let after = Some(FilePosition::Prefix("b/".to_owned()));
    let rest = listed_once(files, owner, FileQuery { after, ..by_name("", "/") }).await;
    assert_eq!(rest, ["b0", "z", "c/", "é/"]);
}

async fn listed_once(files: &dyn FileStore, owner: AccountId, query: FileQuery) -> Vec<String> {
    let page = files.list_files(owner, query).await.expect("a page");
    let names = page.files.iter().map(|file| file.name.to_string());
    names.chain(page.prefixes.iter().cloned()).collect()
}

/// Only the states that were asked for are listed.
pub async fn files_are_listed_by_state(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    completed(uploads, owner, "ready").await;
    processing(uploads, owner, "processing", OnConflict::Fail).await;
    for (states, expected) in [
        (vec![FileState::Ready], vec!["ready"]),
        (vec![FileState::Processing], vec!["processing"]),
        (vec![FileState::Failed], vec![]),
        (vec![FileState::Ready, FileState::Processing], vec!["processing", "ready"]),
        (vec![], vec!["processing", "ready"]),
    ] {
        let query = FileQuery { states: states.clone(), ..by_name("", "") };
        assert_eq!(listed(files, owner, query).await, expected, "{states:?}");
        let query = FileQuery { states, ..by_time() };
        assert_eq!(listed(files, owner, query).await.len(), expected.len());
    }
}

/// Several files are read at once, without those that are not there or belong
/// to somebody else.
pub async fn several_files_are_read_at_once(uploads: &dyn UploadStore, files: &dyn FileStore) {
    let owner = new_owner();
    let one = completed(uploads, owner, "one").await;
    let two = completed(uploads, owner, "two").await;
    let gone = completed(uploads, owner, "gone").await;
    files.delete_file(owner, gone.id, String::new(), NOW).await.expect("it is deleted");
    let foreign = completed(uploads, new_owner(), "foreign").await;
    let ids = vec![two.id, foreign.id, gone.id, one.id];
    let mut found = files.files(owner, ids).await.expect("an answer");
    found.sort_by_key(|file| file.name.as_str() == "two");
    assert_eq!(found, [one, two]);
}
