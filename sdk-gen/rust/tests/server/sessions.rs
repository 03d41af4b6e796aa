//! Clients that somebody has signed in with, whose access tokens end all the
//! time.

use std::{
    any::Any,
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant, UNIX_EPOCH},
};

use futures::{StreamExt, TryStreamExt, future};
use sluice_sdk::{
    Client, Kind, MemoryStore, RateLimit, Reason, SessionStore, SessionTokens, SignedIn, Source,
    UploadOptions, v1::RegisterRequest,
};
use sluice_tests::{MIB, PASSWORD, Proxy, Server, eventually};

use crate::{content, read};

const LIMIT: Duration = Duration::from_secs(60);

/// Far beyond what a token is good for.
const LATER: Duration = Duration::from_secs(3_000_000_000);

/// A session in memory that tells how often new tokens came.
#[derive(Clone)]
struct Store {
    memory: MemoryStore,
    saved: Arc<AtomicU64>,
}

impl Store {
    fn new(tokens: SessionTokens) -> Self {
        Self { memory: MemoryStore::new(tokens), saved: Arc::default() }
    }

    fn saved(&self) -> u64 {
        self.saved.load(Relaxed)
    }
}

impl SessionStore for Store {
    fn load(&self) -> io::Result<Option<SessionTokens>> {
        self.memory.load()
    }

    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        self.memory.lock()
    }

    fn save(&self, tokens: Option<&SessionTokens>) -> io::Result<()> {
        self.saved.fetch_add(1, Relaxed);
        self.memory.save(tokens)
    }
}

fn anonymous(url: &str) -> Client {
    Client::builder(url).give_up_after(LIMIT).build().unwrap()
}

async fn register(server: &Server, name: &str) -> SignedIn {
    let request = RegisterRequest {
        email: format!("{name}@example.com"),
        password: PASSWORD.into(),
        ..Default::default()
    };
    anonymous(&server.url()).register(request).await.unwrap()
}

/// A server whose access tokens are good for so long.
async fn server(access_token_ttl: &str) -> Server {
    let setup = Server::with().open_to_all();
    setup.setting("SLUICE__ACCOUNTS__ACCESS_TOKEN_TTL", access_token_ttl).start().await
}

/// Waits until the server takes the access token no more.
async fn expired(server: &Server, tokens: &SessionTokens) {
    let client = Client::builder(server.url()).api_key(&tokens.access_token).build().unwrap();
    eventually("the access token ends", LIMIT, async || {
        let refused = client.account().await.err();
        refused.and_then(|error| error.reason()) == Some(Reason::TokenExpired)
    })
    .await;
}

async fn all_at_once(client: &Client) {
    let calls = (0..50).map(|_| client.usage());
    for usage in future::join_all(calls).await {
        usage.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_at_once_make_one_refresh_before_the_token_ends() {
    let server = server("10m").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    let store = Store::new(SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens.clone() });
    let client = anonymous(&server.url()).with_session(store.clone()).unwrap();
    all_at_once(&client).await;
    assert_eq!(store.saved(), 1);
    let newer = store.load().unwrap().unwrap();
    assert_ne!(newer.refresh_token, tokens.refresh_token);
    assert_eq!(newer.session_id, tokens.session_id);
    // The new one is good for long.
    all_at_once(&client).await;
    assert_eq!(store.saved(), 1);
    let sessions: Vec<_> = client.sessions().try_collect().await.unwrap();
    assert!(sessions.len() == 1 && sessions[0].current, "{sessions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_that_are_refused_make_one_refresh() {
    let server = server("5s").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    expired(&server, &tokens).await;
    // A clock that is wrong: this side believes that the token is good.
    let believed = SessionTokens { access_expire_time: UNIX_EPOCH + LATER, ..tokens };
    let store = Store::new(believed);
    let client = anonymous(&server.url()).with_session(store.clone()).unwrap();
    // Not even a client that never tries anything again notices.
    let once = client.with_give_up_after(Duration::ZERO);
    let began = Instant::now();
    all_at_once(&once).await;
    // On a machine that is very slow, the next one has ended meanwhile.
    let most = 1 + began.elapsed().as_secs() / 4;
    assert!((1..=most).contains(&store.saved()), "{} refreshes", store.saved());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_does_not_end_the_session() {
    let server = server("10m").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    let watching = Client::builder(server.url()).api_key(&tokens.access_token).build().unwrap();
    let refreshed = async || {
        let sessions: Vec<_> = watching.sessions().try_collect().await.unwrap();
        sessions[0].refresh_time != sessions[0].create_time
    };
    let proxy = Proxy::to(server.address()).await;
    let store = Store::new(SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens });
    let client = anonymous(&proxy.url()).with_session(store.clone()).unwrap();
    proxy.stall_replies();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.usage().await }
    });
    eventually("the server has refreshed", LIMIT, refreshed).await;
    assert_eq!(store.saved(), 0, "nobody has heard of it");
    proxy.cut();
    proxy.resume();
    call.await.unwrap().unwrap();
    assert_eq!(store.saved(), 1);

    // What came then is a refresh token that is good.
    let tokens = store.load().unwrap().unwrap();
    store.save(Some(&SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens })).unwrap();
    let next = anonymous(&server.url()).with_session(store.clone()).unwrap();
    next.usage().await.unwrap();
    assert_eq!(store.saved(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_does_not_take_the_answer_along() {
    let server = server("10m").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    let proxy = Proxy::to(server.address()).await;
    let store = Store::new(SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens });
    let client = anonymous(&proxy.url()).with_session(store.clone()).unwrap();
    let before = proxy.sent();
    proxy.stall_replies();
    {
        let mut call = std::pin::pin!(client.usage());
        let sent = eventually("the request goes out", LIMIT, async || proxy.sent() > before);
        tokio::select! {
            _ = &mut call => panic!("nothing was answered"),
            () = sent => {}
        }
    }
    proxy.resume();
    eventually("the tokens are kept", LIMIT, async || store.saved() == 1).await;
    client.usage().await.unwrap();
    assert_eq!(store.saved(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_outlives_access_tokens() {
    let server = server("1s").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    let store = Store::new(tokens);
    let client = anonymous(&server.url()).with_session(store.clone()).unwrap();
    let slow = client.with_rate_limit(RateLimit::bytes_per_second(2 * MIB));
    let bytes = content(8 * MIB);
    for source in
        [Source::bytes(bytes.clone()), Source::reader(std::io::Cursor::new(bytes.clone()))]
    {
        let before = store.saved();
        let options = UploadOptions::new().name(format!("file {before}")).part_size(MIB);
        let uploaded = slow.upload(source, options).await.unwrap();
        assert!(store.saved() > before, "no token has ended meanwhile");
        assert_eq!(read(&slow, &uploaded.file.id).await, bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_ended_is_told_as_such() {
    let server = server("10m").await;
    let SignedIn { tokens, account, .. } = register(&server, "ada").await;
    let stale = SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens.clone() };
    let (here, there) = (Store::new(tokens), Store::new(stale));
    let client = anonymous(&server.url()).with_session(here.clone()).unwrap();
    let other = anonymous(&server.url()).with_session(there.clone()).unwrap();
    assert_eq!(client.account().await.unwrap(), account);
    client.logout().await.unwrap();
    assert_eq!(here.load().unwrap(), None);
    assert_eq!(anonymous(&server.url()).with_session(here).unwrap_err().kind(), Kind::Server);
    for client in [client, other] {
        let error = client.account().await.unwrap_err();
        assert_eq!(error.reason(), Some(Reason::TokenRevoked));
        assert!(!error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn tokens_that_cannot_be_kept_are_not_used() {
    /// A disk that is full.
    struct Full(MemoryStore);

    impl SessionStore for Full {
        fn load(&self) -> io::Result<Option<SessionTokens>> {
            self.0.load()
        }

        fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
            self.0.lock()
        }

        fn save(&self, _: Option<&SessionTokens>) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    let server = server("10m").await;
    let SignedIn { tokens, .. } = register(&server, "ada").await;
    let stale = SessionTokens { access_expire_time: UNIX_EPOCH, ..tokens };
    let store = Full(MemoryStore::new(stale));
    let client = anonymous(&server.url()).with_session(store).unwrap();
    let error = client.usage().await.unwrap_err();
    assert_eq!(error.kind(), Kind::Local);
    assert!(error.message().contains("cannot keep the session"), "{error}");
    assert!(!error.is_transient(), "{error}");
}

#[tokio::test]
async fn an_account_is_looked_after() {
    let server = server("10m").await;
    let SignedIn { tokens, account, .. } = register(&server, "ada").await;
    let client = anonymous(&server.url()).with_session(MemoryStore::new(tokens)).unwrap();
    let renamed = client.rename_account("Ada").await.unwrap();
    assert_eq!((renamed.id, &*renamed.display_name), (account.id.clone(), "Ada"));
    let scopes = [sluice_sdk::Scope::FilesRead];
    let made = client.create_api_key("reader", scopes, Some(LIMIT)).await.unwrap();
    assert!(!format!("{made:?}").contains(&made.secret));
    let keys: Vec<_> = client.api_keys().try_collect().await.unwrap();
    assert_eq!(keys, std::slice::from_ref(&made.api_key));
    client.revoke_api_key(made.api_key.id).await.unwrap();
    assert_eq!(client.api_keys().count().await, 0);
    let wrong = client.change_password("not it", "twelve lazy lizards").await.unwrap_err();
    assert_eq!(wrong.reason(), Some(Reason::CredentialsInvalid));
    client.change_password(PASSWORD, "twelve lazy lizards").await.unwrap();
    assert_eq!(client.revoke_other_sessions().await.unwrap(), 0);

    // The operator's part.
    let operator = crate::client(&server);
    let accounts: Vec<_> = operator.accounts().try_collect().await.unwrap();
    assert_eq!(accounts.len(), 2, "the operator and ada: {accounts:?}");
    let quota = sluice_sdk::Quota { max_bytes: Some(7), ..Default::default() };
    operator.set_quota(&account.id, quota).await.unwrap();
    assert_eq!(client.usage().await.unwrap().quota.unwrap().max_bytes, Some(7));
    operator.suspend_account(&account.id).await.unwrap();
    eventually("it is suspended", LIMIT, async || {
        let refused = client.account().await.err();
        refused.and_then(|error| error.reason()) == Some(Reason::AccountSuspended)
    })
    .await;
    operator.reinstate_account(&account.id).await.unwrap();
    let invitation = operator.invite(None).await.unwrap();
    assert!(!format!("{invitation:?}").contains(&invitation.setup_token));

    // After it is reinstated, somebody signs in anew and deletes it all.
    let request = sluice_sdk::v1::LoginRequest {
        email: "Ada@example.com".into(),
        password: "twelve lazy lizards".into(),
        ..Default::default()
    };
    let again = anonymous(&server.url()).login(request).await.unwrap();
    let client = anonymous(&server.url()).with_session(MemoryStore::new(again.tokens)).unwrap();
    let refused = client.invite(None).await.unwrap_err();
    assert_eq!(refused.reason(), Some(Reason::ScopeMissing));
    client.delete_account("twelve lazy lizards").await.unwrap();
    client.account().await.unwrap_err();
}
