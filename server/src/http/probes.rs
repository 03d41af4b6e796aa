//! Probes for whoever runs the server: alive, and ready for work.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::StatusCode, routing::get};

use crate::service::Context;

/// Whether new work is welcome.
#[derive(Debug, Clone, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// Says whether new work is welcome.
    pub fn set(&self, ready: bool) {
        self.0.store(ready, Ordering::Relaxed);
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// `/livez` answers as long as the process runs and looks at nothing else;
/// `/readyz` answers 503 while the server stops or its storage is not well.
pub fn routes(context: Context, readiness: Readiness) -> Router {
    Router::new()
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state((context, readiness))
}

async fn ready(State((context, readiness)): State<(Context, Readiness)>) -> (StatusCode, String) {
    if !readiness.get() {
        return (StatusCode::SERVICE_UNAVAILABLE, "not ready: the server is stopping\n".into());
    }
    let healthy = async {
        context.blobs.check_health().await?;
        context.uploads.check_health().await
    };
    match healthy.await {
        Ok(()) => (StatusCode::OK, "ready\n".into()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}
