//! The gRPC face: translates between the contract and the services.
//!
//! Only this module knows tonic. Each service has a file, each layer has a
//! file, and the whole stack is put together in `app`.

mod account_service;
mod admin_service;
mod auth_service;
mod bidi_write;
mod capabilities_service;
mod convert;
mod event_service;
mod file_service;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod health;
pub mod layer;
mod page;
mod page_token;
mod resume_token;
mod status;
mod upload_service;

use sluice_domain::{Error, MAX_FRAME_SIZE, Reason};
use sluice_proto::{FILE_DESCRIPTOR_SET, v1};
use tonic::{Request, codec::CompressionEncoding, service::Routes};

use crate::service::{Caller, Context, identity::audit::Origin};
pub use health::Health;

/// What a message may have beside a frame's content, in bytes.
const MESSAGE_OVERHEAD: u64 = 64 * 1024;

/// Largest message of the RPCs that carry frames, in bytes.
#[expect(clippy::cast_possible_truncation, reason = "a few MiB")]
const MAX_LARGE_MESSAGE: usize = (MAX_FRAME_SIZE + MESSAGE_OVERHEAD) as usize;

/// Largest message of the RPCs that carry no frames, in bytes.
const MAX_SMALL_MESSAGE: usize = 256 * 1024;

/// All gRPC services: the contract's, health and reflection.
pub fn routes(context: &Context, health: &Health) -> Routes {
    let uploads = upload_service::Uploads::new(context.clone());
    let files = file_service::Files::new(context.clone());
    let events = event_service::Events::new(context.clone());
    let capabilities = capabilities_service::Capabilities::new(context.clone());
    let auth = auth_service::Auth::new(context.clone());
    let accounts = account_service::Accounts::new(context.clone());
    let admin = admin_service::Admin::new(context.clone());
    let mut routes = Routes::builder();
    // Which answers are compressed is decided by `layer::compression`.
    macro_rules! service {
        ($server:expr, $max_message:expr) => {
            $server
                .max_decoding_message_size($max_message)
                .accept_compressed(CompressionEncoding::Gzip)
                .accept_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Zstd)
                .send_compressed(CompressionEncoding::Gzip)
        };
    }
    routes
        .add_service(service!(
            v1::upload_service_server::UploadServiceServer::new(uploads),
            MAX_LARGE_MESSAGE
        ))
        .add_service(service!(
            v1::file_service_server::FileServiceServer::new(files),
            MAX_SMALL_MESSAGE
        ))
        .add_service(service!(
            v1::event_service_server::EventServiceServer::new(events),
            MAX_SMALL_MESSAGE
        ))
        .add_service(service!(
            v1::capabilities_service_server::CapabilitiesServiceServer::new(capabilities),
            MAX_SMALL_MESSAGE
        ))
        .add_service(service!(
            v1::auth_service_server::AuthServiceServer::new(auth),
            MAX_SMALL_MESSAGE
        ))
        .add_service(service!(
            v1::account_service_server::AccountServiceServer::new(accounts),
            MAX_SMALL_MESSAGE
        ))
        .add_service(service!(
            v1::admin_service_server::AdminServiceServer::new(admin),
            MAX_SMALL_MESSAGE
        ))
        .add_service(health.service());
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    if let (Ok(v1), Ok(v1alpha)) = (reflection().build_v1(), reflection().build_v1alpha()) {
        routes.add_service(v1).add_service(v1alpha);
    }
    routes.routes()
}

/// Who is calling; put there by the access layer.
fn caller<T>(request: &Request<T>) -> Result<Caller, Error> {
    request.extensions().get::<Caller>().copied().ok_or_else(|| {
        Error::new(Reason::CredentialsInvalid, "this request came past the access layer")
    })
}

/// Where a call comes from; put there by the origin layer.
fn origin<T>(request: &Request<T>) -> Origin {
    request.extensions().get().cloned().unwrap_or_default()
}
