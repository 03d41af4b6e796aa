//! Promises of [`CredentialStore`].

use std::time::Duration;

use futures::future::join_all;
use sluice_domain::{
    AccountId, ApiKeyId, DisplayName, Reason, Scope, Scopes, SessionId, Timestamp,
};
use uuid::Uuid;

use super::{
    account_store::registered,
    fixtures::{NOW, after, assert_refused, new_owner},
};
use crate::ports::{AccountStore, Actor, ApiKey, CredentialStore, Refreshed, Session};

const GRACE: Duration = Duration::from_secs(15);

pub(super) fn new_session(account: AccountId, create_time: Timestamp) -> Session {
    Session {
        id: SessionId::from_uuid(Uuid::now_v7()),
        account,
        generation: 0,
        user_agent: "a browser".into(),
        address: "192.0.2.1".into(),
        create_time,
        refresh_time: create_time,
        expire_time: create_time.plus(Duration::from_secs(3600)),
    }
}

pub(super) fn new_key(account: AccountId, scopes: Scopes) -> ApiKey {
    ApiKey {
        id: ApiKeyId::from_uuid(Uuid::now_v7()),
        account,
        name: DisplayName::parse("a key", "name").expect("a name"),
        scopes,
        create_time: NOW,
        expire_time: Some(after(60)),
        last_use_time: None,
    }
}

async fn account(accounts: &dyn AccountStore) -> AccountId {
    registered(accounts, "ada@example.com").await.id
}

async fn opened(store: &dyn CredentialStore, accounts: &dyn AccountStore) -> Session {
    let session = new_session(account(accounts).await, NOW);
    store.open_session(session.clone()).await.expect("it is opened");
    session
}

async fn refresh(
    store: &dyn CredentialStore,
    session: &Session,
    generation: u64,
    now: Timestamp,
) -> Refreshed {
    let end = now.plus(Duration::from_secs(3600));
    let refreshed =
        store.refresh_session(session.account, session.id, generation, now, GRACE, end).await;
    refreshed.expect("it is refreshed or not")
}

/// A key that nobody has set stands for nobody.
pub async fn an_unknown_key_is_nobodys(store: &dyn CredentialStore, _: &dyn AccountStore) {
    assert_eq!(store.api_key([1; 32]).await, Ok(None));
}

/// The data folder has one key: a new one ends the one before, and leaves those
/// that were made otherwise.
pub async fn the_operator_has_one_key(store: &dyn CredentialStore, accounts: &dyn AccountStore) {
    let operator = accounts.operator(new_owner(), NOW).await.expect("it is made").id;
    let own = new_key(operator, Scopes::ALL);
    store.add_api_key(own.clone(), [9; 32], 10).await.expect("it is added");
    let first = new_key(operator, Scopes::ALL);
    for hash in [[1; 32], [1; 32], [2; 32]] {
        let key = ApiKey { id: ApiKeyId::from_uuid(Uuid::now_v7()), ..first.clone() };
        store.set_operator_key(key, hash).await.expect("the key is set");
    }
    assert_eq!(store.api_key([1; 32]).await, Ok(None));
    let set = store.api_key([2; 32]).await.expect("it is read").expect("it is there");
    assert_eq!((set.account, set.scopes), (operator, Scopes::ALL));
    assert_eq!(store.end_api_key(operator, set.id).await, Ok(false));
    assert_eq!(store.api_keys(operator, None, 10).await, Ok(vec![own]));
}

/// A key reads back as it was made, until it is ended by its own account.
pub async fn a_key_reads_back_and_ends(store: &dyn CredentialStore, accounts: &dyn AccountStore) {
    let account = account(accounts).await;
    let key = new_key(account, [Scope::FilesRead, Scope::UploadsWrite].into_iter().collect());
    store.add_api_key(key.clone(), [1; 32], 10).await.expect("it is added");
    assert_eq!(store.api_key([1; 32]).await, Ok(Some(key.clone())));
    store.api_key_used(account, key.id, after(5)).await.expect("it is noted");
    let used = ApiKey { last_use_time: Some(after(5)), ..key.clone() };
    assert_eq!(store.api_keys(account, None, 10).await, Ok(vec![used]));
    assert_eq!(store.end_api_key(new_owner(), key.id).await, Ok(false));
    assert_eq!(store.end_api_key(account, key.id).await, Ok(true));
    assert_eq!(store.end_api_key(account, key.id).await, Ok(false));
    assert_eq!(store.api_key([1; 32]).await, Ok(None));
    let standing = store.standing(account, Actor::ApiKey(key.id)).await.expect("it is read");
    assert!(!standing.credential);
}

/// Of many keys that are added at once, so many are as there is room for.
pub async fn an_account_has_so_many_keys(store: &dyn CredentialStore, accounts: &dyn AccountStore) {
    let account = account(accounts).await;
    let added = (0..8).map(|n| store.add_api_key(new_key(account, Scopes::ACCOUNT), [n; 32], 3));
    let added = join_all(added).await;
    assert_eq!(added.iter().filter(|outcome| outcome.is_ok()).count(), 3);
    for outcome in added.into_iter().filter(Result::is_err) {
        assert_refused(outcome, Reason::QuotaExceeded);
    }
}

/// A session is listed and stands until it is ended.
pub async fn a_session_is_good_until_it_ends(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    let account = session.account;
    let listed = store.sessions(account, None, NOW, 10).await;
    assert_eq!(listed, Ok(vec![session.clone()]));
    let past = session.expire_time;
    assert_eq!(store.sessions(account, None, past, 10).await, Ok(Vec::new()));
    assert_eq!(store.end_session(account, session.id).await, Ok(true));
    assert_eq!(store.end_session(account, session.id).await, Ok(false));
    let standing = store.standing(account, Actor::Session(session.id)).await;
    assert!(!standing.expect("it is read").credential);
    assert_eq!(refresh(store, &session, 0, NOW).await, Refreshed::Ended);
}

/// A refresh makes the next generation; a repeat within the grace changes
/// nothing.
pub async fn a_refresh_token_is_good_once(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    let next = Session {
        generation: 1,
        refresh_time: after(10),
        expire_time: after(10).plus(Duration::from_secs(3600)),
        ..session.clone()
    };
    assert_eq!(refresh(store, &session, 0, after(10)).await, Refreshed::Session(next.clone()));
    assert_eq!(refresh(store, &session, 0, after(25)).await, Refreshed::Session(next.clone()));
    let listed = store.sessions(session.account, None, after(25), 10).await;
    assert_eq!(listed, Ok(vec![next]));
}

/// Fifty who refresh at once get one generation, and nobody is logged out.
pub async fn parallel_refreshes_make_one_generation(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    let refreshed = join_all((0..50).map(|_| refresh(store, &session, 0, after(1)))).await;
    for answer in refreshed {
        match answer {
            Refreshed::Session(session) => assert_eq!(session.generation, 1),
            other => panic!("logged out: {other:?}"),
        }
    }
}

/// Whoever uses a token after the grace has stolen it or was stolen from.
pub async fn a_late_reuse_ends_the_session(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    refresh(store, &session, 0, NOW).await;
    assert_eq!(refresh(store, &session, 0, after(16)).await, Refreshed::Reused);
    assert_eq!(refresh(store, &session, 1, after(16)).await, Refreshed::Ended);
    let standing = store.standing(session.account, Actor::Session(session.id)).await;
    assert!(!standing.expect("it is read").credential);

    // One that is older still is never forgiven.
    let session = new_session(session.account, NOW);
    store.open_session(session.clone()).await.expect("it is opened");
    refresh(store, &session, 0, NOW).await;
    refresh(store, &session, 1, NOW).await;
    assert_eq!(refresh(store, &session, 0, NOW).await, Refreshed::Reused);
}

/// A session that is not refreshed in time has ended.
pub async fn an_expired_session_cannot_be_refreshed(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    assert_eq!(refresh(store, &session, 0, session.expire_time).await, Refreshed::Ended);
}

/// Nobody ends, lists or refreshes what belongs to somebody else.
pub async fn others_sessions_are_out_of_reach(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let session = opened(store, accounts).await;
    let bob = registered(accounts, "bob@example.com").await.id;
    assert_eq!(store.end_session(bob, session.id).await, Ok(false));
    assert_eq!(store.end_other_sessions(bob, None).await, Ok(0));
    assert_eq!(store.sessions(bob, None, NOW, 10).await, Ok(Vec::new()));
    let stolen = Session { account: bob, ..session.clone() };
    assert_eq!(refresh(store, &stolen, 0, NOW).await, Refreshed::Ended);
    let standing = store.standing(session.account, Actor::Session(session.id)).await;
    assert!(standing.expect("it is read").credential);
    let another = new_session(session.account, NOW);
    store.open_session(another).await.expect("it is opened");
    assert_eq!(store.end_other_sessions(session.account, Some(session.id)).await, Ok(1));
}

/// Sessions that nobody refreshed are forgotten, and no others.
pub async fn expired_sessions_are_forgotten(
    store: &dyn CredentialStore,
    accounts: &dyn AccountStore,
) {
    let old = opened(store, accounts).await;
    let young = new_session(old.account, after(1800));
    store.open_session(young.clone()).await.expect("it is opened");
    assert_eq!(store.forget_sessions(old.expire_time, 10).await, Ok(1));
    assert_eq!(store.forget_sessions(old.expire_time, 10).await, Ok(0));
    let listed = store.sessions(old.account, None, after(1800), 10).await;
    assert_eq!(listed, Ok(vec![young]));
}
