//! `EventService`.

use futures::stream::Empty;
use sluice_proto::v1::{
    WatchEventsRequest, WatchEventsResponse, event_service_server::EventService,
};
use tonic::{Request, Response, Status};

use super::{not_supported, status::status};

/// Implements `EventService`.
pub(super) struct Events;

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Empty<Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        _request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Err(status(not_supported("WatchEvents")))
    }
}
