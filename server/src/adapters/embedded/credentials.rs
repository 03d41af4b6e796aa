//! Sessions and API keys behind their port.

use std::time::Duration;

use async_trait::async_trait;
use sluice_domain::{AccountId, ApiKeyId, Result, SessionId, Timestamp};

use super::{
    Database, api_keys,
    sessions::{self, Refresh},
};
use crate::ports::{Actor, ApiKey, ApiKeyHash, CredentialStore, Refreshed, Session, Standing};

#[async_trait]
impl CredentialStore for Database {
    async fn standing(&self, account: AccountId, actor: Actor) -> Result<Standing> {
        self.read(move |connection| sessions::standing(connection, account, actor)).await
    }

    async fn open_session(&self, session: Session) -> Result<()> {
        self.write(move |connection| sessions::insert(connection, &session)).await
    }

    async fn refresh_session(
        &self,
        account: AccountId,
        id: SessionId,
        generation: u64,
        now: Timestamp,
        grace: Duration,
        expire_time: Timestamp,
    ) -> Result<Refreshed> {
        let refresh = Refresh { generation, now, grace, expire_time };
        self.write(move |connection| sessions::refresh(connection, account, id, &refresh)).await
    }

    async fn sessions(
        &self,
        account: AccountId,
        after: Option<(Timestamp, SessionId)>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>> {
        self.read(move |connection| sessions::list(connection, account, after, now, limit)).await
    }

    async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool> {
        self.write(move |connection| sessions::end(connection, account, id)).await
    }

    async fn end_other_sessions(&self, account: AccountId, keep: Option<SessionId>) -> Result<u32> {
        self.write(move |connection| sessions::end_all(connection, account, keep)).await
    }

    async fn forget_sessions(&self, now: Timestamp, limit: u32) -> Result<u32> {
        self.write(move |connection| sessions::forget(connection, now, limit)).await
    }

    async fn set_operator_key(&self, key: ApiKey, hash: ApiKeyHash) -> Result<()> {
        self.write(move |connection| api_keys::set_operators(connection, &key, &hash)).await
    }

    async fn add_api_key(&self, key: ApiKey, hash: ApiKeyHash, most: u32) -> Result<()> {
        self.write(move |connection| api_keys::add(connection, &key, &hash, most)).await
    }

    async fn api_key(&self, hash: ApiKeyHash) -> Result<Option<ApiKey>> {
        self.read(move |connection| api_keys::find(connection, &hash)).await
    }

    async fn api_keys(
        &self,
        account: AccountId,
        after: Option<(Timestamp, ApiKeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        self.read(move |connection| api_keys::list(connection, account, after, limit)).await
    }

    async fn end_api_key(&self, account: AccountId, id: ApiKeyId) -> Result<bool> {
        self.write(move |connection| api_keys::end(connection, account, id)).await
    }

    async fn api_key_used(&self, account: AccountId, id: ApiKeyId, now: Timestamp) -> Result<()> {
        self.write(move |connection| api_keys::used(connection, account, id, now)).await
    }
}
