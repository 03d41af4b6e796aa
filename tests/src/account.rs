//! People who have an account.

use sluice_proto::v1::{
    CreateApiKeyRequest, LoginRequest, RegisterRequest, Scope, SetQuotaRequest, Tokens,
};
use tonic::Status;

use crate::{Client, Server, server::Setup};

/// The password of everybody who has no other.
pub const PASSWORD: &str = "twelve tired tortoises";

/// Somebody with an account, signed in.
pub struct Person {
    /// Id of the account.
    pub id: String,
    /// Address to sign in with.
    pub email: String,
    /// The tokens of the first session.
    pub tokens: Tokens,
    /// Shows that the device is known.
    pub device_token: String,
    /// A client with the access token.
    pub client: Client,
}

impl Setup {
    /// Lets anybody register, and sign in as often as they like.
    #[must_use]
    pub fn open_to_all(self) -> Self {
        self.setting("SLUICE__ACCOUNTS__REGISTRATION", "open")
            .setting("SLUICE__ACCOUNTS__SIGN_IN_TRIES_PER_ADDRESS", "1000000")
            .setting("SLUICE__ACCOUNTS__SIGN_IN_TRIES_PER_ACCOUNT", "1000000")
    }
}

impl Server {
    /// Makes an account of this name; needs [`Setup::open_to_all`].
    pub async fn person(&self, name: &str) -> Person {
        let request = RegisterRequest {
            email: format!("{name}@example.com"),
            password: PASSWORD.into(),
            display_name: name.into(),
            setup_token: String::new(),
        };
        let email = request.email.clone();
        let client = Client::anonymous(&self.url());
        let response = client.auth.clone().register(request).await.expect("anybody may register");
        let response = response.into_inner();
        let tokens = response.tokens.expect("who registers is signed in");
        Person {
            id: response.account.expect("there is an account").id,
            email,
            client: Client::new(&self.url(), &tokens.access_token),
            tokens,
            device_token: response.device_token,
        }
    }

    /// A client with the access token of this address, signed in anew.
    pub async fn signed_in(&self, email: &str) -> Result<(Client, Tokens), Status> {
        let client = Client::anonymous(&self.url());
        let response = client.auth.clone().login(login_request(email, PASSWORD)).await?;
        let tokens = response.into_inner().tokens.expect("who signs in has tokens");
        Ok((Client::new(&self.url(), &tokens.access_token), tokens))
    }

    /// Sets what an account may hold, as the operator.
    pub async fn set_quota(&self, account_id: &str, quota: sluice_proto::v1::Quota) {
        let request = SetQuotaRequest { account_id: account_id.to_owned(), quota: Some(quota) };
        self.client().admin.set_quota(request).await.expect("the operator may");
    }
}

impl Person {
    /// Makes an API key with these scopes; answers its secret and its id.
    pub async fn key(&self, scopes: &[Scope]) -> (String, String) {
        let request = CreateApiKeyRequest {
            name: "a key".into(),
            scopes: scopes.iter().map(|scope| i32::from(*scope)).collect(),
            ttl: None,
        };
        let made = self.client.accounts.clone().create_api_key(request).await;
        let made = made.expect("an account may have keys").into_inner();
        (made.secret, made.api_key.expect("there is a key").id)
    }
}

/// What signs in.
pub fn login_request(email: &str, password: &str) -> LoginRequest {
    LoginRequest {
        email: email.to_owned(),
        password: password.to_owned(),
        device_token: String::new(),
    }
}
