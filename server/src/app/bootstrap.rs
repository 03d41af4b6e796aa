//! What has to be there before a server of the engine on AWS can start: a bucket,
//! a table and somebody who may use them.

use secrecy::ExposeSecret;

use super::{StartError, engine, operator};
use crate::{
    adapters::{
        aws::{
            Clients,
            setup::{Requirement, Setup, State},
        },
        embedded::DataFolder,
    },
    config::Config,
    service::identity::access,
};

/// The operator's API key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperatorKey {
    /// The one in the data folder works.
    Works,
    /// None was ever made.
    Missing,
    /// There is one, but not in this data folder.
    Elsewhere,
}

/// Refuses unless bucket and table are there. A service that does not answer now
/// may do so later: then the server starts, and is not ready.
pub(super) async fn check(config: &Config) -> Result<(), StartError> {
    let setup = Setup::new(config).await?;
    for requirement in [Requirement::Bucket, Requirement::Table] {
        let refused =
            |problem, hint| Err(StartError::Aws { requirement: requirement.name(), problem, hint });
        match setup.look(requirement).await {
            Ok(State::Unmet) => {
                let hint = "`sluice admin bootstrap` makes everything that is needed".to_owned();
                return refused("it is not there".to_owned(), hint);
            }
            Ok(_) => {}
            Err(problem) if problem.passes => {
                tracing::warn!(%problem, hint = problem.hint, "starting without an answer");
            }
            Err(problem) => return refused(problem.story, problem.hint),
        }
    }
    Ok(())
}

/// Finds out whether the operator's API key lies in the data folder. Changes
/// nothing. The table must be there.
pub async fn look_at_key(config: &Config) -> Result<OperatorKey, StartError> {
    let context = engine::aws(config, Clients::new(&config.aws).await, "")?;
    let credentials = &context.identity.credentials;
    if let Some(key) = DataFolder::kept_api_key(&config.storage.data_dir)? {
        let known = credentials.api_key(access::hash(key.expose_secret())).await;
        if known.map_err(StartError::ApiKey)?.is_some() {
            return Ok(OperatorKey::Works);
        }
    }
    let operator = context.identity.accounts.has_operator().await.map_err(StartError::ApiKey)?;
    Ok(if operator { OperatorKey::Elsewhere } else { OperatorKey::Missing })
}

/// Makes the key in the data folder the operator's only one, and answers the token
/// with which the operator's account is registered, if nobody has done that.
pub async fn install_key(config: &Config) -> Result<Option<String>, StartError> {
    let folder = DataFolder::open(&config.storage.data_dir)?;
    let context = engine::aws(config, Clients::new(&config.aws).await, "")?;
    let token = operator::install(&context, &folder).await?;
    Ok(token.map(|token| token.expose_secret().to_owned()))
}
