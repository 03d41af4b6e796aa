//! The client: where the server is, who asks, and how long to keep trying.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sluice_proto::v1::{
    Capabilities, GetCapabilitiesRequest, account_service_client::AccountServiceClient,
    admin_service_client::AdminServiceClient, auth_service_client::AuthServiceClient,
    capabilities_service_client::CapabilitiesServiceClient,
    event_service_client::EventServiceClient, file_service_client::FileServiceClient,
    upload_service_client::UploadServiceClient,
};
use tokio::time;
use tonic::{Response, Status};

use crate::{
    Connection, Error, RateLimit, Result, SessionStore,
    connection::{Credential, bearer},
    error::Kind,
    retry::{Attempts, Patience, RetryBudget, until_done},
    session::LiveSession,
    tls::Tls,
};

/// An RPC with one answer has it by then, or is tried again.
const CALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Uploads, finds, downloads and deletes files on one server. Cheap to clone;
/// clones share their connections.
#[derive(Debug, Clone)]
pub struct Client {
    /// At least one.
    connections: Arc<[Connection]>,
    next: Arc<AtomicUsize>,
    tls: Arc<Tls>,
    patience: Patience,
    retries: Arc<RetryBudget>,
    rate_limit: Option<RateLimit>,
}

/// Prepares a [`Client`].
#[derive(Debug, Clone)]
#[must_use]
pub struct ClientBuilder {
    endpoint: String,
    api_key: Option<String>,
    tls: Tls,
    connections: usize,
    patience: Patience,
    rate_limit: Option<RateLimit>,
}

impl Client {
    /// A client of the server at `endpoint`, such as `http://127.0.0.1:7070`.
    pub fn builder(endpoint: impl Into<String>) -> ClientBuilder {
        ClientBuilder {
            endpoint: endpoint.into(),
            api_key: None,
            tls: Tls::default(),
            connections: 4,
            patience: Duration::from_secs(120).into(),
            rate_limit: None,
        }
    }

    /// The same client that gives up after another time without progress.
    #[must_use]
    pub fn with_give_up_after(&self, give_up_after: Duration) -> Self {
        let patience = Patience { give_up_after, ..self.patience };
        Self { patience, ..self.clone() }
    }

    /// The same client whose uploads, downloads and reads keep to a limit
    /// together, and to that of everybody who shares it.
    #[must_use]
    pub fn with_rate_limit(&self, limit: RateLimit) -> Self {
        let limited = |connection: &Connection| connection.clone().limited(Some(limit.clone()));
        let connections = self.connections.iter().map(limited).collect();
        Self { connections, rate_limit: Some(limit), ..self.clone() }
    }

    /// The same client with the session in the store instead of another
    /// credential. Access tokens are refreshed by themselves.
    pub fn with_session(&self, store: impl SessionStore) -> Result<Self> {
        let anonymous = self.connections[0].with_credential(Credential::Nothing);
        let session = Arc::new(LiveSession::open(anonymous, Arc::new(store))?);
        let credential = Credential::Session(session);
        let signed_in = |own: &Connection| own.with_credential(credential.clone());
        let connections = self.connections.iter().map(signed_in).collect();
        Ok(Self { connections, ..self.clone() })
    }

    /// How often the server has asked this client and its clones to wait: a
    /// sign that they have too much under way at a time.
    pub fn slowdowns(&self) -> u64 {
        self.retries.slowdowns()
    }

    /// What the server offers and where its limits are. Needs no API key, so it
    /// also tells whether the server can be reached.
    pub async fn capabilities(&self) -> Result<Capabilities> {
        let request = GetCapabilitiesRequest {};
        let call =
            move |request| async move { self.raw_capabilities().get_capabilities(request).await };
        let answer = self.unary(request, call).await?;
        Ok(answer.capabilities.unwrap_or_default())
    }

    /// The generated client of `UploadService`, without retries and checks.
    pub fn raw_uploads(&self) -> UploadServiceClient<Connection> {
        UploadServiceClient::new(self.connections[0].clone())
    }

    /// The generated client of `FileService`, without retries and checks.
    pub fn raw_files(&self) -> FileServiceClient<Connection> {
        FileServiceClient::new(self.connections[0].clone())
    }

    /// The generated client of `EventService`, without retries and checks.
    pub fn raw_events(&self) -> EventServiceClient<Connection> {
        EventServiceClient::new(self.connections[0].clone())
    }

    /// The generated client of `AuthService`, without retries and checks, and
    /// without a credential.
    pub fn raw_auth(&self) -> AuthServiceClient<Connection> {
        AuthServiceClient::new(self.connections[0].with_credential(Credential::Nothing))
    }

    /// The generated client of `AccountService`, without retries and checks.
    pub fn raw_accounts(&self) -> AccountServiceClient<Connection> {
        AccountServiceClient::new(self.connections[0].clone())
    }

    /// The generated client of `AdminService`, without retries and checks.
    pub fn raw_admin(&self) -> AdminServiceClient<Connection> {
        AdminServiceClient::new(self.connections[0].clone())
    }

    /// The generated client of `CapabilitiesService`, without retries and
    /// checks.
    pub fn raw_capabilities(&self) -> CapabilitiesServiceClient<Connection> {
        CapabilitiesServiceClient::new(self.connections[0].clone())
    }

    pub(crate) fn files_on_any_connection(&self) -> FileServiceClient<Connection> {
        FileServiceClient::new(self.any_connection())
    }

    /// The connections in turn, so that many small calls use all of them.
    pub(crate) fn any_connection(&self) -> Connection {
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        self.connections[turn % self.connections.len()].clone()
    }

    /// A connection for each of `count` parallel streams. Frames go to
    /// `data_endpoint` if there is one, and with the token if there is one.
    pub(crate) fn data_connections(
        &self,
        count: usize,
        data_endpoint: &str,
        token: &str,
    ) -> Result<Vec<Connection>> {
        if data_endpoint.is_empty() {
            let own = self.connections.iter().cycle().take(count);
            return own.map(|connection| connection.with_token(token)).collect();
        }
        if token.is_empty() {
            return Err(Error::usage(
                "the server sends data elsewhere but gave no token for it; its operator must mend that",
            ));
        }
        let credential = Credential::Fixed(bearer(token)?);
        let lanes = 0..count.min(self.connections.len());
        let lanes: Vec<_> = lanes
            .map(|lane| {
                let own = Connection::new(data_endpoint, &self.tls, credential.clone())?;
                Ok(own.numbered(lane + 1).limited(self.rate_limit.clone()))
            })
            .collect::<Result<_>>()?;
        Ok(lanes.into_iter().cycle().take(count).collect())
    }

    /// The session that calls are made in, if there is one.
    pub(crate) fn session(&self) -> Option<&Arc<LiveSession>> {
        self.connections[0].session()
    }

    pub(crate) fn attempts(&self) -> Attempts {
        Attempts::new(self.patience, &self.retries)
    }

    pub(crate) fn rate_limit(&self) -> Option<&RateLimit> {
        self.rate_limit.as_ref()
    }

    /// Calls an RPC with one answer until it answers or refuses.
    pub(crate) async fn unary<Q, A, F, Fut>(&self, request: Q, call: F) -> Result<A>
    where
        Q: Clone,
        F: Fn(Q) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        // Boxed: the futures of generated calls are large.
        until_done(self.attempts(), || Box::pin(answer(call(request.clone())))).await
    }

    /// The same for an RPC that must not be made twice: a call is only repeated
    /// if the server has refused it, never if it is unknown what became of it.
    pub(crate) async fn unary_once<Q, A, F, Fut>(&self, request: Q, call: F) -> Result<A>
    where
        Q: Clone,
        F: Fn(Q) -> Fut,
        Fut: Future<Output = Result<Response<A>, Status>>,
    {
        let mut attempts = self.attempts();
        loop {
            match Box::pin(answer(call(request.clone()))).await {
                Err(error) if error.kind() == Kind::Server => attempts.wait_after(error).await?,
                done => return done,
            }
        }
    }
}

/// The answer of one attempt.
pub(crate) async fn answer<A>(
    call: impl Future<Output = Result<Response<A>, Status>>,
) -> Result<A> {
    match time::timeout(CALL_TIMEOUT, call).await {
        Ok(answer) => Ok(answer?.into_inner()),
        Err(_) => Err(Error::timed_out(CALL_TIMEOUT)),
    }
}

impl ClientBuilder {
    /// The API key that goes with every call.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.api_key = Some(key.into());
        self
    }

    /// Trusts the server if one of these authorities has signed its certificate,
    /// and no others; PEM. Those that the system trusts, unless set.
    pub fn ca_certificates(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls.authorities = Some(pem.into());
        self
    }

    /// The certificate, with its chain, and the key to show to a server that
    /// asks for one; PEM.
    pub fn client_certificate(
        mut self,
        certificate: impl Into<Vec<u8>>,
        key: impl Into<Vec<u8>>,
    ) -> Self {
        self.tls.identity = Some((certificate.into(), key.into()));
        self
    }

    /// Connections to share among parallel streams; 4 unless set. One slow
    /// stream holds up the others on its connection.
    pub fn connections(mut self, count: usize) -> Self {
        self.connections = count.max(1);
        self
    }

    /// How long to keep trying without any progress; 2 minutes unless set.
    pub fn give_up_after(mut self, duration: Duration) -> Self {
        self.patience.give_up_after = duration;
        self
    }

    /// How often to try again without any progress, within that time; any number
    /// of times unless set.
    pub fn retries(mut self, count: u32) -> Self {
        self.patience.retries = count;
        self
    }

    /// Keeps uploads, downloads and reads to a limit; none unless set.
    pub fn rate_limit(mut self, limit: RateLimit) -> Self {
        self.rate_limit = Some(limit);
        self
    }

    /// The client. Connects when it is first used.
    pub fn build(self) -> Result<Client> {
        let key = self.api_key.as_deref().map(str::trim).map(bearer).transpose()?;
        let credential = key.map_or(Credential::Nothing, Credential::Fixed);
        self.tls.check()?;
        let connections = (0..self.connections)
            .map(|number| {
                let own = Connection::new(&self.endpoint, &self.tls, credential.clone())?;
                Ok(own.numbered(number + 1).limited(self.rate_limit.clone()))
            })
            .collect::<Result<_>>()?;
        Ok(Client {
            connections,
            next: Arc::default(),
            tls: Arc::new(self.tls),
            patience: self.patience,
            retries: Arc::default(),
            rate_limit: self.rate_limit,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DownloadOptions, Source, UploadOptions, WatchQuery};

    #[tokio::test]
    async fn calls_can_be_spawned() {
        fn sendable<T: Send>(call: T) -> T {
            call
        }
        let client = Client::builder("http://127.0.0.1:1").build().unwrap();
        drop(sendable(client.upload(Source::path("a"), UploadOptions::new())));
        drop(sendable(client.resume("a", Source::path("a"), UploadOptions::new())));
        drop(sendable(client.download("a", "a", DownloadOptions::new())));
        drop(sendable(client.delete("a")));
        drop(sendable(client.find("a")));
        drop(sendable(client.watch(WatchQuery::everything()).event()));
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_told_as_such() {
        let builder = Client::builder("http://127.0.0.1:1").give_up_after(Duration::ZERO);
        let error = builder.build().unwrap().capabilities().await.unwrap_err();
        assert!(error.is_transient());
        assert!(error.message().contains("refused"), "{error}");
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for endpoint in ["", "127.0.0.1:7070", "ftp://host", "http://"] {
            assert!(Client::builder(endpoint).build().is_err(), "{endpoint:?} was accepted");
        }
        assert!(Client::builder("http://host").api_key("a\nb").build().is_err());
        let secure = || Client::builder("https://host");
        for (builder, fault) in [
            (secure().ca_certificates("no PEM"), "authority's certificate"),
            (secure().client_certificate("no PEM", "no PEM"), "client certificate"),
            (secure().client_certificate("-----BEGIN CERTIFICATE-----", "x"), "client's key"),
        ] {
            let error = builder.build().unwrap_err();
            assert!(error.message().contains(fault), "{error}");
        }
    }
}
