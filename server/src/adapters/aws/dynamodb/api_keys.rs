//! Items of API keys: one by its account and id, and a pointer by its hash.

use sluice_domain::{
    AccountId, AccountStatus, ApiKeyId, DisplayName, Error, Reason, Result, Scope, Scopes,
    Timestamp,
};
use uuid::Uuid;

use super::{
    Records,
    call::Range,
    item::{Item, unreadable},
    key,
    pause::Pause,
    transaction::{Before, Outcome, Tag, Transaction},
};
use crate::ports::{ApiKey, ApiKeyHash};

/// Keys of an account that are read at once; there are hardly ever more.
const PAGE: usize = 1000;

/// A key as it is stored.
#[derive(Debug, Clone)]
struct StoredKey {
    key: ApiKey,
    hash: ApiKeyHash,
    /// Whether it is the one in the operator's data folder.
    is_operators: bool,
    tag: Option<Tag>,
}

impl StoredKey {
    fn item(&self) -> Item {
        let scopes: Vec<_> = self.key.scopes.iter().map(Scope::as_str).collect();
        Item::default()
            .with("hash", self.hash)
            .with("name", self.key.name.clone())
            .with("scopes", scopes.join(" "))
            .with("is_operators", self.is_operators)
            .with("create_time", self.key.create_time)
            .with("expire_time", self.key.expire_time)
            .with("last_use_time", self.key.last_use_time)
    }

    fn read(account: AccountId, item: &Item) -> Result<Self> {
        let id = Uuid::try_parse(&item.key()?.sk).map_err(|_| unreadable("sk"))?;
        let scopes: String = item.get("scopes")?;
        let scopes: Option<Scopes> = scopes.split_whitespace().map(Scope::parse).collect();
        Ok(Self {
            key: ApiKey {
                id: ApiKeyId::from_uuid(id),
                account,
                name: item.get::<DisplayName>("name")?,
                scopes: scopes.ok_or_else(|| unreadable("scopes"))?,
                create_time: item.get("create_time")?,
                expire_time: item.get("expire_time")?,
                last_use_time: item.get("last_use_time")?,
            },
            hash: item.get("hash")?,
            is_operators: item.get("is_operators")?,
            tag: Some(Tag::of(item)?),
        })
    }

    fn write(&self, transaction: &mut Transaction) {
        transaction.put(key::api_key(self.key.account, self.key.id), self.tag, self.item());
    }

    /// Adds it with its pointer.
    fn add(&self, transaction: &mut Transaction) {
        self.write(transaction);
        let pointer = Item::default().with("account", self.key.account).with("id", self.key.id);
        transaction.put(key::api_key_hash(&self.hash), Before::Absent, pointer);
    }

    fn remove(&self, transaction: &mut Transaction) {
        let before: Before = self.tag.into();
        transaction.delete(key::api_key(self.key.account, self.key.id), before);
        transaction.delete(key::api_key_hash(&self.hash), Before::Any);
    }
}

impl Records {
    async fn find_key(&self, account: AccountId, id: ApiKeyId) -> Result<Option<StoredKey>> {
        let item = self.get(&key::api_key(account, id)).await?;
        item.map(|item| StoredKey::read(account, &item)).transpose()
    }

    /// Whether a key is there.
    pub(super) async fn has_key(&self, account: AccountId, id: ApiKeyId) -> Result<bool> {
        Ok(self.find_key(account, id).await?.is_some())
    }

    async fn all_keys(&self, account: AccountId) -> Result<Vec<StoredKey>> {
        let (mut all, mut range) = (Vec::new(), Range::all(key::api_keys(account)));
        loop {
            let page = self.query(&range, PAGE).await?;
            all.extend(
                page.iter()
                    .map(|item| StoredKey::read(account, item))
                    .collect::<Result<Vec<_>>>()?,
            );
            match page.last() {
                Some(last) if page.len() == PAGE => {
                    range = range.from(last.key()?.sk + "\u{1}");
                }
                _ => return Ok(all),
            }
        }
    }

    /// Replaces the key in the operator's data folder, unless it is this one.
    pub(super) async fn replace_operators_key(&self, new: ApiKey, hash: ApiKeyHash) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let mut account = self.get_account(new.account).await?;
            let before = match account.operator_key {
                Some(id) => self.find_key(new.account, id).await?,
                None => None,
            };
            if before.as_ref().is_some_and(|before| before.hash == hash) {
                return Ok(());
            }
            let mut transaction = Transaction::new();
            if let Some(before) = before {
                before.remove(&mut transaction);
            }
            let key = StoredKey { key: new.clone(), hash, is_operators: true, tag: None };
            key.add(&mut transaction);
            account.operator_key = Some(new.id);
            account.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(());
            }
            pause.wait("the operator's key cannot be set").await?;
        }
    }

    /// Adds a key, if there is room for it.
    pub(super) async fn add_key(&self, new: ApiKey, hash: ApiKeyHash, most: u32) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let mut account = self.active_account(new.account).await?;
            let count = account.keys;
            if count >= most {
                let message = format!("an account can have {most} API keys; revoke one first");
                let error = Error::new(Reason::QuotaExceeded, message);
                return Err(error.with("limit", most).with("used", count));
            }
            account.keys += 1;
            let mut transaction = Transaction::new();
            account.write(&mut transaction);
            StoredKey { key: new.clone(), hash, is_operators: false, tag: None }
                .add(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(());
            }
            pause.wait("a key cannot be added").await?;
        }
    }

    /// The key with this hash, if its account is there.
    pub(super) async fn key_of(&self, hash: ApiKeyHash) -> Result<Option<ApiKey>> {
        let Some(pointer) = self.get(&key::api_key_hash(&hash)).await? else { return Ok(None) };
        let account: AccountId = pointer.get("account")?;
        let found = self.find_key(account, pointer.get("id")?).await?;
        let of = self.find_account(account).await?;
        let is_there = of.is_some_and(|it| it.account.status != AccountStatus::Deleted);
        Ok(found.filter(|found| is_there && found.hash == hash).map(|found| found.key))
    }

    /// Lists keys, newest first, without that in the operator's data folder.
    pub(super) async fn list_keys(
        &self,
        account: AccountId,
        after: Option<(Timestamp, ApiKeyId)>,
        limit: usize,
    ) -> Result<Vec<ApiKey>> {
        let all = self.all_keys(account).await?.into_iter();
        let mut keys: Vec<_> = all.filter(|it| !it.is_operators).map(|it| it.key).collect();
        let place = |key: &ApiKey| (key.create_time, key.id);
        keys.retain(|key| after.is_none_or(|after| place(key) < after));
        keys.sort_by_key(|key| std::cmp::Reverse(place(key)));
        keys.truncate(limit);
        Ok(keys)
    }

    /// Ends a key; answers whether it was there.
    pub(super) async fn remove_key(&self, account: AccountId, id: ApiKeyId) -> Result<bool> {
        let mut pause = Pause::new();
        loop {
            let found = self.find_key(account, id).await?;
            let Some(stored) = found.filter(|it| !it.is_operators) else { return Ok(false) };
            let Some(mut of) = self.find_account(account).await? else { return Ok(false) };
            of.keys = of.keys.saturating_sub(1);
            let mut transaction = Transaction::new();
            of.write(&mut transaction);
            stored.remove(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(true);
            }
            pause.wait("a key cannot be ended").await?;
        }
    }

    /// Takes note that a key was used.
    pub(super) async fn note_key(
        &self,
        account: AccountId,
        id: ApiKeyId,
        now: Timestamp,
    ) -> Result<()> {
        let Some(mut stored) = self.find_key(account, id).await? else { return Ok(()) };
        stored.key.last_use_time = Some(now);
        let mut transaction = Transaction::new();
        stored.write(&mut transaction);
        // If it has changed, it was used or ended.
        self.commit(&transaction).await.map(drop)
    }

    /// Removes the keys of an account that is deleted.
    pub(super) async fn purge_keys(&self, account: AccountId) -> Result<()> {
        for key in self.all_keys(account).await? {
            let pointer = key::api_key_hash(&key.hash);
            self.delete_all(vec![pointer, key::api_key(account, key.key.id)]).await?;
        }
        Ok(())
    }

    /// Reads an account that may act.
    pub(super) async fn active_account(
        &self,
        id: AccountId,
    ) -> Result<super::account_records::StoredAccount> {
        let found = self.find_account(id).await?;
        let status = found.as_ref().map_or(AccountStatus::Deleted, |it| it.account.status);
        status.check_active()?;
        found.ok_or_else(|| super::account_records::not_found(id))
    }
}
