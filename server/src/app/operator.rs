//! How the operator gets in for the first time.

use std::io::Write;

use secrecy::{ExposeSecret, SecretString};

use super::StartError;
use crate::{
    adapters::embedded::DataFolder,
    service::{
        Context,
        identity::{access, administration},
    },
};

/// Makes the key in the data folder the operator's, and tells once how the
/// operator's account is registered, as long as nobody has done that.
pub(super) async fn let_in(context: &Context, folder: &DataFolder) -> Result<(), StartError> {
    let is_new = !folder.has_setup_token();
    if let Some(token) = install(context, folder).await?
        && is_new
    {
        // For a person, once; not for the log, which others may read.
        let mut output = std::io::stderr().lock();
        let _ = writeln!(
            output,
            "Nobody has registered yet. `sluice register` on this machine makes the operator's account; from \
             elsewhere it takes this token, once:\n\n  {}\n\nPrograms on this machine need none: they use \
             the API key in the data folder.",
            token.expose_secret()
        );
    }
    Ok(())
}

/// Makes the key in the data folder the operator's only one. As long as nobody has
/// registered the operator's account, answers the token for that.
pub(super) async fn install(
    context: &Context,
    folder: &DataFolder,
) -> Result<Option<SecretString>, StartError> {
    let key = folder.api_key()?;
    let operator = access::install_operator_key(context, key.expose_secret())
        .await
        .map_err(StartError::ApiKey)?;
    if operator.email.is_some() {
        folder.remove_setup_token()?;
        return Ok(None);
    }
    let token = folder.setup_token()?;
    administration::install_setup_token(context, token.expose_secret())
        .await
        .map_err(StartError::ApiKey)?;
    Ok(Some(token))
}
