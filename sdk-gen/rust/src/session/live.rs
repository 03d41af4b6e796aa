//! A session in use: the access token of the moment, and the turn to get the
//! next one.

use std::{
    fmt, io, panic,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use http::HeaderValue;
use sluice_domain::Reason;
use sluice_proto::v1::{
    LogoutRequest, RefreshSessionRequest, auth_service_client::AuthServiceClient,
};
use tokio::{
    sync::{Mutex as Turn, OwnedMutexGuard},
    time::{self, Instant},
};
use tonic::{Code, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{SessionStore, SessionTokens};
use crate::{
    Connection, Error, Result,
    blocking::blocking,
    connection::bearer,
    error::{ERROR_DOMAIN, NotKept},
};

/// A token is refreshed so long before its end, but never earlier than after
/// four fifths of what is left of it.
const EARLY: Duration = Duration::from_secs(10);

/// A refresh has its answer by then. Less than half of the 15 seconds in which
/// servers take the same refresh token again, so that a lost answer leaves time
/// for another try.
const REFRESH_TIMEOUT: Duration = Duration::from_secs(6);

/// After a refresh that failed, a token that is still good is used for so long.
const PAUSE: Duration = Duration::from_secs(2);

/// A session whose tokens follow each other.
pub(crate) struct LiveSession {
    /// Sends no credential.
    auth: AuthServiceClient<Connection>,
    store: Arc<dyn SessionStore>,
    current: Mutex<Current>,
    /// Held by whoever refreshes: many calls at once make one refresh.
    turn: Arc<Turn<()>>,
}

struct Current {
    tokens: SessionTokens,
    authorization: HeaderValue,
    /// When it is time to refresh; none if this machine's clock cannot tell.
    due: Option<Instant>,
    /// When the access token ends, by this machine's clock or the server's word.
    end: Option<Instant>,
    /// What the server said of the refresh token when it refused it for good. It
    /// is not sent again.
    refused: Option<Status>,
}

/// What goes with a call.
pub(crate) struct Pass {
    pub(crate) authorization: HeaderValue,
    /// Whether it was made for this very call.
    fresh: bool,
}

impl LiveSession {
    /// The session that is in the store.
    pub(crate) fn open(auth: Connection, store: Arc<dyn SessionStore>) -> Result<Self> {
        let tokens = store.load().map_err(|error| not_kept(&error))?;
        let tokens = tokens.ok_or_else(|| Error::from(ended()))?;
        Ok(Self {
            auth: AuthServiceClient::new(auth),
            store,
            current: Mutex::new(Current::loaded(tokens)?),
            turn: Arc::default(),
        })
    }

    /// A credential that is good, after a refresh if need be.
    pub(crate) async fn pass(self: &Arc<Self>) -> Result<Pass, Status> {
        if let Some(pass) = self.good() {
            return Ok(pass);
        }
        let turn = Arc::clone(&self.turn).lock_owned().await;
        // Somebody else has had the turn meanwhile.
        if let Some(pass) = self.good() {
            return Ok(pass);
        }
        match self.in_own_task(turn).await {
            Ok(fresh) => Ok(Pass { fresh, ..self.current().pass() }),
            Err(status) => {
                let mut current = self.current();
                let now = Instant::now();
                if current.end.is_some_and(|end| end <= now) {
                    return Err(status);
                }
                current.due = Some(now + PAUSE);
                Ok(current.pass())
            }
        }
    }

    /// The server says that the token of this call has expired. Answers whether
    /// another one may help.
    pub(crate) fn expired(&self, pass: &Pass) -> bool {
        let mut current = self.current();
        if current.authorization == pass.authorization {
            let now = Instant::now();
            (current.due, current.end) = (Some(now), Some(now));
        }
        // Who was refused with a token made for the call gets no other.
        !pass.fresh
    }

    /// Ends the session, on the server and here.
    pub(crate) async fn end(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let (_lock, kept) = self.locked().await?;
        let Some(tokens) = kept else { return Ok(()) };
        let request = LogoutRequest { refresh_token: tokens.refresh_token };
        let mut auth = self.auth.clone();
        in_time(auth.logout(request)).await?;
        Ok(self.keep(None).await?)
    }

    /// Renews. A caller that gives up must not take the answer along, because it
    /// is the only one.
    async fn in_own_task(self: &Arc<Self>, turn: OwnedMutexGuard<()>) -> Result<bool, Status> {
        let this = Arc::clone(self);
        let task = tokio::spawn(async move {
            let renewed = this.renew().await;
            drop(turn);
            renewed
        });
        match task.await {
            Ok(renewed) => renewed,
            Err(error) if error.is_panic() => panic::resume_unwind(error.into_panic()),
            Err(_) => Err(Status::cancelled("the program ends")),
        }
    }

    /// Gets other tokens; answers whether the server has made them just now.
    async fn renew(&self) -> Result<bool, Status> {
        let (_lock, kept) = self.locked().await?;
        let kept = kept.ok_or_else(ended)?;
        let mine = self.current().tokens.refresh_token.clone();
        if kept.refresh_token != mine {
            // Another process was here before.
            *self.current() = Current::loaded(kept.clone()).map_err(unusable)?;
            if self.good().is_some() {
                return Ok(false);
            }
        } else if let Some(refused) = &self.current().refused {
            return Err(refused.clone());
        }
        let request = RefreshSessionRequest { refresh_token: kept.refresh_token };
        let mut auth = self.auth.clone();
        let answer = in_time(auth.refresh_session(request)).await;
        let answer = answer.inspect_err(|status| self.refused(status))?;
        let tokens = answer.into_inner().tokens.unwrap_or_default();
        let tokens = SessionTokens::try_from(tokens).map_err(unusable)?;
        let next = Current::received(tokens.clone()).map_err(unusable)?;
        // Before anybody uses them.
        self.keep(Some(tokens)).await?;
        tracing::debug!("the session was refreshed");
        *self.current() = next;
        Ok(true)
    }

    /// Whether this is the end of the session.
    fn refused(&self, status: &Status) {
        if status.code() == Code::Unauthenticated || status.code() == Code::PermissionDenied {
            self.current().refused = Some(status.clone());
        }
    }

    /// Keeps others from the session, and looks at what they have left.
    async fn locked(
        &self,
    ) -> Result<(Box<dyn std::any::Any + Send>, Option<SessionTokens>), Status> {
        let store = Arc::clone(&self.store);
        let work = blocking(move || {
            let lock = store.lock()?;
            let kept = store.load()?;
            Ok((lock, kept))
        });
        work.await.map_err(|error: io::Error| not_kept(&error))
    }

    async fn keep(&self, tokens: Option<SessionTokens>) -> Result<(), Status> {
        let store = Arc::clone(&self.store);
        let kept = blocking(move || store.save(tokens.as_ref())).await;
        kept.map_err(|error| not_kept(&error))
    }

    fn good(&self) -> Option<Pass> {
        let current = self.current();
        let due = current.due.is_some_and(|due| due <= Instant::now());
        (!due).then(|| current.pass())
    }

    fn current(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Current {
    /// Tokens that were kept, maybe for long.
    fn loaded(tokens: SessionTokens) -> Result<Self> {
        let now = Instant::now();
        let left = left_of(&tokens).unwrap_or_default();
        Self::new(tokens, Some((now + left - early(left), now + left)))
    }

    /// Tokens that the server has made just now. If they have expired, this
    /// machine's clock is wrong; then the server tells when to refresh.
    fn received(tokens: SessionTokens) -> Result<Self> {
        let now = Instant::now();
        let times = left_of(&tokens).map(|left| (now + left - early(left), now + left));
        Self::new(tokens, times)
    }

    fn new(tokens: SessionTokens, times: Option<(Instant, Instant)>) -> Result<Self> {
        let authorization = bearer(&tokens.access_token)?;
        let (due, end) = times.unzip();
        Ok(Self { tokens, authorization, due, end, refused: None })
    }

    fn pass(&self) -> Pass {
        Pass { authorization: self.authorization.clone(), fresh: false }
    }
}

/// How long the access token is good for; none if it has expired.
#[expect(clippy::disallowed_methods, reason = "the end of a token is a time of the calendar")]
fn left_of(tokens: &SessionTokens) -> Option<Duration> {
    tokens.access_expire_time.duration_since(SystemTime::now()).ok()
}

fn early(left: Duration) -> Duration {
    EARLY.min(left / 5)
}

/// The answer to a call, or that there is none.
async fn in_time<A>(
    call: impl Future<Output = Result<Response<A>, Status>>,
) -> Result<Response<A>, Status> {
    // Boxed: the futures of generated calls are large.
    match time::timeout(REFRESH_TIMEOUT, Box::pin(call)).await {
        Ok(answer) => answer,
        Err(_) => Err(Status::deadline_exceeded("the server has not answered in time")),
    }
}

/// Somebody has signed out.
fn ended() -> Status {
    let none = std::collections::HashMap::new();
    let details = ErrorDetails::with_error_info(Reason::TokenRevoked.as_str(), ERROR_DOMAIN, none);
    let message = "this session has ended; sign in again";
    Status::with_error_details(Code::Unauthenticated, message, details)
}

/// What came in a refresh is of no use.
fn unusable(error: Error) -> Status {
    Status::data_loss(error.message())
}

/// The store does not do its work. No server is to blame, and trying again at
/// once does not help.
fn not_kept(error: &io::Error) -> Status {
    let mut status = Status::failed_precondition("");
    status.set_source(Arc::new(NotKept(error.to_string())));
    status
}

impl fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LiveSession").field(&self.current().tokens).finish()
    }
}
