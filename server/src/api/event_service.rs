//! `EventService`.

use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use sluice_domain::Result;
use sluice_proto::v1::{self, event_service_server::EventService};
use tonic::{Request, Response, Status};

use super::{
    caller,
    convert::event::{message, selection},
    resume_token::ResumeTokens,
    status::status,
};
use crate::service::{Caller, Context, watch};

type Answers = BoxStream<'static, Result<v1::WatchEventsResponse, Status>>;

/// Implements `EventService`.
pub(super) struct Events {
    context: Context,
}

impl Events {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }

    async fn watch(&self, caller: Caller, request: v1::WatchEventsRequest) -> Result<Answers> {
        let selection = selection(&request)?;
        let tokens = ResumeTokens::of(caller, &selection);
        let after = tokens.position(&request.resume_token)?;
        let messages = watch::watch(&self.context, caller, selection, after).await?;
        Ok(messages.map_ok(move |it| message(it, &tokens)).map_err(status).boxed())
    }
}

#[tonic::async_trait]
impl EventService for Events {
    type WatchEventsStream = Answers;

    async fn watch_events(
        &self,
        request: Request<v1::WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let caller = caller(&request).map_err(status)?;
        let answers = self.watch(caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(answers))
    }
}
