//! All that is served, and what surrounds it.

use std::sync::Arc;

use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{from_fn, from_fn_with_state},
};
use tonic_web::GrpcWebLayer;
use tower::ServiceBuilder;

use super::StartError;
use crate::{
    api::{self, Health, layer},
    config::Config,
    edge::{
        Tls,
        body::{MessageMemory, Pace},
    },
    http::{
        key_set, metrics as metrics_page,
        probes::{self, Readiness},
        signed,
    },
    metrics::Metrics,
    service::Context,
};

/// TLS, if it is configured.
pub(super) fn tls(config: &Config, context: &Context) -> Result<Option<Tls>, StartError> {
    if !config.tls.is_on() {
        return Ok(None);
    }
    let tls = Tls::load(&config.tls)?;
    context.tasks.spawn(tls.clone().follow(config.tls.clone(), context.stopping.clone()));
    Ok(Some(tls))
}

/// All that is served, and what surrounds it; in each stack, what comes first
/// sees a request first and its answer last.
pub(super) fn router(
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
