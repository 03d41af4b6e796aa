//! Signing in and out, and the account that calls are made for.

use std::{fmt, time::Duration};

use futures::Stream;
use prost_types::FieldMask;
use sluice_proto::v1::{
    self, Account, ApiKey, ChangePasswordRequest, CreateApiKeyRequest, DeleteAccountRequest,
    GetAccountRequest, GetUsageRequest, ListApiKeysRequest, ListSessionsRequest, LoginRequest,
    RegisterRequest, RevokeApiKeyRequest, RevokeSessionRequest, Scope, Session,
    UpdateAccountRequest, Usage, revoke_session_request::Target,
};

use crate::{Client, Error, Result, SessionTokens, error::Kind, pages::paged};

/// Entries on one page: the most that there can be.
const PAGE_SIZE: i32 = 1000;

/// Somebody who has signed in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct SignedIn {
    /// Their account.
    pub account: Account,
    /// The tokens of the new session, for [`Client::with_session`].
    pub tokens: SessionTokens,
    /// Shows at the next sign-in that this device is known, so that strangers
    /// who try passwords cannot lock it out. It opens nothing by itself.
    pub device_token: String,
}

/// An API key that was just made.
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct NewApiKey {
    /// The key.
    pub api_key: ApiKey,
    /// Its secret, which cannot be had again.
    pub secret: String,
}

/// `call!(self.unary, raw_files().get_file(request))`: the answer to one call,
/// with retries.
macro_rules! call {
    ($client:ident.$how:ident, $stub:ident().$rpc:ident($request:expr)) => {
        $client.$how($request, move |request| async move { $client.$stub().$rpc(request).await })
    };
}
pub(crate) use call;

impl Client {
    /// Makes an account and signs in.
    pub async fn register(&self, request: RegisterRequest) -> Result<SignedIn> {
        let answer = call!(self.unary_once, raw_auth().register(request)).await?;
        SignedIn::new(answer.account, answer.tokens, answer.device_token)
    }

    /// Signs in with address and password.
    pub async fn login(&self, request: LoginRequest) -> Result<SignedIn> {
        let answer = call!(self.unary, raw_auth().login(request)).await?;
        SignedIn::new(answer.account, answer.tokens, answer.device_token)
    }

    /// Ends the session of this client, on the server and in its store.
    pub async fn logout(&self) -> Result<()> {
        let session = self.session().ok_or_else(|| Error::usage("nobody has signed in"))?;
        session.end().await
    }

    /// The account that calls are made for.
    pub async fn account(&self) -> Result<Account> {
        let answer = call!(self.unary, raw_accounts().get_account(GetAccountRequest {})).await?;
        answer.account.ok_or_else(|| missing("account"))
    }

    /// Gives the account another display name.
    pub async fn rename_account(&self, display_name: impl Into<String>) -> Result<Account> {
        let account = Account { display_name: display_name.into(), ..Default::default() };
        let request = UpdateAccountRequest {
            account: Some(account),
            update_mask: Some(FieldMask { paths: vec!["display_name".into()] }),
            etag: String::new(),
        };
        let answer = call!(self.unary, raw_accounts().update_account(request)).await?;
        answer.account.ok_or_else(|| missing("account"))
    }

    /// Changes the password and ends all other sessions.
    pub async fn change_password(
        &self,
        current_password: impl Into<String>,
        new_password: impl Into<String>,
    ) -> Result<()> {
        let request = ChangePasswordRequest {
            current_password: current_password.into(),
            new_password: new_password.into(),
        };
        call!(self.unary_once, raw_accounts().change_password(request)).await.map(drop)
    }

    /// Deletes the account and everything that it owns. It cannot be undone.
    pub async fn delete_account(&self, password: impl Into<String>) -> Result<()> {
        let request = DeleteAccountRequest { password: password.into() };
        call!(self.unary_once, raw_accounts().delete_account(request)).await.map(drop)
    }

    /// The open sessions of the account, newest first.
    pub fn sessions(&self) -> impl Stream<Item = Result<Session>> + Send + use<'_> {
        paged(move |page_token| async move {
            let request = ListSessionsRequest { page_size: PAGE_SIZE, page_token };
            let page = call!(self.unary, raw_accounts().list_sessions(request)).await?;
            Ok((page.sessions, page.next_page_token))
        })
    }

    /// Ends one session.
    pub async fn revoke_session(&self, session_id: impl Into<String>) -> Result<()> {
        self.revoke_sessions(Target::SessionId(session_id.into())).await.map(drop)
    }

    /// Ends all sessions but that of this client; answers how many there were.
    pub async fn revoke_other_sessions(&self) -> Result<u32> {
        self.revoke_sessions(Target::AllOthers(true)).await
    }

    async fn revoke_sessions(&self, target: Target) -> Result<u32> {
        let request = RevokeSessionRequest { target: Some(target) };
        let answer = call!(self.unary, raw_accounts().revoke_session(request)).await?;
        Ok(answer.revoked.try_into().unwrap_or_default())
    }

    /// The API keys of the account, newest first.
    pub fn api_keys(&self) -> impl Stream<Item = Result<ApiKey>> + Send + use<'_> {
        paged(move |page_token| async move {
            let request = ListApiKeysRequest { page_size: PAGE_SIZE, page_token };
            let page = call!(self.unary, raw_accounts().list_api_keys(request)).await?;
            Ok((page.api_keys, page.next_page_token))
        })
    }

    /// Makes an API key that may be used for this, for so long or for ever.
    pub async fn create_api_key(
        &self,
        name: impl Into<String>,
        scopes: impl IntoIterator<Item = Scope>,
        ttl: Option<Duration>,
    ) -> Result<NewApiKey> {
        let scopes = scopes.into_iter().map(i32::from).collect();
        let request = CreateApiKeyRequest { name: name.into(), scopes, ttl: span(ttl)? };
        let answer = call!(self.unary_once, raw_accounts().create_api_key(request)).await?;
        let api_key = answer.api_key.ok_or_else(|| missing("key"))?;
        Ok(NewApiKey { api_key, secret: answer.secret })
    }

    /// Ends an API key.
    pub async fn revoke_api_key(&self, api_key_id: impl Into<String>) -> Result<()> {
        let request = RevokeApiKeyRequest { api_key_id: api_key_id.into() };
        call!(self.unary, raw_accounts().revoke_api_key(request)).await.map(drop)
    }

    /// What the account holds, and how much it may.
    pub async fn usage(&self) -> Result<Usage> {
        let answer = call!(self.unary, raw_accounts().get_usage(GetUsageRequest {})).await?;
        answer.usage.ok_or_else(|| missing("usage"))
    }
}

impl SignedIn {
    fn new(
        account: Option<Account>,
        tokens: Option<v1::Tokens>,
        device_token: String,
    ) -> Result<Self> {
        let account = account.ok_or_else(|| missing("account"))?;
        let tokens = tokens.ok_or_else(|| missing("tokens"))?.try_into()?;
        Ok(Self { account, tokens, device_token })
    }
}

/// A time to live as the contract has it.
pub(crate) fn span(ttl: Option<Duration>) -> Result<Option<prost_types::Duration>> {
    let wrong = |_| Error::usage("the time to live is too long");
    ttl.map(TryInto::try_into).transpose().map_err(wrong)
}

/// An answer without what the contract promises.
pub(crate) fn missing(what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the server's answer has no {what}"))
}

impl fmt::Debug for NewApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewApiKey").field("api_key", &self.api_key).finish_non_exhaustive()
    }
}
