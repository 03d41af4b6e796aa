//! Sessions and API keys behind their port.

use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_domain::{AccountId, AccountStatus, ApiKeyId, Result, SessionId, Timestamp};

use super::{
    Records,
    key::Sweep,
    pause::Pause,
    sessions::Refresh,
    transaction::{Outcome, Transaction},
};
use crate::ports::{Actor, ApiKey, ApiKeyHash, CredentialStore, Refreshed, Session, Standing};

/// Sessions that are looked at at the same time.
const PARALLEL: usize = 8;

#[async_trait]
impl CredentialStore for Records {
    async fn standing(&self, account: AccountId, actor: Actor) -> Result<Standing> {
        // The account first: a session that is taken over to a new generation
        // is never found to be older than its account.
        let Some(stored) = self.find_account(account).await? else {
            let credential = actor == Actor::Signature;
            let status = AccountStatus::Deleted;
            return Ok(Standing { status, is_operator: false, credential });
        };
        let credential = match actor {
            Actor::Session(id) => self.has_session(&stored, id).await?,
            Actor::ApiKey(id) => self.has_key(account, id).await?,
            Actor::Signature => true,
        };
        let status = stored.account.status;
        Ok(Standing { status, is_operator: stored.account.is_operator, credential })
    }

    async fn open_session(&self, session: Session) -> Result<()> {
        let account = self.active_account(session.account).await?;
        self.add_session(&account, session).await
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
        self.refresh(account, id, &Refresh { generation, now, grace, expire_time }).await
    }

    async fn sessions(
        &self,
        account: AccountId,
        after: Option<(Timestamp, SessionId)>,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<Session>> {
        let Some(of) = self.find_account(account).await? else { return Ok(Vec::new()) };
        self.good_sessions(&of, after, Some(now), limit as usize).await
    }

    async fn end_session(&self, account: AccountId, id: SessionId) -> Result<bool> {
        self.remove_session(account, id).await
    }

    async fn end_other_sessions(&self, account: AccountId, keep: Option<SessionId>) -> Result<u32> {
        let mut pause = Pause::new();
        loop {
            let Some(mut of) = self.find_account(account).await? else { return Ok(0) };
            let good = self.good_sessions(&of, None, None, usize::MAX).await?;
            let ended = good.iter().filter(|session| Some(session.id) != keep).count();
            let mut transaction = Transaction::new();
            self.end_sessions(&mut transaction, &mut of, keep).await?;
            of.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                self.remove_ended_sessions(&of).await;
                return Ok(u32::try_from(ended).unwrap_or(u32::MAX));
            }
            pause.wait("sessions cannot be ended").await?;
        }
    }

    async fn forget_sessions(&self, now: Timestamp, limit: u32) -> Result<u32> {
        let due = self.due(Sweep::Session, now, true, limit as usize).await?;
        let looked = stream::iter(due).map(|due| self.forget_session(due, now));
        let looked: Vec<_> = looked.buffer_unordered(PARALLEL).try_collect().await?;
        let forgotten = looked.into_iter().filter(|has_expired| *has_expired).count();
        Ok(u32::try_from(forgotten).unwrap_or(u32::MAX))
    }

    async fn set_operator_key(&self, key: ApiKey, hash: ApiKeyHash) -> Result<()> {
        self.replace_operators_key(key, hash).await
    }

    async fn add_api_key(&self, key: ApiKey, hash: ApiKeyHash, most: u32) -> Result<()> {
        self.add_key(key, hash, most).await
    }

    async fn api_key(&self, hash: ApiKeyHash) -> Result<Option<ApiKey>> {
        self.key_of(hash).await
    }

    async fn api_keys(
        &self,
        account: AccountId,
        after: Option<(Timestamp, ApiKeyId)>,
        limit: u32,
    ) -> Result<Vec<ApiKey>> {
        self.list_keys(account, after, limit as usize).await
    }

    async fn end_api_key(&self, account: AccountId, id: ApiKeyId) -> Result<bool> {
        self.remove_key(account, id).await
    }

    async fn api_key_used(&self, account: AccountId, id: ApiKeyId, now: Timestamp) -> Result<()> {
        self.note_key(account, id, now).await
    }
}
