//! The composition root: configuration → adapters → services → sockets.

use std::{future::Future, io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{from_fn, from_fn_with_state},
};
use secrecy::ExposeSecret;
use sluice_domain::Account;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;

use crate::{
    adapters::{
        embedded::{
            DataFolder, DataFolderError, Database, DatabaseOptions, DiskBlobStore, OpenError,
            disk::OsDisk,
        },
        system_clock::SystemClock,
    },
    api::{self, Health, layer},
    config::{Config, ConfigError, Overrides},
    edge::{
        Edge, Tls,
        body::{MessageMemory, Pace},
        tls::TlsError,
    },
    http::{
        key_set, metrics as metrics_page,
        probes::{self, Readiness},
        signed,
    },
    logging,
    metrics::Metrics,
    ports::Clock,
    service::{
        Context,
        identity::{
            Identity,
            access::{self, Standings},
            administration,
            passwords::Passwords,
            throttle::SignInThrottle,
            tokens::Tokens,
        },
        rates::Rates,
        signing::Signing,
    },
    tasks::Tasks,
    worker,
};

/// Why the server cannot start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is not usable.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The log settings are not usable.
    #[error("configuration: {0}")]
    Log(String),
    /// The data folder is not usable.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
    /// The database is not usable.
    #[error(transparent)]
    Database(#[from] OpenError),
    /// The folder of the bytes is not usable.
    #[error("cannot prepare {0}: {1}")]
    Blobs(PathBuf, std::io::Error),
    /// The API key cannot be recorded.
    #[error("cannot record the API key: {0}")]
    ApiKey(sluice_domain::Error),
    /// The address is not free, or not this machine's.
    #[error("cannot listen on {0}: {1}; choose another address with --listen")]
    Listen(SocketAddr, std::io::Error),
    /// The certificates are not usable.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Metrics cannot be counted.
    #[error("cannot count metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
    /// The socket does not say where it listens.
    #[error("cannot tell the address: {0}")]
    Address(std::io::Error),
    /// Standard output is closed.
    #[error("cannot say that the server is ready: {0}")]
    Output(std::io::Error),
}

/// How long work that no request waits for may take at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Runs a server until SIGTERM or Ctrl-C, as `sluice serve` does. Prints one
/// line on standard output when it is ready.
pub async fn serve(overrides: Overrides, default_data_dir: PathBuf) -> Result<(), StartError> {
    let config = Config::load(&overrides, &default_data_dir)?;
    logging::start(&config.log).map_err(StartError::Log)?;
    let listen = config.server.listen;
    let failed = |error| StartError::Listen(listen, error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() && !config.tls.is_on() {
        tracing::warn!(%address, "reachable from other machines without TLS");
    }
    let scheme = if config.tls.is_on() { "https" } else { "http" };
    run(&config, listener, stop_signal(), |_| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "listening on {scheme}://{address}")
            .and_then(|()| output.flush())
            .map_err(StartError::Output)
    })
    .await
}

/// Runs a server on a socket until `shutdown` is done. Calls `ready` when
/// requests are answered.
pub async fn run(
    config: &Config,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Context) -> Result<(), StartError>,
) -> Result<(), StartError> {
    config.storage.check_engine()?;
    let folder = DataFolder::open(&config.storage.data_dir)?;
    let address = listener.local_addr().map_err(StartError::Address)?;
    let context = embedded(config, &folder, &config.public_url(address))?;
    let key = folder.api_key()?;
    let operator = access::install_operator_key(&context, key.expose_secret())
        .await
        .map_err(StartError::ApiKey)?;
    offer_registration(&context, &folder, &operator).await?;
    run_with(config, context, listener, shutdown, ready).await
}

/// As long as nobody has registered the operator's account, says how.
async fn offer_registration(
    context: &Context,
    folder: &DataFolder,
    operator: &Account,
) -> Result<(), StartError> {
    if operator.email.is_some() {
        return Ok(folder.remove_setup_token()?);
    }
    let (token, is_new) = folder.setup_token()?;
    administration::install_setup_token(context, token.expose_secret())
        .await
        .map_err(StartError::ApiKey)?;
    if is_new {
        // For a person, once; not for the log, which others may read.
        let mut output = std::io::stderr().lock();
        let _ = writeln!(
            output,
            "Nobody has registered yet. `sluice register` on this machine makes the operator's account; from \
             elsewhere it takes this token, once:\n\n  {}\n\nPrograms on this machine need none: they use \
             the API key in the data folder.",
            token.expose_secret()
        );
    }
    Ok(())
}

/// The same with adapters that are made already.
pub async fn run_with(
    config: &Config,
    context: Context,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
    ready: impl FnOnce(&Context) -> Result<(), StartError>,
) -> Result<(), StartError> {
    worker::start(&context, config.worker.sweep_interval, &context.stopping);
    let (health, readiness) = (Health::default(), Readiness::default());
    let edge = Edge {
        router: router(config, &context, &health, readiness.clone())?,
        tls: tls(config, &context)?,
        max_connections: config.server.max_connections,
        tasks: context.tasks.clone(),
        draining: CancellationToken::new(),
        cut: CancellationToken::new(),
    };
    let (draining, cut) = (edge.draining.clone(), edge.cut.clone());
    let served = tokio::spawn(edge.serve(listener));
    health.set_serving(true).await;
    readiness.set(true);
    ready(&context)?;

    shutdown.await;
    tracing::info!("stopping");
    readiness.set(false);
    health.set_serving(false).await;
    context.stopping.cancel();
    draining.cancel();
    let deadline = tokio::time::sleep(config.server.shutdown_grace);
    tokio::pin!(served);
    tokio::select! {
        _ = &mut served => {}
        () = deadline => {
            tracing::warn!("some requests did not end in time and are cut");
            cut.cancel();
            let _ = served.await;
        }
    }
    context.tasks.finish(LAST_WORK).await;
    tracing::info!("stopped");
    Ok(())
}

/// The embedded engine behind the ports.
pub fn embedded(
    config: &Config,
    folder: &DataFolder,
    public_url: &str,
) -> Result<Context, StartError> {
    let tasks = Tasks::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let database =
        Arc::new(Database::open(DatabaseOptions::new(folder.database()), tasks.clone())?);
    let root = folder.blobs();
    let (disk, reserve) = (OsDisk { direct_io: config.storage.direct_io }, config.storage.reserve);
    let blobs =
        DiskBlobStore::open(Arc::new(disk), database.clone(), &root, reserve, tasks.clone())
            .map_err(|error| StartError::Blobs(root, error))?;
    let rotation = config.signing.rotation;
    let signing = Signing::new(database.clone(), Arc::clone(&clock), rotation, public_url);
    let identity = Identity {
        accounts: database.clone(),
        credentials: database.clone(),
        tokens: Tokens::new(database.clone(), Arc::clone(&clock)),
        passwords: Passwords::new(tasks.clone()),
        throttle: SignInThrottle::new(config.accounts.sign_in_limits()),
        standings: Standings::default(),
        clock: Arc::clone(&clock),
        policy: config.accounts.policy(&config.quota),
    };
    Ok(Context {
        uploads: database.clone(),
        files: database.clone(),
        events: database.clone(),
        changes: database.clone(),
        identity: Arc::new(identity),
        rates: Arc::new(Rates::new(config.rates.into())),
        blobs: Arc::new(blobs),
        signing: Arc::new(signing),
        clock,
        limits: Arc::new(config.limits.limits()?),
        tasks,
        stopping: CancellationToken::new(),
    })
}

/// TLS, if it is configured.
fn tls(config: &Config, context: &Context) -> Result<Option<Tls>, StartError> {
    if !config.tls.is_on() {
        return Ok(None);
    }
    let tls = Tls::load(&config.tls)?;
    context.tasks.spawn(tls.clone().follow(config.tls.clone(), context.stopping.clone()));
    Ok(Some(tls))
}

/// All that is served, and what surrounds it; in each stack, what comes first
/// sees a request first and its answer last.
fn router(
    config: &Config,
    context: &Context,
    health: &Health,
    readiness: Readiness,
) -> Result<Router, StartError> {
    let limits = &config.limits;
    let admission = layer::admission::Admission::new(
        limits.max_requests,
        limits.max_streams,
        context.stopping.clone(),
    );
    let memory = MessageMemory::new(limits.message_memory);
    let pace = layer::pace::Limits {
        pace: Pace { idle: limits.stream_idle, min_rate: limits.stream_min_rate },
        memory: Arc::clone(&memory),
        tasks: context.tasks.clone(),
    };
    let origins = layer::origin::Origins {
        trusted_proxies: config.server.trusted_proxies.clone().into(),
        rates: Arc::clone(&context.rates),
    };
    let grpc = api::routes(context, health).into_axum_router().layer(
        ServiceBuilder::new()
            .layer(from_fn(layer::grpc_only::check))
            .layer(GrpcWebLayer::new())
            .map_request(|request: Request<tonic::body::Body>| request.map(Body::new))
            .layer(from_fn(layer::metrics::record))
            .layer(from_fn_with_state(origins.clone(), layer::origin::check))
            .layer(from_fn_with_state(admission.clone(), layer::admission::check))
            .layer(from_fn(layer::plain_status::check))
            .layer(from_fn_with_state(pace.clone(), layer::pace::guard))
            .layer(from_fn_with_state(context.clone(), layer::access::check))
            .layer(from_fn(layer::compression::check))
            .layer(from_fn(layer::whole_messages::check)),
    );
    let probes = probes::routes(context.clone(), readiness);
    let key_set = key_set::routes(context.clone())
        .layer(from_fn_with_state(origins.clone(), layer::origin::check));
    let signed = signed::routes(context.clone()).layer(
        ServiceBuilder::new()
            .layer(from_fn_with_state(origins, layer::origin::check))
            .layer(from_fn_with_state(admission, layer::admission::check))
            .layer(from_fn_with_state(pace, layer::pace::guard)),
    );
    let metrics = Metrics::start()?;
    let upkeep = metrics.clone().keep_up();
    let stopping = context.stopping.clone();
    context.tasks.spawn(async move { stopping.run_until_cancelled(upkeep).await });
    let sources = metrics_page::Sources { context: context.clone(), metrics, memory };
    Ok(grpc.merge(probes).merge(signed).merge(key_set).merge(metrics_page::routes(sources)).layer(
        ServiceBuilder::new()
            .layer(from_fn(layer::log::record))
            .layer(from_fn_with_state(context.tasks.clone(), layer::drain::check))
            .layer(layer::cors::layer(config.server.origins()?)),
    ))
}

/// SIGTERM or Ctrl-C.
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
