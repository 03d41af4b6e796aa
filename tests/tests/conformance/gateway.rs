//! A way to the server on which the first answer of one RPC is lost.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use axum::{Router, body::Body, response::Response};
use http::{Request, StatusCode, Uri};
use http_body_util::BodyExt;
use sluice_tests::Proxy;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{
    service::Routes,
    transport::{Channel, Endpoint, Server},
};
use tower::ServiceExt;

/// Passes calls on and knows their names.
pub(crate) struct Gateway {
    address: SocketAddr,
    lost: Arc<AtomicBool>,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// In front of a server. Once it has the answer of `rpc`, the connections of
    /// `network` are cut instead.
    pub(crate) async fn to(server: &str, rpc: &str, network: Arc<Proxy>) -> Self {
        let server = Endpoint::from_shared(server.to_owned()).expect("a URL").connect_lazy();
        let lost = Arc::new(AtomicBool::new(false));
        let (rpc, already) = (format!("/{rpc}"), Arc::clone(&lost));
        let app = Router::new().fallback(move |request: Request<Body>| {
            let loses = request.uri().path().ends_with(&rpc);
            let (server, network, already) = (server.clone(), network.clone(), already.clone());
            async move {
                let answer = pass_on(server, request).await;
                if !loses || already.load(Relaxed) {
                    return answer;
                }
                // All of it has arrived here, so the server is done.
                let (parts, body) = answer.into_parts();
                let _ = body.collect().await;
                already.store(true, Relaxed);
                network.cut();
                Response::from_parts(parts, Body::empty())
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let serving = tokio::spawn(async move {
            let server = Server::builder().add_routes(Routes::from(app));
            let connections = TcpListenerStream::new(listener);
            server.serve_with_incoming(connections).await.expect("it serves");
        });
        Self { address, lost, serving }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether the answer has been lost.
    pub(crate) fn has_lost(&self) -> bool {
        self.lost.load(Relaxed)
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn pass_on(server: Channel, request: Request<Body>) -> Response {
    let mut request = request.map(tonic::body::Body::new);
    let path = request.uri().path_and_query().cloned().expect("requests have a path");
    *request.uri_mut() = Uri::from(path);
    match server.oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            let answer = Response::builder().status(StatusCode::BAD_GATEWAY);
            answer.body(Body::from(error.to_string())).expect("a valid answer")
        }
    }
}
