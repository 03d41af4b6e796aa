//! Who may call.

use async_trait::async_trait;
use sluice_domain::{AccountId, Result};

/// SHA-256 of an API key. Keys hold 256 random bits, so a plain hash is enough
/// to keep the store from giving them away.
pub type ApiKeyHash = [u8; 32];

/// Stores which account a credential stands for.
#[async_trait]
pub trait CredentialStore: Send + Sync + 'static {
    /// The account that this API key belongs to.
    async fn account_of_api_key(&self, hash: ApiKeyHash) -> Result<Option<AccountId>>;

    /// Makes this the one API key of the operator's account, which is created
    /// with the given id if there is none. Durable when it returns; answers the
    /// account's id.
    async fn set_operator_key(&self, hash: ApiKeyHash, new_account: AccountId)
    -> Result<AccountId>;
}
