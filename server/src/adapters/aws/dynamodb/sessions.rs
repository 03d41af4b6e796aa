//! Items of sessions.

use std::time::Duration;

use sluice_domain::{AccountId, Result, SessionId, Timestamp};

use super::{
    Records,
    account_records::StoredAccount,
    item::Item,
    key::{self, Sweep},
    lists::Window,
    pause::Pause,
    sweeps::Due,
    transaction::{Before, Outcome, Tag, Transaction},
};
use crate::ports::{Refreshed, Session};

/// Sessions that are read at once.
const PAGE: usize = 100;

/// A session as it is stored.
#[derive(Debug, Clone)]
struct StoredSession {
    session: Session,
    tag: Option<Tag>,
    /// The generation of its account: good as long as that has none later.
    of_generation: u64,
    /// When the sweeper looks whether it has expired: not later than it has.
    due: Timestamp,
}

impl StoredSession {
    fn item(&self) -> Item {
        let session = self.session.clone();
        // A day after its end nobody asks for it any more.
        let ttl = session.expire_time.plus(Duration::from_secs(24 * 60 * 60));
        Item::default()
            .with("generation", session.generation)
            .with("user_agent", session.user_agent)
            .with("address", session.address)
            .with("create_time", session.create_time)
            .with("refresh_time", session.refresh_time)
            .with("expire_time", session.expire_time)
            .with("of_generation", self.of_generation)
            .with("due", self.due)
            .with("ttl", ttl.as_micros() / 1_000_000)
    }

    fn read(account: AccountId, id: SessionId, item: &Item) -> Result<Self> {
        Ok(Self {
            session: Session {
                id,
                account,
                generation: item.get("generation")?,
                user_agent: item.get("user_agent")?,
                address: item.get("address")?,
                create_time: item.get("create_time")?,
                refresh_time: item.get("refresh_time")?,
                expire_time: item.get("expire_time")?,
            },
            tag: Some(Tag::of(item)?),
            of_generation: item.get("of_generation")?,
            due: item.get("due")?,
        })
    }

    fn write(&self, transaction: &mut Transaction) {
        let key = key::session(self.session.account, self.session.id);
        transaction.put(key, self.tag, self.item());
    }

    fn swept(&self) -> key::Key {
        let Session { account, id, .. } = &self.session;
        key::swept(Sweep::Session, self.due, *account, id.as_uuid())
    }

    fn listed(&self) -> key::Key {
        let Session { account, id, create_time, .. } = &self.session;
        key::listed_session(*account, *create_time, *id)
    }

    fn remove(&self, transaction: &mut Transaction) {
        let before: Before = self.tag.into();
        transaction.delete(key::session(self.session.account, self.session.id), before);
        transaction.delete(self.listed(), Before::Any);
        transaction.delete(self.swept(), Before::Any);
    }
}

/// A use of the refresh token of a generation.
pub(super) struct Refresh {
    pub(super) generation: u64,
    pub(super) now: Timestamp,
    pub(super) grace: Duration,
    pub(super) expire_time: Timestamp,
}

impl Records {
    async fn find_session(
        &self,
        account: AccountId,
        id: SessionId,
    ) -> Result<Option<StoredSession>> {
        let item = self.get(&key::session(account, id)).await?;
        item.map(|item| StoredSession::read(account, id, &item)).transpose()
    }

    /// The session, if the account, which was read before, has not ended it.
    async fn good_session(
        &self,
        account: &StoredAccount,
        id: SessionId,
    ) -> Result<Option<StoredSession>> {
        let found = self.find_session(account.account.id, id).await?;
        Ok(found.filter(|session| session.of_generation >= account.generation))
    }

    /// Whether a session is there.
    pub(super) async fn has_session(&self, account: &StoredAccount, id: SessionId) -> Result<bool> {
        Ok(self.good_session(account, id).await?.is_some())
    }

    /// Adds a session of an account that was read before. If its sessions are
    /// ended meanwhile, this one has ended too.
    pub(super) async fn add_session(
        &self,
        account: &StoredAccount,
        session: Session,
    ) -> Result<()> {
        let due = session.expire_time;
        let of_generation = account.generation;
        let stored = StoredSession { session, tag: None, of_generation, due };
        let mut transaction = Transaction::new();
        stored.write(&mut transaction);
        transaction.put(stored.listed(), Before::Any, Item::default());
        transaction.put(stored.swept(), Before::Any, Item::default());
        self.commit(&transaction).await.map(drop)
    }

    /// Uses up a refresh token.
    pub(super) async fn refresh(
        &self,
        account: AccountId,
        id: SessionId,
        refresh: &Refresh,
    ) -> Result<Refreshed> {
        let mut pause = Pause::new();
        loop {
            let of = self.active_account(account).await?;
            let found = self.good_session(&of, id).await?;
            let good = found.filter(|it| it.session.expire_time > refresh.now);
            let Some(mut stored) = good else { return Ok(Refreshed::Ended) };
            let mut transaction = Transaction::new();
            let session = &mut stored.session;
            let answer = if refresh.generation == session.generation {
                session.generation += 1;
                session.refresh_time = refresh.now;
                session.expire_time = refresh.expire_time;
                let answer = Refreshed::Session(session.clone());
                self.move_due(&mut transaction, &mut stored);
                stored.write(&mut transaction);
                answer
            } else {
                let lost = refresh.generation + 1 == session.generation
                    && refresh.now <= session.refresh_time.plus(refresh.grace);
                if lost {
                    return Ok(Refreshed::Session(stored.session));
                }
                stored.remove(&mut transaction);
                Refreshed::Reused
            };
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(answer);
            }
            pause.wait("a session cannot be refreshed").await?;
        }
    }

    /// The sweeper must not come too late.
    fn move_due(&self, transaction: &mut Transaction, stored: &mut StoredSession) {
        if stored.session.expire_time < stored.due {
            transaction.delete(stored.swept(), Before::Any);
            stored.due = stored.session.expire_time;
            transaction.put(stored.swept(), Before::Any, Item::default());
        }
    }

    /// Good sessions of an account, newest first.
    pub(super) async fn good_sessions(
        &self,
        account: &StoredAccount,
        after: Option<(Timestamp, SessionId)>,
        now: Option<Timestamp>,
        limit: usize,
    ) -> Result<Vec<Session>> {
        let owner = account.account.id;
        let mut after = after.map(|(time, id)| (time, *id.as_uuid()));
        let mut good = Vec::new();
        while good.len() < limit {
            let window = Window { after, ..Window::default() };
            let asked = PAGE.min(limit - good.len());
            let entries = self.newest_first(vec![key::sessions(owner)], window, asked).await?;
            let ids: Vec<_> = entries.iter().map(|(_, id)| SessionId::from_uuid(*id)).collect();
            let keys = ids.iter().map(|id| key::session(owner, *id)).collect();
            let items = self.get_all(keys).await?;
            for id in ids {
                let Some(item) = items.get(&key::session(owner, id)) else { continue };
                let stored = StoredSession::read(owner, id, item)?;
                let is_good = stored.of_generation >= account.generation
                    && now.is_none_or(|now| stored.session.expire_time > now);
                good.extend(is_good.then_some(stored.session));
            }
            after = entries.last().copied();
            if entries.len() < asked {
                break;
            }
        }
        Ok(good)
    }

    /// Ends a session; answers whether it was there.
    pub(super) async fn remove_session(&self, account: AccountId, id: SessionId) -> Result<bool> {
        let mut pause = Pause::new();
        loop {
            let Some(of) = self.find_account(account).await? else { return Ok(false) };
            let Some(stored) = self.good_session(&of, id).await? else { return Ok(false) };
            let mut transaction = Transaction::new();
            stored.remove(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(true);
            }
            pause.wait("a session cannot be ended").await?;
        }
    }

    /// Begins a new generation, which only the session to keep is taken over to.
    pub(super) async fn end_sessions(
        &self,
        transaction: &mut Transaction,
        account: &mut StoredAccount,
        keep: Option<SessionId>,
    ) -> Result<()> {
        let kept = match keep {
            Some(id) => self.good_session(account, id).await?,
            None => None,
        };
        account.generation += 1;
        if let Some(mut kept) = kept {
            kept.of_generation = account.generation;
            kept.write(transaction);
        }
        Ok(())
    }

    /// Removes the items of sessions that have ended with their generation. What
    /// is left goes when it expires.
    pub(super) async fn remove_ended_sessions(&self, account: &StoredAccount) {
        if let Err(error) = self.try_remove_ended_sessions(account).await {
            tracing::warn!(account = %account.account.id, %error, "ended sessions are left for later");
        }
    }

    async fn try_remove_ended_sessions(&self, account: &StoredAccount) -> Result<()> {
        let owner = account.account.id;
        let mut after = None;
        loop {
            let window = Window { after, ..Window::default() };
            let entries = self.newest_first(vec![key::sessions(owner)], window, PAGE).await?;
            for (_, id) in &entries {
                let id = SessionId::from_uuid(*id);
                let found = self.find_session(owner, id).await?;
                if let Some(ended) = found.filter(|it| it.of_generation < account.generation) {
                    let mut transaction = Transaction::new();
                    ended.remove(&mut transaction);
                    self.commit(&transaction).await?;
                }
            }
            after = entries.last().copied();
            if entries.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// Forgets a session that has expired; answers whether it had.
    pub(super) async fn forget_session(&self, due: Due, now: Timestamp) -> Result<bool> {
        let id = SessionId::from_uuid(due.id);
        let mut pause = Pause::new();
        loop {
            let Some(mut stored) = self.find_session(due.owner, id).await? else {
                self.delete_all(vec![due.key]).await?;
                return Ok(false);
            };
            if stored.due != due.time {
                return Ok(false);
            }
            let mut transaction = Transaction::new();
            let has_expired = stored.session.expire_time <= now;
            if has_expired {
                stored.remove(&mut transaction);
            } else {
                // It was refreshed since.
                transaction.delete(stored.swept(), Before::Any);
                stored.due = stored.session.expire_time;
                transaction.put(stored.swept(), Before::Any, Item::default());
                stored.write(&mut transaction);
            }
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(has_expired);
            }
            pause.wait("a session cannot be forgotten").await?;
        }
    }
}
