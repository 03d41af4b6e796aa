//! `AccountService`.

use std::time::Duration;

use sluice_domain::{ApiKeyId, DisplayName, Error, Result, SessionId};
use sluice_proto::v1::{self, account_service_server::AccountService};
use tonic::{Request, Response, Status};

use super::{caller, convert::account as convert, origin, page::Page, status::status};
use crate::service::{
    Caller, Context,
    identity::{accounts, api_keys},
};

/// Longest life of a key that has an end: ten years.
const LONGEST_KEY: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// Implements `AccountService`.
pub(super) struct Accounts {
    context: Context,
}

impl Accounts {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn update(
        &self,
        caller: Caller,
        request: v1::UpdateAccountRequest,
    ) -> Result<v1::UpdateAccountResponse> {
        let paths = request.update_mask.map(|mask| mask.paths).unwrap_or_default();
        if paths.iter().any(|path| path != "display_name") {
            return Err(Error::invalid_field("update_mask", "can only name display_name"));
        }
        let account = request.account.unwrap_or_default();
        let name = DisplayName::parse(&account.display_name, "account.display_name")?;
        let account = accounts::rename(&self.context, caller, request.etag, name).await?;
        Ok(v1::UpdateAccountResponse { account: Some(convert::account(&account)) })
    }

    async fn sessions(
        &self,
        caller: Caller,
        request: v1::ListSessionsRequest,
    ) -> Result<v1::ListSessionsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after(SessionId::from_uuid);
        let mut found = accounts::sessions(&self.context, caller, after, page.and_one()).await?;
        let next_page_token = page.cut(&mut found, |it| (it.create_time, *it.id.as_uuid()));
        let is_current = |id| caller.session() == Some(id);
        Ok(v1::ListSessionsResponse {
            sessions: found.iter().map(|it| convert::session(it, is_current(it.id))).collect(),
            next_page_token,
        })
    }

    async fn revoke(
        &self,
        caller: Caller,
        request: v1::RevokeSessionRequest,
    ) -> Result<v1::RevokeSessionResponse> {
        use v1::revoke_session_request::Target;
        let revoked = match request.target {
            Some(Target::SessionId(id)) => {
                let id = SessionId::parse(&id, "session_id")?;
                accounts::revoke_session(&self.context, caller, id).await?;
                1
            }
            Some(Target::AllOthers(true)) => {
                accounts::revoke_other_sessions(&self.context, caller).await?
            }
            Some(Target::AllOthers(false)) => {
                return Err(Error::invalid_field("all_others", "must be true"));
            }
            None => {
                let description = "must be there, unless all_others is";
                return Err(Error::invalid_field("session_id", description));
            }
        };
        Ok(v1::RevokeSessionResponse { revoked: i32::try_from(revoked).unwrap_or(i32::MAX) })
    }

    async fn create_key(
        &self,
        caller: Caller,
        request: v1::CreateApiKeyRequest,
    ) -> Result<v1::CreateApiKeyResponse> {
        let name = convert::required_name(&request.name, "name")?;
        let scopes = convert::scopes(&request.scopes)?;
        let ttl = convert::ttl(request.ttl, LONGEST_KEY)?;
        let (key, secret) = api_keys::create(&self.context, caller, name, scopes, ttl).await?;
        Ok(v1::CreateApiKeyResponse { api_key: Some(convert::api_key(&key)), secret })
    }

    async fn keys(
        &self,
        caller: Caller,
        request: v1::ListApiKeysRequest,
    ) -> Result<v1::ListApiKeysResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after(ApiKeyId::from_uuid);
        let mut found = api_keys::list(&self.context, caller, after, page.and_one()).await?;
        let next_page_token = page.cut(&mut found, |it| (it.create_time, *it.id.as_uuid()));
        Ok(v1::ListApiKeysResponse {
            api_keys: found.iter().map(convert::api_key).collect(),
            next_page_token,
        })
    }
}

#[tonic::async_trait]
impl AccountService for Accounts {
    async fn get_account(
        &self,
        request: Request<v1::GetAccountRequest>,
    ) -> Result<Response<v1::GetAccountResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let account = accounts::get(&self.context, caller).await.map_err(status)?;
        let account = Some(convert::account(&account));
        Ok(Response::new(v1::GetAccountResponse { account }))
    }

    async fn update_account(
        &self,
        request: Request<v1::UpdateAccountRequest>,
    ) -> Result<Response<v1::UpdateAccountResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        self.update(caller, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn change_password(
        &self,
        request: Request<v1::ChangePasswordRequest>,
    ) -> Result<Response<v1::ChangePasswordResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (origin, request) = (origin(&request), request.into_inner());
        let (current, new) = (request.current_password.into(), request.new_password.into());
        let changed = accounts::change_password(&self.context, caller, &origin, current, new).await;
        changed.map_err(status)?;
        Ok(Response::new(v1::ChangePasswordResponse {}))
    }

    async fn delete_account(
        &self,
        request: Request<v1::DeleteAccountRequest>,
    ) -> Result<Response<v1::DeleteAccountResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (origin, password) = (origin(&request), request.into_inner().password.into());
        accounts::delete(&self.context, caller, &origin, password).await.map_err(status)?;
        Ok(Response::new(v1::DeleteAccountResponse {}))
    }

    async fn list_sessions(
        &self,
        request: Request<v1::ListSessionsRequest>,
    ) -> Result<Response<v1::ListSessionsResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        self.sessions(caller, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn revoke_session(
        &self,
        request: Request<v1::RevokeSessionRequest>,
    ) -> Result<Response<v1::RevokeSessionResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        self.revoke(caller, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        self.create_key(caller, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        self.keys(caller, request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = request.into_inner().api_key_id;
        let id = ApiKeyId::parse(&id, "api_key_id").map_err(status)?;
        api_keys::revoke(&self.context, caller, id).await.map_err(status)?;
        Ok(Response::new(v1::RevokeApiKeyResponse {}))
    }

    async fn get_usage(
        &self,
        request: Request<v1::GetUsageRequest>,
    ) -> Result<Response<v1::GetUsageResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let (usage, quota) = accounts::usage(&self.context, caller).await.map_err(status)?;
        let usage = Some(convert::usage(usage, quota));
        Ok(Response::new(v1::GetUsageResponse { usage }))
    }
}
