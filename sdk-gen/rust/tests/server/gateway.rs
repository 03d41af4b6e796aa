//! A gateway that knows calls and not only bytes: it can refuse a kind of call,
//! or keep what a server says on one to itself.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use axum::{body::Body, response::Response};
use futures::stream;
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, StreamBody};
use sluice_sdk::{
    Reason,
    v1::{
        Features, GetCapabilitiesRequest, GetCapabilitiesResponse,
        capabilities_service_client::CapabilitiesServiceClient,
        capabilities_service_server::{CapabilitiesService, CapabilitiesServiceServer},
    },
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    Code, Status, async_trait,
    service::Routes,
    transport::{Channel, Endpoint, Server},
};
use tonic_types::{ErrorDetails, StatusExt};
use tower::ServiceExt;

/// Passes everything on, but `BidiWriteUpload` as it was told to.
pub(crate) struct Gateway {
    address: SocketAddr,
    behind: Behind,
    serving: JoinHandle<()>,
}

/// What becomes of `BidiWriteUpload`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Bidi {
    /// It is passed on, but its answers wait for [`Gateway::speak`].
    Silent,
    /// It is refused, and the capabilities say so.
    NotOffered,
    /// It is refused, and the capabilities say that it is offered.
    Refused,
}

#[derive(Clone)]
struct Behind {
    server: Channel,
    bidi: Bidi,
    refusals: Arc<AtomicU64>,
    speaks: watch::Sender<bool>,
}

/// Tells the features that it was told to tell.
struct Told {
    server: Channel,
    bidi: bool,
}

impl Gateway {
    /// In front of a server.
    pub(crate) async fn to(server: &str, bidi: Bidi) -> Self {
        let server = Endpoint::from_shared(server.to_owned()).unwrap().connect_lazy();
        let told = Told { server: server.clone(), bidi: bidi != Bidi::NotOffered };
        let (refusals, speaks) = (Arc::default(), watch::Sender::new(false));
        let behind = Behind { server, bidi, refusals, speaks };
        let routes = Routes::new(CapabilitiesServiceServer::new(told)).into_axum_router();
        let app = routes.fallback({
            let behind = behind.clone();
            move |request| pass_on(behind.clone(), request)
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            let connections = TcpListenerStream::new(listener);
            let server = Server::builder().add_routes(Routes::from(app));
            server.serve_with_incoming(connections).await.unwrap();
        });
        Self { address, behind, serving }
    }

    /// Lets the answers through that were kept back, and all later ones.
    pub(crate) fn speak(&self) {
        self.behind.speaks.send_replace(true);
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many streams it has refused.
    pub(crate) fn refusals(&self) -> u64 {
        self.behind.refusals.load(Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(behind: Behind, request: Request<Body>) -> Response {
    let bidi = request.uri().path().ends_with("/BidiWriteUpload");
    if bidi && behind.bidi != Bidi::Silent {
        behind.refusals.fetch_add(1, Relaxed);
        let none = std::collections::HashMap::new();
        let details =
            ErrorDetails::with_error_info(Reason::NotSupported.as_str(), "sluice.v1", none);
        let status = Status::with_error_details(Code::Unimplemented, "not offered", details);
        return status.into_http();
    }
    let mut request = request.map(tonic::body::Body::new);
    let path = request.uri().path_and_query().cloned().unwrap();
    *request.uri_mut() = Uri::from(path);
    let response = match behind.server.oneshot(request).await {
        Ok(response) => response,
        Err(error) => {
            let body = Body::from(error.to_string());
            return Response::builder().status(StatusCode::BAD_GATEWAY).body(body).unwrap();
        }
    };
    if !bidi {
        return response.map(Body::new);
    }
    let speaks = behind.speaks.subscribe();
    response.map(|body| {
        let frames = stream::unfold((body, speaks), async |(mut body, mut speaks)| {
            let frame = body.frame().await?;
            speaks.wait_for(|speaks| *speaks).await.ok()?;
            Some((frame, (body, speaks)))
        });
        Body::new(StreamBody::new(frames))
    })
}

#[async_trait]
impl CapabilitiesService for Told {
    async fn get_capabilities(
        &self,
        request: tonic::Request<GetCapabilitiesRequest>,
    ) -> Result<tonic::Response<GetCapabilitiesResponse>, Status> {
        let mut client = CapabilitiesServiceClient::new(self.server.clone());
        let mut answer = client.get_capabilities(request.into_inner()).await?.into_inner();
        let capabilities = answer.capabilities.get_or_insert_default();
        let features = capabilities.features.take().unwrap();
        capabilities.features = Some(Features { bidi_write_upload: self.bidi, ..features });
        Ok(tonic::Response::new(answer))
    }
}
