//! Promises of [`AccountStore`].

use futures::future::join_all;
use sluice_domain::{
    Account, AccountId, AccountStatus, DisplayName, EmailAddress, Quota, Reason, Scopes, Usage,
};

use super::{
    credential_store::{new_key, new_session},
    fixtures::{NOW, after, assert_refused, completed, new_owner, new_upload, processing, written},
};
use crate::ports::{
    AccountStore, Actor, CredentialStore, NewAccount, NewUpload, PasswordHash, UploadStore,
};

pub(super) fn email(text: &str) -> EmailAddress {
    EmailAddress::parse(text, "email").expect("an address")
}

pub(super) fn new_account(address: &str) -> NewAccount {
    NewAccount {
        id: new_owner(),
        email: email(address),
        password: PasswordHash("a hash".into()),
        display_name: DisplayName::parse("Ada", "display_name").expect("a name"),
        create_time: NOW,
        invitation: None,
    }
}

/// An account that anybody could have made.
pub(super) async fn registered(store: &dyn AccountStore, address: &str) -> Account {
    store.register(new_account(address)).await.expect("it is registered")
}

/// The operator's account is made once, whoever asks for it.
pub async fn the_operator_has_one_account(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    assert_eq!(store.has_operator().await, Ok(false));
    let asked = join_all((0..8).map(|_| store.operator(new_owner(), NOW))).await;
    let operator = asked[0].clone().expect("it is made");
    assert!(operator.is_operator && operator.email.is_none());
    assert_eq!(store.has_operator().await, Ok(true));
    for answer in asked {
        assert_eq!(answer.as_ref(), Ok(&operator));
    }
    assert!(!registered(store, "ada@example.com").await.is_operator);
}

/// Two accounts cannot have one address.
pub async fn an_address_belongs_to_one_account(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let tried = join_all((0..8).map(|_| store.register(new_account("ada@example.com")))).await;
    let (made, refused): (Vec<_>, Vec<_>) = tried.into_iter().partition(Result::is_ok);
    assert_eq!(made.len(), 1);
    for outcome in refused {
        assert_refused(outcome, Reason::AccountExists);
    }
    let account = made.into_iter().next().and_then(Result::ok).expect("one was made");
    let found = store.by_email(email("ada@example.com")).await.expect("it is read");
    assert_eq!(found, Some((account.clone(), PasswordHash("a hash".into()))));
    assert_eq!(store.account(account.id).await, Ok(account));
    assert_eq!(store.by_email(email("bob@example.com")).await, Ok(None));
    assert_refused(store.account(new_owner()).await, Reason::AccountNotFound);
}

/// Of many who use one invitation, one gets an account; what is refused for
/// another reason does not use it up.
pub async fn an_invitation_is_good_once(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    registered(store, "taken@example.com").await;
    store.add_invitation([1; 32], false, None).await.expect("it is kept");
    let with = |hash, address: &str| NewAccount { invitation: Some(hash), ..new_account(address) };
    assert_refused(
        store.register(with([2; 32], "a@example.com")).await,
        Reason::CredentialsInvalid,
    );
    assert_refused(store.register(with([1; 32], "taken@example.com")).await, Reason::AccountExists);
    let addresses: Vec<_> = (0..8).map(|n| format!("{n}@example.com")).collect();
    let tried = addresses.iter().map(|address| store.register(with([1; 32], address)));
    let tried = join_all(tried).await;
    assert_eq!(tried.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    for outcome in tried.into_iter().filter(Result::is_err) {
        assert_refused(outcome, Reason::CredentialsInvalid);
    }
}

/// An invitation ends at its time.
pub async fn an_expired_invitation_is_no_good(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    store.add_invitation([1; 32], false, Some(after(60))).await.expect("it is kept");
    let at = |time| NewAccount {
        invitation: Some([1; 32]),
        create_time: time,
        ..new_account("ada@example.com")
    };
    assert_refused(store.register(at(after(60))).await, Reason::CredentialsInvalid);
    store.register(at(after(59))).await.expect("it is in time");
}

/// Whoever has the operator's invitation gets the operator's account.
pub async fn the_operators_invitation_gives_an_address(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let operator = store.operator(new_owner(), NOW).await.expect("it is made");
    store.add_invitation([1; 32], true, None).await.expect("it is kept");
    let new = NewAccount { invitation: Some([1; 32]), ..new_account("ada@example.com") };
    let account = store.register(new).await.expect("it is registered");
    assert_eq!((account.id, account.is_operator), (operator.id, true));
    assert_eq!(account.email, Some(email("ada@example.com")));
    assert_eq!(store.operator(new_owner(), NOW).await, Ok(account));
}

/// Pages hold every account once, the newest first.
pub async fn accounts_are_listed_newest_first(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    for n in 0..5 {
        let address = format!("{n}@example.com");
        let new = NewAccount { create_time: after(n / 2), ..new_account(&address) };
        store.register(new).await.expect("it is registered");
    }
    let (mut seen, mut last) = (Vec::<Account>::new(), None);
    loop {
        let page = store.list_accounts(last, 2).await.expect("they are listed");
        seen.extend(page.accounts);
        last = seen.last().map(|account| (account.create_time, account.id));
        if !page.more {
            break;
        }
    }
    assert_eq!(seen.len(), 5);
    let order = |account: &Account| (account.create_time, account.id);
    assert!(seen.windows(2).all(|pair| order(&pair[0]) > order(&pair[1])));
}

/// A change is for the version that was read.
pub async fn an_old_etag_is_refused(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let name = |text| DisplayName::parse(text, "display_name").expect("a name");
    let before = registered(store, "ada@example.com").await;
    let renamed = store.rename_account(before.id, before.etag(), name("Countess")).await;
    let renamed = renamed.expect("it is renamed");
    assert_eq!(renamed.display_name, name("Countess"));
    assert_ne!(renamed.etag(), before.etag());
    assert_refused(
        store.rename_account(before.id, before.etag(), name("Ada")).await,
        Reason::EtagMismatch,
    );
    store.rename_account(before.id, String::new(), name("Ada")).await.expect("it is renamed");
}

/// A password is changed from the one before, and ends all sessions but one.
pub async fn a_new_password_ends_other_sessions(
    store: &dyn AccountStore,
    credentials: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let account = registered(store, "ada@example.com").await.id;
    let (kept, ended) = (new_session(account, NOW), new_session(account, NOW));
    for session in [&kept, &ended] {
        credentials.open_session(session.clone()).await.expect("it is opened");
    }
    let hash = |text: &str| PasswordHash(text.to_owned());
    let change = |before| store.change_password(account, before, hash("new"), Some(kept.id));
    assert_eq!(change(hash("another")).await, Ok(false));
    assert!(is_there(credentials, account, Actor::Session(ended.id)).await);
    assert_eq!(change(hash("a hash")).await, Ok(true));
    assert_eq!(store.password(account).await, Ok(Some(hash("new"))));
    assert!(is_there(credentials, account, Actor::Session(kept.id)).await);
    assert!(!is_there(credentials, account, Actor::Session(ended.id)).await);
}

/// A suspension ends sessions and opens none; keys come back with the account.
pub async fn a_suspended_account_has_no_sessions(
    store: &dyn AccountStore,
    credentials: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let account = registered(store, "ada@example.com").await.id;
    let session = new_session(account, NOW);
    credentials.open_session(session.clone()).await.expect("it is opened");
    let key = new_key(account, Scopes::ACCOUNT);
    credentials.add_api_key(key.clone(), [1; 32], 10).await.expect("it is added");

    let suspended = store.set_status(account, AccountStatus::Suspended, NOW).await;
    assert_eq!(suspended.expect("it is suspended").status, AccountStatus::Suspended);
    let actor = Actor::Session(session.id);
    let standing = credentials.standing(account, actor).await.expect("it is read");
    assert_eq!((standing.status, standing.credential), (AccountStatus::Suspended, false));
    let another = new_session(account, NOW);
    assert_refused(credentials.open_session(another.clone()).await, Reason::AccountSuspended);
    let refused = credentials.add_api_key(key.clone(), [2; 32], 10).await;
    assert_refused(refused, Reason::AccountSuspended);

    store.set_status(account, AccountStatus::Active, NOW).await.expect("it is reinstated");
    assert!(!is_there(credentials, account, actor).await);
    assert!(is_there(credentials, account, Actor::ApiKey(key.id)).await);
    credentials.open_session(another).await.expect("it is opened");
}

/// Of a deleted account nothing can be found, and its address is free.
pub async fn a_deleted_account_is_gone(
    store: &dyn AccountStore,
    credentials: &dyn CredentialStore,
    _: &dyn UploadStore,
) {
    let account = registered(store, "ada@example.com").await.id;
    let key = new_key(account, Scopes::ACCOUNT);
    credentials.add_api_key(key.clone(), [1; 32], 10).await.expect("it is added");
    store.set_status(account, AccountStatus::Deleted, NOW).await.expect("it is deleted");

    assert_refused(store.account(account).await, Reason::AccountNotFound);
    assert_refused(
        store.set_status(account, AccountStatus::Active, NOW).await,
        Reason::AccountNotFound,
    );
    assert_eq!(store.by_email(email("ada@example.com")).await, Ok(None));
    assert_eq!(credentials.api_key([1; 32]).await, Ok(None));
    let standing = credentials.standing(account, Actor::Signature).await.expect("it is read");
    assert_eq!(standing.status, AccountStatus::Deleted);
    assert_ne!(registered(store, "ada@example.com").await.id, account);
}

/// A purge, however small its steps, ends with nothing left.
pub async fn a_purge_leaves_nothing(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    uploads: &dyn UploadStore,
) {
    let account = registered(store, "ada@example.com").await.id;
    completed(uploads, account, "a").await;
    processing(uploads, account, "b", sluice_domain::OnConflict::Fail).await;
    let open = written(uploads, account, "c", 3).await;
    store.set_status(account, AccountStatus::Deleted, NOW).await.expect("it is deleted");
    let mut steps = 0;
    while store.purge(account, 1, NOW).await.expect("it is purged") {
        steps += 1;
        assert!(steps < 100, "it never ends");
    }
    assert!(steps >= 3, "more than one record went in a step");
    assert_refused(uploads.upload(account, open.id).await, Reason::UploadNotFound);
    assert!(!uploads.blob_in_use(account, open.id).await.expect("it is read"));
    let parts = uploads.parts(account, open.id, None, 10).await.expect("they are read");
    assert_eq!(parts, []);
    assert_eq!(store.purge(account, 1, NOW).await, Ok(false));
    assert_eq!(store.list_accounts(None, 10).await.expect("they are listed").accounts, []);
}

/// A deleted account opens no upload, neither before nor after its purge, however
/// late the request comes that was let in before.
pub async fn a_deleted_account_opens_nothing(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    uploads: &dyn UploadStore,
) {
    let account = registered(store, "ada@example.com").await.id;
    let opened = |file| {
        uploads.create_upload(NewUpload {
            upload: new_upload(account, file, Some(1)),
            request: None,
            quota: Quota::default(),
        })
    };
    opened("a").await.expect("it is opened");
    store.set_status(account, AccountStatus::Deleted, NOW).await.expect("it is deleted");
    assert_refused(opened("b").await, Reason::AccountNotFound);
    while store.purge(account, 10, NOW).await.expect("it is purged") {}
    assert_refused(opened("c").await, Reason::AccountNotFound);
}

/// A purge touches neither others nor an account that is not deleted.
pub async fn nothing_is_purged_of_others(
    store: &dyn AccountStore,
    _: &dyn CredentialStore,
    uploads: &dyn UploadStore,
) {
    let (ada, bob) =
        (registered(store, "ada@example.com").await, registered(store, "bob@example.com").await);
    let upload = written(uploads, bob.id, "a", 2).await;
    completed(uploads, ada.id, "a").await;
    assert_eq!(store.purge(bob.id, 10, NOW).await, Ok(false));
    store.set_status(ada.id, AccountStatus::Deleted, NOW).await.expect("it is deleted");
    while store.purge(ada.id, 10, NOW).await.expect("it is purged") {}
    assert_eq!(store.account(bob.id).await, Ok(bob.clone()));
    let left = uploads.upload(bob.id, upload.id).await.expect("it is there");
    let usage = Usage { reserved_bytes: left.reserved, active_uploads: 1, ..Usage::default() };
    assert_eq!(store.usage(bob.id).await, Ok((usage, Quota::default())));
}

async fn is_there(store: &dyn CredentialStore, account: AccountId, actor: Actor) -> bool {
    store.standing(account, actor).await.expect("it is read").credential
}
