//! Accounts and what they hold.

use async_trait::async_trait;
use sluice_domain::{
    Account, AccountId, AccountStatus, DisplayName, EmailAddress, Quota, Result, SessionId,
    Timestamp, Usage,
};

/// An argon2id hash in PHC string format.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordHash(pub String);

impl std::fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

/// SHA-256 of a token with which one account can be registered. Tokens hold 256
/// random bits, so a plain hash is enough.
pub type InvitationHash = [u8; 32];

/// An account to be made.
#[derive(Debug, Clone)]
pub struct NewAccount {
    /// The id, unless the invitation is for an account that is there.
    pub id: AccountId,
    /// Address to sign in with.
    pub email: EmailAddress,
    /// What the password is checked against.
    pub password: PasswordHash,
    /// What people call the account.
    pub display_name: DisplayName,
    /// When it is made.
    pub create_time: Timestamp,
    /// What is used up by it; nothing where anybody may register.
    pub invitation: Option<InvitationHash>,
}

/// One page of accounts.
#[derive(Debug, Clone)]
pub struct AccountPage {
    /// The accounts.
    pub accounts: Vec<Account>,
    /// Whether there are more.
    pub more: bool,
}

/// Stores accounts. Every change is atomic and survives power loss when the
/// method returns. An account that is not there is `ACCOUNT_NOT_FOUND`; one that
/// is deleted is not there, but for [`Self::purge`].
#[async_trait]
pub trait AccountStore: Send + Sync + 'static {
    /// Whether the operator has an account.
    async fn has_operator(&self) -> Result<bool>;

    /// The operator's account, made with this id if there is none.
    async fn operator(&self, new: AccountId, now: Timestamp) -> Result<Account>;

    /// Makes an account and uses up its invitation, both or none. An invitation
    /// of the operator gives address and password to the operator's account. An
    /// unknown, used or expired invitation is `CREDENTIALS_INVALID`, an address
    /// that an account has `ACCOUNT_EXISTS`.
    async fn register(&self, new: NewAccount) -> Result<Account>;

    /// Reads an account.
    async fn account(&self, id: AccountId) -> Result<Account>;

    /// The account with this address and what its password is checked against.
    async fn by_email(&self, email: EmailAddress) -> Result<Option<(Account, PasswordHash)>>;

    /// What the account's password is checked against, if it has one.
    async fn password(&self, id: AccountId) -> Result<Option<PasswordHash>>;

    /// Lists accounts after this one, newest first.
    async fn list_accounts(
        &self,
        after: Option<(Timestamp, AccountId)>,
        limit: u32,
    ) -> Result<AccountPage>;

    /// Changes the display name, while the record has this etag.
    async fn rename_account(
        &self,
        id: AccountId,
        etag: String,
        display_name: DisplayName,
    ) -> Result<Account>;

    /// Changes the password from `before` and ends all sessions but one. Answers
    /// whether `before` was still what it was.
    async fn change_password(
        &self,
        id: AccountId,
        before: PasswordHash,
        after: PasswordHash,
        keep: Option<SessionId>,
    ) -> Result<bool>;

    /// Changes the status. What is not active loses its sessions; what is
    /// deleted also loses its keys, and an event asks the worker for the rest.
    async fn set_status(
        &self,
        id: AccountId,
        status: AccountStatus,
        now: Timestamp,
    ) -> Result<Account>;

    /// What the account holds, and its own limits.
    async fn usage(&self, id: AccountId) -> Result<(Usage, Quota)>;

    /// Sets the account's own limits.
    async fn set_quota(&self, id: AccountId, quota: Quota) -> Result<()>;

    /// Keeps an invitation; `is_operators` for the operator's own account.
    async fn add_invitation(
        &self,
        hash: InvitationHash,
        is_operators: bool,
        expire_time: Option<Timestamp>,
    ) -> Result<()>;

    /// Removes up to `limit` records that a deleted account owned, and in the
    /// end the account. Answers whether something is left.
    async fn purge(&self, id: AccountId, limit: u32, now: Timestamp) -> Result<bool>;
}
