//! Calls: how many, how long, how they ended.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use prost::Message;
use prost_types::FileDescriptorSet;
use sluice_domain::Reason;
use tokio::time::Instant;
use tonic::Code;

pub(super) const DURATION: &str = "rpc_server_call_duration_seconds";

/// What the conventions call every method that is not one.
const OTHER: &str = "_OTHER";

/// Every method that there is, by its path.
static METHODS: LazyLock<HashMap<String, Arc<str>>> = LazyLock::new(|| {
    let sets = [
        sluice_proto::FILE_DESCRIPTOR_SET,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files = sets
        .into_iter()
        .filter_map(|set| FileDescriptorSet::decode(set).ok())
        .flat_map(|set| set.file);
    let mut methods = HashMap::new();
    for file in files {
        for service in &file.service {
            for method in &service.method {
                let name = format!("{}.{}/{}", file.package(), service.name(), method.name());
                methods.insert(format!("/{name}"), name.into());
            }
        }
    }
    methods
});

pub(super) fn describe() {
    describe_histogram!(DURATION, Unit::Seconds, "How long a call took, to the end of its answer.");
    describe_gauge!("sluice_calls_active", Unit::Count, "Calls under way, streams among them.");
    describe_counter!("sluice_refusals_total", Unit::Count, "Calls that were refused, by reason.");
}

/// A call under way. It ends with what [`Call::end`] says, or as cancelled when
/// it is dropped before.
pub struct Call {
    method: Arc<str>,
    began: Instant,
    ended: bool,
}

impl Call {
    /// A call of the method with this path has begun.
    pub fn begin(path: &str) -> Self {
        let method = METHODS.get(path).map_or_else(|| OTHER.into(), Arc::clone);
        gauge!("sluice_calls_active", "rpc_method" => Arc::clone(&method)).increment(1);
        Self { method, began: Instant::now(), ended: false }
    }

    /// It has ended, perhaps with a refusal. Only the first end counts.
    pub fn end(&mut self, code: Code, reason: Option<Reason>) {
        if self.ended {
            return;
        }
        self.ended = true;
        if let Some(reason) = reason {
            counter!("sluice_refusals_total", "reason" => reason.as_str()).increment(1);
        }
        gauge!("sluice_calls_active", "rpc_method" => Arc::clone(&self.method)).decrement(1);
        histogram!(
            DURATION,
            "rpc_system_name" => "grpc",
            "rpc_method" => Arc::clone(&self.method),
            "rpc_response_status_code" => name(code),
        )
        .record(self.began.elapsed());
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.end(Code::Cancelled, None);
    }
}

/// The code as gRPC spells it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_known_and_no_other() {
        for path in [
            "/sluice.v1.UploadService/WriteUpload",
            "/sluice.v1.EventService/WatchEvents",
            "/grpc.health.v1.Health/Check",
            "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ] {
            assert_eq!(METHODS.get(path).map(|it| &**it), path.strip_prefix('/'));
        }
        assert!(!METHODS.contains_key("/sluice.v1.UploadService/Other"));
    }
}
