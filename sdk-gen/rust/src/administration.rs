//! What only the operator may do: looking after all accounts.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use futures::Stream;
use sluice_proto::v1::{
    Account, CreateInvitationRequest, ListAccountsRequest, Quota, ReinstateAccountRequest,
    SetQuotaRequest, SuspendAccountRequest, Usage,
};

use crate::{
    Client, Result,
    account::{call, missing, span},
    pages::paged,
};

/// Entries on one page: the most that there can be.
const PAGE_SIZE: i32 = 1000;

/// What lets somebody register.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Invitation {
    /// `setup_token` of [`Client::register`]: good for one account.
    pub setup_token: String,
    /// When it ends.
    pub expire_time: SystemTime,
}

impl Client {
    /// All accounts of the server, newest first.
    pub fn accounts(&self) -> impl Stream<Item = Result<Account>> + Send + use<'_> {
        paged(move |page_token| async move {
            let request = ListAccountsRequest { page_size: PAGE_SIZE, page_token };
            let page = call!(self.unary, raw_admin().list_accounts(request)).await?;
            Ok((page.accounts, page.next_page_token))
        })
    }

    /// Stops an account: its credentials are good for nothing until it is
    /// reinstated. What it owns stays.
    pub async fn suspend_account(&self, account_id: impl Into<String>) -> Result<Account> {
        let request = SuspendAccountRequest { account_id: account_id.into() };
        let answer = call!(self.unary, raw_admin().suspend_account(request)).await?;
        answer.account.ok_or_else(|| missing("account"))
    }

    /// Lets a suspended account act again.
    pub async fn reinstate_account(&self, account_id: impl Into<String>) -> Result<Account> {
        let request = ReinstateAccountRequest { account_id: account_id.into() };
        let answer = call!(self.unary, raw_admin().reinstate_account(request)).await?;
        answer.account.ok_or_else(|| missing("account"))
    }

    /// Sets the limits of an account. What is absent is as the server has it for
    /// all.
    pub async fn set_quota(&self, account_id: impl Into<String>, quota: Quota) -> Result<Usage> {
        let request = SetQuotaRequest { account_id: account_id.into(), quota: Some(quota) };
        let answer = call!(self.unary, raw_admin().set_quota(request)).await?;
        answer.usage.ok_or_else(|| missing("usage"))
    }

    /// Makes a token with which one account can be registered, for 7 days unless
    /// another time is named.
    pub async fn invite(&self, ttl: Option<Duration>) -> Result<Invitation> {
        let request = CreateInvitationRequest { ttl: span(ttl)? };
        let answer = call!(self.unary, raw_admin().create_invitation(request)).await?;
        let expire_time = answer.expire_time.and_then(|time| SystemTime::try_from(time).ok());
        let expire_time = expire_time.ok_or_else(|| missing("expiry"))?;
        Ok(Invitation { setup_token: answer.setup_token, expire_time })
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Invitation").field("expire_time", &self.expire_time).finish_non_exhaustive()
    }
}
