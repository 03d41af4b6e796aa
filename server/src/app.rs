//! The composition root: configuration → adapters → services → sockets.

pub mod bootstrap;
mod engine;
mod error;
mod operator;
mod router;

use std::{io::Write, path::PathBuf, time::Duration};

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::router::{router, tls};
pub use self::{
    engine::{aws, embedded},
    error::StartError,
};
use crate::{
    adapters::{aws::Clients, embedded::DataFolder},
    api::Health,
    config::{Config, Engine, Overrides},
    edge::Edge,
    http::probes::Readiness,
    logging,
    service::Context,
    worker,
};

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
    let address = listener.local_addr().map_err(StartError::Address)?;
    let public_url = config.public_url(address);
    match config.storage.engine {
        Engine::Embedded => {
            let folder = DataFolder::open(&config.storage.data_dir)?;
            let context = embedded(config, &folder, &public_url)?;
            operator::let_in(&context, &folder).await?;
            run_with(config, context, listener, shutdown, ready).await
        }
        Engine::Aws => {
            bootstrap::check(config).await?;
            let context = aws(config, Clients::new(&config.aws).await, &public_url)?;
            run_with(config, context, listener, shutdown, ready).await
        }
    }
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
