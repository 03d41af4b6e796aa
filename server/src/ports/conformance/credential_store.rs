//! Promises of [`CredentialStore`].

use futures::future::join_all;

use crate::ports::{CredentialStore, conformance::fixtures::new_owner};

/// A key that nobody has set stands for nobody.
pub async fn an_unknown_key_is_nobodys(store: &dyn CredentialStore) {
    assert_eq!(store.account_of_api_key([1; 32]).await, Ok(None));
}

/// The operator's account is made once; later keys are for the same account.
pub async fn the_operator_has_one_account(store: &dyn CredentialStore) {
    let set = join_all((0..8).map(|key| store.set_operator_key([key; 32], new_owner()))).await;
    let account = set[0].clone().expect("the key is set");
    for answer in set {
        assert_eq!(answer, Ok(account));
    }
}

/// The operator has one key: a new one ends the one before.
pub async fn a_new_key_ends_the_one_before(store: &dyn CredentialStore) {
    let account = store.set_operator_key([2; 32], new_owner()).await.expect("the key is set");
    assert_eq!(store.account_of_api_key([2; 32]).await, Ok(Some(account)));
    store.set_operator_key([3; 32], new_owner()).await.expect("the key is set");
    assert_eq!(store.account_of_api_key([2; 32]).await, Ok(None));
    assert_eq!(store.account_of_api_key([3; 32]).await, Ok(Some(account)));
}

/// Setting the same key again changes nothing.
pub async fn the_same_key_can_be_set_again(store: &dyn CredentialStore) {
    let account = store.set_operator_key([4; 32], new_owner()).await.expect("the key is set");
    assert_eq!(store.set_operator_key([4; 32], new_owner()).await, Ok(account));
    assert_eq!(store.account_of_api_key([4; 32]).await, Ok(Some(account)));
}
