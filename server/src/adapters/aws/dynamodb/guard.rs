//! Leaves DynamoDB alone while it is down, whatever the call.

use std::sync::Arc;

use aws_sdk_dynamodb::{
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        interceptors::{BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef},
    },
    error::BoxError,
};

use crate::adapters::aws::breaker::Breaker;

/// Refuses calls while the breaker is open, and tells it how calls have ended.
#[derive(Debug)]
pub(super) struct Guard(pub(super) Arc<Breaker>);

impl Intercept for Guard {
    fn name(&self) -> &'static str {
        "Guard"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        Ok(self.0.check()?)
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        // An answer below 500 is one of a service that is there, also where it
        // throttles: pauses are for that.
        let answered = context.response().is_some_and(|answer| answer.status().as_u16() < 500);
        match context.output_or_error() {
            Some(Ok(_)) => self.0.succeeded(),
            Some(Err(_)) if answered => self.0.succeeded(),
            _ => self.0.failed(),
        }
        Ok(())
    }
}
