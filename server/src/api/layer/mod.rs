//! What surrounds every request. The stack is put together in `app`.

pub mod access;
pub mod admission;
pub mod compression;
pub mod cors;
pub mod drain;
pub mod grpc_only;
pub mod log;
pub mod metrics;
pub mod origin;
pub mod pace;
pub mod plain_status;
pub mod rules;
pub mod whole_messages;

use http::{HeaderMap, header::CONTENT_TYPE};

/// Whether a request speaks gRPC, of either kind.
fn is_grpc(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    content_type.is_some_and(|value| value.starts_with("application/grpc"))
}
