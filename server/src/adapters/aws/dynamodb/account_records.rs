//! Items of accounts.

use sluice_domain::{Account, AccountId, AccountStatus, ApiKeyId, Error, Quota, Reason, Result};

use super::{
    Records,
    item::{Item, unreadable},
    key,
    pause::Pause,
    transaction::{Outcome, Tag, Transaction},
};
use crate::ports::PasswordHash;

/// An account as it is stored.
#[derive(Debug, Clone)]
pub(super) struct StoredAccount {
    pub(super) account: Account,
    /// Who wrote it last; nothing where it is new.
    pub(super) tag: Option<Tag>,
    pub(super) password: Option<PasswordHash>,
    /// Its own limits.
    pub(super) quota: Quota,
    /// Sessions of an earlier generation have ended: so all of them end at once,
    /// however many there are.
    pub(super) generation: u64,
    /// How many API keys it has.
    pub(super) keys: u32,
    /// The key in the operator's data folder.
    pub(super) operator_key: Option<ApiKeyId>,
    /// Nothing of what it owned is left.
    pub(super) is_purged: bool,
}

impl StoredAccount {
    pub(super) fn new(account: Account) -> Self {
        Self {
            account,
            tag: None,
            password: None,
            quota: Quota::default(),
            generation: 1,
            keys: 0,
            operator_key: None,
            is_purged: false,
        }
    }

    fn item(&self) -> Item {
        let Account { email, display_name, status, revision, create_time, is_operator, .. } =
            self.account.clone();
        Item::default()
            .with("email", email)
            .with("display_name", display_name)
            .with("account_status", status.as_str().to_owned())
            .with("revision", revision)
            .with("create_time", create_time)
            .with("is_operator", is_operator)
            .with("password", self.password.clone().map(|hash| hash.0))
            .with("max_bytes", self.quota.max_bytes)
            .with("max_uploads", self.quota.max_active_uploads)
            .with("max_file_size", self.quota.max_file_size)
            .with("generation", self.generation)
            .with("keys", self.keys)
            .with("operator_key", self.operator_key)
            .with("is_purged", self.is_purged)
    }

    fn read(id: AccountId, item: &Item) -> Result<Self> {
        let status: String = item.get("account_status")?;
        Ok(Self {
            account: Account {
                id,
                email: item.get("email")?,
                display_name: item.get("display_name")?,
                status: AccountStatus::parse(&status)
                    .ok_or_else(|| unreadable("account_status"))?,
                revision: item.get("revision")?,
                create_time: item.get("create_time")?,
                is_operator: item.get("is_operator")?,
            },
            tag: Some(Tag::of(item)?),
            password: item.get::<Option<String>>("password")?.map(PasswordHash),
            quota: Quota {
                max_bytes: item.get("max_bytes")?,
                max_active_uploads: item.get("max_uploads")?,
                max_file_size: item.get("max_file_size")?,
            },
            generation: item.get("generation")?,
            keys: item.get("keys")?,
            operator_key: item.get("operator_key")?,
            is_purged: item.get("is_purged")?,
        })
    }

    /// Writes it back, to be forgotten at a time in seconds since 1970.
    pub(super) fn write_until(&self, transaction: &mut Transaction, ttl: i64) {
        let item = self.item().with("ttl", ttl);
        transaction.put(key::account(self.account.id), self.tag, item);
    }

    /// Writes it back.
    pub(super) fn write(&self, transaction: &mut Transaction) {
        transaction.put(key::account(self.account.id), self.tag, self.item());
    }
}

impl Records {
    /// Reads an account, also one that is deleted.
    pub(super) async fn find_account(&self, id: AccountId) -> Result<Option<StoredAccount>> {
        let item = self.get(&key::account(id)).await?;
        item.map(|item| StoredAccount::read(id, &item)).transpose()
    }

    /// Reads an account that is there.
    pub(super) async fn get_account(&self, id: AccountId) -> Result<StoredAccount> {
        let found = self.find_account(id).await?;
        let there = found.filter(|it| it.account.status != AccountStatus::Deleted);
        there.ok_or_else(|| not_found(id))
    }

    /// Reads accounts that are there, in the order of their ids.
    pub(super) async fn get_accounts(&self, ids: &[AccountId]) -> Result<Vec<Account>> {
        let items = self.get_all(ids.iter().map(|id| key::account(*id)).collect()).await?;
        let mut accounts = Vec::new();
        for id in ids {
            if let Some(item) = items.get(&key::account(*id)) {
                let stored = StoredAccount::read(*id, item)?;
                accounts
                    .extend(Some(stored.account).filter(|it| it.status != AccountStatus::Deleted));
            }
        }
        Ok(accounts)
    }

    /// The limits of an account that it has of its own. Who has no account, as
    /// in tests, has none; a deleted account is not there.
    pub(super) async fn own_quota(&self, id: AccountId) -> Result<Quota> {
        match self.find_account(id).await? {
            None => Ok(Quota::default()),
            Some(stored) if stored.account.status == AccountStatus::Deleted => Err(not_found(id)),
            Some(stored) => Ok(stored.quota),
        }
    }

    /// Changes an account that is there, and nothing else.
    pub(super) async fn change_account(
        &self,
        id: AccountId,
        mut decide: impl FnMut(&mut StoredAccount) -> Result<()> + Send,
    ) -> Result<Account> {
        let mut pause = Pause::new();
        loop {
            let mut stored = self.get_account(id).await?;
            decide(&mut stored)?;
            let mut transaction = Transaction::new();
            stored.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(stored.account);
            }
            pause.wait("an account cannot be changed").await?;
        }
    }
}

pub(super) fn not_found(id: AccountId) -> Error {
    Error::new(Reason::AccountNotFound, format!("there is no account {id}"))
}
