//! `AdminService`.

use std::time::Duration;

use sluice_domain::{AccountId, Result};
use sluice_proto::v1::{self, admin_service_server::AdminService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::{account as convert, timestamp},
    page::Page,
    status::status,
};
use crate::service::{Context, identity::administration};

const INVITATION: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const LONGEST_INVITATION: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Implements `AdminService`.
pub(super) struct Admin {
    context: Context,
}

impl Admin {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn list(&self, request: v1::ListAccountsRequest) -> Result<v1::ListAccountsResponse> {
        let page = Page::of(request.page_size, &request.page_token)?;
        let after = page.after(AccountId::from_uuid);
        let mut found = administration::list(&self.context, after, page.and_one()).await?.accounts;
        let next_page_token = page.cut(&mut found, |it| (it.create_time, *it.id.as_uuid()));
        Ok(v1::ListAccountsResponse {
            accounts: found.iter().map(convert::account).collect(),
            next_page_token,
        })
    }

    async fn quota(&self, request: v1::SetQuotaRequest) -> Result<v1::SetQuotaResponse> {
        let id = AccountId::parse(&request.account_id, "account_id")?;
        let quota = convert::quota(request.quota)?;
        let (usage, quota) = administration::set_quota(&self.context, id, quota).await?;
        Ok(v1::SetQuotaResponse { usage: Some(convert::usage(usage, quota)) })
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn list_accounts(
        &self,
        request: Request<v1::ListAccountsRequest>,
    ) -> Result<Response<v1::ListAccountsResponse>, Status> {
        self.list(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn suspend_account(
        &self,
        request: Request<v1::SuspendAccountRequest>,
    ) -> Result<Response<v1::SuspendAccountResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let id = account_id(&request.into_inner().account_id)?;
        let account = administration::suspend(&self.context, caller, id).await.map_err(status)?;
        let account = Some(convert::account(&account));
        Ok(Response::new(v1::SuspendAccountResponse { account }))
    }

    async fn reinstate_account(
        &self,
        request: Request<v1::ReinstateAccountRequest>,
    ) -> Result<Response<v1::ReinstateAccountResponse>, Status> {
        let id = account_id(&request.into_inner().account_id)?;
        let account = administration::reinstate(&self.context, id).await.map_err(status)?;
        let account = Some(convert::account(&account));
        Ok(Response::new(v1::ReinstateAccountResponse { account }))
    }

    async fn set_quota(
        &self,
        request: Request<v1::SetQuotaRequest>,
    ) -> Result<Response<v1::SetQuotaResponse>, Status> {
        self.quota(request.into_inner()).await.map(Response::new).map_err(status)
    }

    async fn create_invitation(
        &self,
        request: Request<v1::CreateInvitationRequest>,
    ) -> Result<Response<v1::CreateInvitationResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let ttl = convert::ttl(request.into_inner().ttl, LONGEST_INVITATION).map_err(status)?;
        let ttl = ttl.unwrap_or(INVITATION);
        let invited = administration::invite(&self.context, caller, ttl).await;
        let (setup_token, end) = invited.map_err(status)?;
        let expire_time = Some(timestamp(end));
        Ok(Response::new(v1::CreateInvitationResponse { setup_token, expire_time }))
    }
}

fn account_id(text: &str) -> Result<AccountId, Status> {
    AccountId::parse(text, "account_id").map_err(status)
}
