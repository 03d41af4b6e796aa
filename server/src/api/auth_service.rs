//! `AuthService`.

use secrecy::SecretString;
use sluice_domain::{DisplayName, EmailAddress, Error, Reason, Result};
use sluice_proto::v1::{self, auth_service_server::AuthService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::account::{account, introspection, tokens},
    origin,
    status::status,
};
use crate::service::{
    Context,
    identity::sessions::{self, Login, Register},
};

/// Implements `AuthService`.
pub(super) struct Auth {
    context: Context,
}

impl Auth {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl AuthService for Auth {
    async fn register(
        &self,
        request: Request<v1::RegisterRequest>,
    ) -> Result<Response<v1::RegisterResponse>, Status> {
        let (origin, request) = (origin(&request), request.into_inner());
        let request = Register {
            email: EmailAddress::parse(&request.email, "email").map_err(status)?,
            password: request.password.into(),
            display_name: DisplayName::parse(&request.display_name, "display_name")
                .map_err(status)?,
            setup_token: optional(request.setup_token),
        };
        let signed_in =
            sessions::register(&self.context, &origin, request).await.map_err(status)?;
        Ok(Response::new(v1::RegisterResponse {
            account: Some(account(&signed_in.account)),
            tokens: Some(tokens(signed_in.tokens)),
            device_token: signed_in.device_token,
        }))
    }

    async fn login(
        &self,
        request: Request<v1::LoginRequest>,
    ) -> Result<Response<v1::LoginResponse>, Status> {
        let (origin, request) = (origin(&request), request.into_inner());
        let request = Login {
            email: EmailAddress::parse(&request.email, "email").map_err(status)?,
            password: request.password.into(),
            device_token: optional(request.device_token),
        };
        let signed_in = sessions::login(&self.context, &origin, request).await.map_err(status)?;
        Ok(Response::new(v1::LoginResponse {
            account: Some(account(&signed_in.account)),
            tokens: Some(tokens(signed_in.tokens)),
            device_token: signed_in.device_token,
        }))
    }

    async fn refresh_session(
        &self,
        request: Request<v1::RefreshSessionRequest>,
    ) -> Result<Response<v1::RefreshSessionResponse>, Status> {
        let (origin, token) = (origin(&request), request.into_inner().refresh_token.into());
        let refreshed = sessions::refresh(&self.context, &origin, &token).await.map_err(status)?;
        Ok(Response::new(v1::RefreshSessionResponse { tokens: Some(tokens(refreshed)) }))
    }

    async fn logout(
        &self,
        request: Request<v1::LogoutRequest>,
    ) -> Result<Response<v1::LogoutResponse>, Status> {
        let token = request.into_inner().refresh_token.into();
        sessions::logout(&self.context, &token).await.map_err(status)?;
        Ok(Response::new(v1::LogoutResponse {}))
    }

    async fn start_o_auth(
        &self,
        _request: Request<v1::StartOAuthRequest>,
    ) -> Result<Response<v1::StartOAuthResponse>, Status> {
        Err(status(no_provider()))
    }

    async fn complete_o_auth(
        &self,
        _request: Request<v1::CompleteOAuthRequest>,
    ) -> Result<Response<v1::CompleteOAuthResponse>, Status> {
        Err(status(no_provider()))
    }

    async fn introspect_token(
        &self,
        request: Request<v1::IntrospectTokenRequest>,
    ) -> Result<Response<v1::IntrospectTokenResponse>, Status> {
        let caller = caller(&request).map_err(status)?;
        let token = request.into_inner().token.into();
        let known = sessions::introspect(&self.context, caller, &token).await.map_err(status)?;
        Ok(Response::new(introspection(known)))
    }
}

fn optional(text: String) -> Option<SecretString> {
    (!text.is_empty()).then(|| text.into())
}

fn no_provider() -> Error {
    let message = "this server offers no other providers to sign in with; use Login";
    Error::new(Reason::NotSupported, message)
}
