//! Lists of uploads.

use sluice_domain::{AccountId, UploadId, UploadState};

use crate::ports::{
    UploadQuery, UploadStore,
    conformance::fixtures::{NOW, after, create, new_id, new_owner, new_upload},
};

async fn all(
    store: &dyn UploadStore,
    owner: AccountId,
    states: &[UploadState],
    limit: u32,
) -> Vec<UploadId> {
    let mut listed = Vec::new();
    let mut query = UploadQuery { states: states.to_vec(), after: None, limit };
    loop {
        let page = store.list_uploads(owner, query.clone()).await.expect("a page");
        assert!(page.uploads.len() <= limit as usize, "a page of {}", page.uploads.len());
        listed.extend(page.uploads.iter().map(|upload| upload.id));
        if !page.more {
            return listed;
        }
        query.after = page.uploads.last().map(|last| (last.create_time, last.id));
    }
}

/// A list has every upload of its owner once, the newest first, however it is
/// cut into pages; the states asked for, and nobody else's.
pub async fn uploads_are_listed_newest_first(store: &dyn UploadStore) {
    let owner = new_owner();
    let mut ids = Vec::new();
    for index in 0..7 {
        let mut upload = new_upload(owner, &format!("file-{index}"), None);
        // Two at a time are equally old.
        upload.create_time = after(index / 2);
        ids.push(create(store, upload).await.id);
        create(store, new_upload(new_owner(), "other", None)).await;
    }
    let mut newest_first: Vec<_> = (0..7).map(|index| (index / 2, ids[index])).collect();
    newest_first.sort();
    newest_first.reverse();
    let newest_first: Vec<_> = newest_first.into_iter().map(|(_, id)| id).collect();
    for limit in [1, 2, 3, 7, 100] {
        assert_eq!(all(store, owner, &[], limit).await, newest_first, "pages of {limit}");
    }

    store.cancel(owner, ids[3], NOW).await.expect("it is cancelled");
    assert_eq!(all(store, owner, &[UploadState::Cancelled], 10).await, [ids[3]]);
    let active: Vec<_> = newest_first.into_iter().filter(|id| *id != ids[3]).collect();
    assert_eq!(all(store, owner, &[UploadState::Active], 2).await, active);
    let either = [UploadState::Active, UploadState::Cancelled];
    assert_eq!(all(store, owner, &either, 2).await.len(), 7);
}

/// Several uploads are read at once, without those that are not there or belong
/// to somebody else.
pub async fn several_uploads_are_read_at_once(store: &dyn UploadStore) {
    let owner = new_owner();
    let one = create(store, new_upload(owner, "one", None)).await;
    let two = create(store, new_upload(owner, "two", None)).await;
    let foreign = create(store, new_upload(new_owner(), "foreign", None)).await;
    let ids = vec![two.id, foreign.id, new_id(), one.id];
    let mut found = store.uploads(owner, ids).await.expect("an answer");
    found.sort_by_key(|upload| upload.name.as_str() == "two");
    assert_eq!(found, [one, two]);
    assert_eq!(store.uploads(owner, Vec::new()).await, Ok(Vec::new()));
}
