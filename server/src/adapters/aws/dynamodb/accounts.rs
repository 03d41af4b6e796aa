//! Accounts behind their port.

use async_trait::async_trait;
use sluice_domain::{
    Account, AccountId, AccountStatus, DisplayName, EmailAddress, Error, Quota, Reason, Result,
    SessionId, Timestamp, Usage,
};
use uuid::Uuid;

use super::{
    Records,
    account_records::StoredAccount,
    change::every_shard,
    item::Item,
    key,
    lists::Window,
    pause::Pause,
    shard::total,
    transaction::{Before, Outcome, Tag, Transaction, tag_of},
};
use crate::ports::{AccountPage, AccountStore, Event, InvitationHash, NewAccount, PasswordHash};

#[async_trait]
impl AccountStore for Records {
    async fn has_operator(&self) -> Result<bool> {
        Ok(self.operator_id().await?.is_some())
    }

    async fn operator(&self, new: AccountId, now: Timestamp) -> Result<Account> {
        let mut pause = Pause::new();
        loop {
            if let Some(operator) = self.operator_id().await? {
                return Ok(self.get_account(operator).await?.account);
            }
            let account = StoredAccount::new(Account {
                id: new,
                email: None,
                display_name: DisplayName::default(),
                status: AccountStatus::Active,
                revision: 1,
                create_time: now,
                is_operator: true,
            });
            let mut transaction = Transaction::new();
            let pointer = Item::default().with("account", new);
            transaction.put(key::operator(), Before::Absent, pointer);
            transaction.put(key::listed_account(now, new), Before::Any, Item::default());
            account.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(account.account);
            }
            pause.wait("the operator's account cannot be made").await?;
        }
    }

    async fn register(&self, new: NewAccount) -> Result<Account> {
        let mut pause = Pause::new();
        loop {
            let mut transaction = Transaction::new();
            let of_operator = match new.invitation {
                None => false,
                Some(hash) => self.use_up(&mut transaction, hash, new.create_time).await?,
            };
            if self.get(&key::email(new.email.as_str())).await?.is_some() {
                return Err(taken(&new.email));
            }
            let operator = if of_operator { self.operator_id().await? } else { None };
            let mut stored = match operator {
                Some(operator) => self.get_account(operator).await?,
                None => {
                    let list = key::listed_account(new.create_time, new.id);
                    transaction.put(list, Before::Any, Item::default());
                    StoredAccount::new(Account {
                        id: new.id,
                        email: None,
                        display_name: DisplayName::default(),
                        status: AccountStatus::Active,
                        revision: 0,
                        create_time: new.create_time,
                        is_operator: false,
                    })
                }
            };
            if let Some(before) = &stored.account.email {
                transaction.delete(key::email(before.as_str()), Before::Any);
            }
            let of = Item::default().with("account", stored.account.id);
            transaction.put(key::email(new.email.as_str()), Before::Absent, of);
            stored.account.email = Some(new.email.clone());
            stored.account.display_name = new.display_name.clone();
            stored.account.revision += 1;
            stored.password = Some(new.password.clone());
            stored.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(stored.account);
            }
            pause.wait("an account cannot be registered").await?;
        }
    }

    async fn account(&self, id: AccountId) -> Result<Account> {
        Ok(self.get_account(id).await?.account)
    }

    async fn by_email(&self, email: EmailAddress) -> Result<Option<(Account, PasswordHash)>> {
        let item = self.get(&key::email(email.as_str())).await?;
        // How long this takes must not tell whether the address is known: nobody's
        // account is looked for as well.
        let id = match &item {
            Some(item) => item.get("account")?,
            None => AccountId::from_uuid(Uuid::nil()),
        };
        let found = self.find_account(id).await?;
        let there = found.filter(|it| it.account.email.as_ref() == Some(&email));
        Ok(there.and_then(|it| Some((it.account, it.password?))))
    }

    async fn password(&self, id: AccountId) -> Result<Option<PasswordHash>> {
        Ok(self.find_account(id).await?.and_then(|stored| stored.password))
    }

    async fn list_accounts(
        &self,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<AccountPage> {
        let limit = limit as usize;
        let mut after = after.map(|(time, id)| (time, *id.as_uuid()));
        let mut accounts = Vec::new();
        loop {
            let asked = limit + 1 - accounts.len();
            let window = Window { after, ..Window::default() };
            let lists = vec![key::ACCOUNTS.to_owned()];
            let entries = self.newest_first(lists, window, asked).await?;
            let ids: Vec<_> = entries.iter().map(|(_, id)| AccountId::from_uuid(*id)).collect();
            accounts.extend(self.get_accounts(&ids).await?);
            after = entries.last().copied();
            if entries.len() < asked || accounts.len() > limit {
                break;
            }
        }
        let more = accounts.len() > limit;
        accounts.truncate(limit);
        Ok(AccountPage { accounts, more })
    }

    async fn rename_account(
        &self,
        id: AccountId,
        etag: String,
        display_name: DisplayName,
    ) -> Result<Account> {
        self.change_account(id, |stored| {
            stored.account.check_etag(&etag)?;
            stored.account.display_name = display_name.clone();
            stored.account.revision += 1;
            Ok(())
        })
        .await
    }

    async fn change_password(
        &self,
        id: AccountId,
        before: PasswordHash,
        after: PasswordHash,
        keep: Option<SessionId>,
    ) -> Result<bool> {
        let mut pause = Pause::new();
        loop {
            let found = self.find_account(id).await?;
            let there = found.filter(|it| {
                it.account.status != AccountStatus::Deleted && it.password.as_ref() == Some(&before)
            });
            let Some(mut stored) = there else { return Ok(false) };
            stored.password = Some(after.clone());
            let mut transaction = Transaction::new();
            self.end_sessions(&mut transaction, &mut stored, keep).await?;
            stored.write(&mut transaction);
            if let Outcome::Committed = self.commit(&transaction).await? {
                self.remove_ended_sessions(&stored).await;
                return Ok(true);
            }
            pause.wait("a password cannot be changed").await?;
        }
    }

    async fn set_status(
        &self,
        id: AccountId,
        status: AccountStatus,
        now: Timestamp,
    ) -> Result<Account> {
        let mut pause = Pause::new();
        let is_deleted = status == AccountStatus::Deleted;
        loop {
            let shards = if is_deleted { every_shard() } else { [].into() };
            let mut change = self.begin(id, &shards).await?;
            let mut stored = self.get_account(id).await?;
            if stored.account.status == status {
                return Ok(stored.account);
            }
            let answer =
                Account { status, revision: stored.account.revision + 1, ..stored.account.clone() };
            stored.account.status = status;
            stored.account.revision += 1;
            if status != AccountStatus::Active {
                stored.generation += 1;
            }
            if is_deleted {
                // The address is free at once, and nothing is opened any more.
                if let Some(email) = stored.account.email.take() {
                    change.transaction.delete(key::email(email.as_str()), Before::Any);
                }
                stored.password = None;
                stored.account.display_name = DisplayName::default();
                let list = key::listed_account(stored.account.create_time, id);
                change.transaction.delete(list, Before::Any);
                change.close();
                change.enqueue(&Event::DeleteAccount { account: id }, now);
            }
            stored.write(&mut change.transaction);
            if self.made(change).await? {
                self.remove_ended_sessions(&stored).await;
                return Ok(answer);
            }
            pause.wait("an account's status cannot be changed").await?;
        }
    }

    async fn usage(&self, id: AccountId) -> Result<(Usage, Quota)> {
        let stored = self.get_account(id).await?;
        Ok((total(self.read_shards(id).await?.values()), stored.quota))
    }

    async fn set_quota(&self, id: AccountId, quota: Quota) -> Result<()> {
        let set = self.change_account(id, |stored| {
            stored.quota = quota;
            Ok(())
        });
        set.await.map(drop)
    }

    async fn add_invitation(
        &self,
        hash: InvitationHash,
        is_operators: bool,
        expire_time: Option<Timestamp>,
    ) -> Result<()> {
        let key = key::invitation(&hash);
        let item = Item::default()
            .with("is_operators", is_operators)
            .with("expire_time", expire_time)
            .with("ttl", expire_time.map(|time| time.as_micros() / 1_000_000));
        let mut pause = Pause::new();
        loop {
            let before = self.get(&key).await?;
            let mut transaction = Transaction::new();
            transaction.put(key.clone(), tag_of(before.as_ref())?, item.clone());
            if let Outcome::Committed = self.commit(&transaction).await? {
                return Ok(());
            }
            pause.wait("an invitation cannot be kept").await?;
        }
    }

    async fn purge(&self, id: AccountId, limit: u32, now: Timestamp) -> Result<bool> {
        self.purge_batch(id, limit as usize, now).await
    }
}

impl Records {
    /// The operator's account, once it was made.
    async fn operator_id(&self) -> Result<Option<AccountId>> {
        let pointer = self.get(&key::operator()).await?;
        pointer.map(|pointer| pointer.get("account")).transpose()
    }

    /// Uses an invitation up; answers whether it is the operator's.
    async fn use_up(
        &self,
        transaction: &mut Transaction,
        hash: InvitationHash,
        now: Timestamp,
    ) -> Result<bool> {
        let key = key::invitation(&hash);
        if let Some(item) = self.get(&key).await?
            && item.get::<Option<Timestamp>>("expire_time")?.is_none_or(|end| end > now)
        {
            transaction.delete(key, Some(Tag::of(&item)?));
            return item.get("is_operators");
        }
        let message = "this set-up token is not known here, was used, or has expired";
        Err(Error::new(Reason::CredentialsInvalid, message))
    }
}

fn taken(email: &EmailAddress) -> Error {
    let message = format!("there is an account {} already; sign in", email.as_str());
    Error::new(Reason::AccountExists, message)
}
