//! Who a credential stands for.

use sha2::{Digest, Sha256};
use sluice_domain::{AccountId, Error, Reason, Result};

use super::{Caller, Context};

/// Finds the caller behind a bearer token.
pub async fn authenticate(context: &Context, token: Option<&str>) -> Result<Caller> {
    let Some(token) = token else {
        return Err(Error::new(
            Reason::CredentialsInvalid,
            "no credential: send the header \"authorization: Bearer <API key>\"",
        ));
    };
    match context.credentials.account_of_api_key(hash(token)).await? {
        Some(owner) => Ok(Caller { owner }),
        None => Err(Error::new(Reason::CredentialsInvalid, "this API key is not known here")),
    }
}

/// Makes `key` the operator's API key.
pub async fn install_operator_key(context: &Context, key: &str) -> Result<AccountId> {
    let account = AccountId::from_uuid(context.new_uuid(context.clock.now()));
    context.credentials.set_operator_key(hash(key), account).await
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
