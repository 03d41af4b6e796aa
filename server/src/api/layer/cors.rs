//! Web pages of other origins.

use std::time::Duration;

use http::{
    HeaderName, HeaderValue, Method,
    header::{
        ACCEPT_RANGES, AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LENGTH,
        CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER,
    },
};
use tower_http::cors::{AllowOrigin, CorsLayer};

/// How long a browser may remember what is allowed. Chromium takes no more than
/// two hours.
const MAX_AGE: Duration = Duration::from_secs(2 * 60 * 60);

/// Lets pages of these origins, and of no others, call everything and read the
/// statuses.
pub fn layer(origins: Vec<HeaderValue>) -> CorsLayer {
    let own = HeaderName::from_static;
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT])
        .allow_headers([
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_MATCH,
            IF_NONE_MATCH,
            IF_RANGE,
            RANGE,
            own("grpc-timeout"),
            own("x-grpc-web"),
            own("x-request-id"),
            own("x-user-agent"),
        ])
        .expose_headers([
            ACCEPT_RANGES,
            CONTENT_DISPOSITION,
            CONTENT_ENCODING,
            CONTENT_LENGTH,
            CONTENT_RANGE,
            ETAG,
            RETRY_AFTER,
            own("grpc-encoding"),
            own("grpc-message"),
            own("grpc-status"),
            own("grpc-status-details-bin"),
            own("x-request-id"),
        ])
        .max_age(MAX_AGE)
}
