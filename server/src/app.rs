//! The composition root: configuration → adapters → services → sockets.

use std::{future::Future, io::Write, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use axum::middleware;
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{
    service::Routes,
    transport::{Server, server::TcpIncoming},
};

use crate::{
    adapters::{
        embedded::{
            DataFolder, DataFolderError, Database, DatabaseOptions, DiskBlobStore, OpenError,
            disk::OsDisk,
        },
        system_clock::SystemClock,
    },
    api::{self, Health, layer},
    config::{Config, ConfigError, Engine, Overrides},
    http::probes::{self, Readiness},
    logging,
    service::{Context, access},
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
    /// The sockets failed.
    #[error("the server failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Standard output is closed.
    #[error("cannot say that the server is ready: {0}")]
    Output(std::io::Error),
}

/// Receive window of one stream. Together with a message it bounds what a
/// stream holds in memory, and what a cut connection costs beside its part.
const STREAM_WINDOW: u32 = 1024 * 1024;

/// Receive window of one connection: four streams at full speed.
const CONNECTION_WINDOW: u32 = 4 * STREAM_WINDOW;

/// Largest HTTP/2 frame: fewer, larger frames cost less time for each byte.
const MAX_HTTP2_FRAME: u32 = 1024 * 1024;

const MAX_CONCURRENT_STREAMS: u32 = 128;
const MAX_HEADER_LIST: u32 = 16 * 1024;

/// Malformed streams of one connection after which it is closed.
const MAX_LOCAL_RESETS: usize = 1024;

const KEEPALIVE: Duration = Duration::from_secs(20);

/// Runs a server until SIGTERM or Ctrl-C, as `sluice serve` does. Prints one
/// line on standard output when it is ready.
pub async fn serve(overrides: Overrides, default_data_dir: PathBuf) -> Result<(), StartError> {
    let config = Config::load(&overrides, &default_data_dir)?;
    logging::start(&config.log).map_err(StartError::Log)?;
    let listen = config.server.listen;
    let failed = |error| StartError::Listen(listen, error);
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    if !address.ip().is_loopback() {
        tracing::warn!(%address, "reachable from other machines without TLS");
    }
    run(&config, listener, stop_signal(), |_| {
        let mut output = std::io::stdout().lock();
        writeln!(output, "listening on http://{address}")
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
    let Engine::Embedded = config.storage.engine;
    let folder = DataFolder::open(&config.storage.data_dir)?;
    let context = embedded(config, &folder)?;
    let key = folder.api_key()?;
    access::install_operator_key(&context, key.expose_secret())
        .await
        .map_err(StartError::ApiKey)?;

    let stopping = CancellationToken::new();
    worker::start(&context, config.worker.sweep_interval, &stopping);
    let (health, readiness) = (Health::default(), Readiness::default());
    let routes = routes(&context, &health, readiness.clone());
    let server = Server::builder()
        .accept_http1(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_frame_size(MAX_HTTP2_FRAME)
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS)
        .http2_max_header_list_size(MAX_HEADER_LIST)
        .http2_max_local_error_reset_streams(Some(MAX_LOCAL_RESETS))
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .add_routes(routes)
        .serve_with_incoming_shutdown(
            // Without it, small frames such as window updates wait for the
            // peer's delayed acknowledgement: 40 ms for each part.
            TcpIncoming::from(listener).with_nodelay(Some(true)),
            stopping.clone().cancelled_owned(),
        );
    let mut server = std::pin::pin!(server);
    health.set_serving(true).await;
    readiness.set(true);
    ready(&context)?;

    tokio::select! {
        ended = &mut server => ended?,
        () = shutdown => {
            tracing::info!("stopping");
            readiness.set(false);
            health.set_serving(false).await;
            stopping.cancel();
            // A silent connection must not hold the process for ever.
            match tokio::time::timeout(config.server.shutdown_grace, server).await {
                Ok(ended) => ended?,
                Err(_) => tracing::warn!("some requests did not end in time and were cut"),
            }
        }
    }
    stopping.cancel();
    context.tasks.finish(config.server.shutdown_grace).await;
    tracing::info!("stopped");
    Ok(())
}

/// The embedded engine behind the ports.
fn embedded(config: &Config, folder: &DataFolder) -> Result<Context, StartError> {
    let tasks = Tasks::new();
    let database =
        Arc::new(Database::open(DatabaseOptions::new(folder.database()), tasks.clone())?);
    let root = folder.blobs();
    let blobs = DiskBlobStore::open(Arc::new(OsDisk), &root, config.storage.reserve, tasks.clone())
        .map_err(|error| StartError::Blobs(root, error))?;
    Ok(Context {
        uploads: database.clone(),
        files: database.clone(),
        events: database.clone(),
        credentials: database,
        blobs: Arc::new(blobs),
        clock: Arc::new(SystemClock),
        limits: Arc::new(config.limits.limits()?),
        tasks,
    })
}

/// All that is served, and the layers around it from the inside out.
fn routes(context: &Context, health: &Health, readiness: Readiness) -> Routes {
    let grpc = api::routes(context, health)
        .into_axum_router()
        .layer(middleware::from_fn_with_state(context.clone(), layer::access::check))
        .layer(middleware::from_fn(layer::plain_status::check))
        .layer(middleware::from_fn(layer::grpc_only::check));
    let http = probes::routes(context.clone(), readiness);
    Routes::from(grpc.merge(http).layer(middleware::from_fn(layer::log::record)))
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
