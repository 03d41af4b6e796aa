//! `CapabilitiesService`.

use sluice_domain::{
    DEFAULT_FRAME_SIZE, DEFAULT_PART_SIZE, MAX_FRAME_SIZE, MAX_METADATA_BYTES,
    MAX_METADATA_ENTRIES, MAX_METADATA_KEY_BYTES, MAX_METADATA_VALUE_BYTES, MAX_NAME_BYTES,
    MAX_PARTS, Upload,
};
use sluice_proto::v1::{
    self, ChecksumAlgorithm, Features, GetCapabilitiesRequest, GetCapabilitiesResponse,
    capabilities_service_server::CapabilitiesService,
};
use tonic::{Request, Response, Status};

use super::convert::{count, duration, int64};
use crate::service::Context;

/// Implements `CapabilitiesService`.
pub(super) struct Capabilities {
    context: Context,
}

impl Capabilities {
    pub(super) fn new(context: Context) -> Self {
        Self { context }
    }
}

#[tonic::async_trait]
impl CapabilitiesService for Capabilities {
    async fn get_capabilities(
        &self,
        _request: Request<GetCapabilitiesRequest>,
    ) -> Result<Response<GetCapabilitiesResponse>, Status> {
        let limits = &self.context.limits;
        let part_sizes = limits.part_sizes;
        let algorithms =
            [ChecksumAlgorithm::Crc32c, ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Blake3];
        let capabilities = v1::Capabilities {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            limits: Some(v1::Limits {
                max_file_size: int64(limits.max_file_size),
                max_frame_size: int64(MAX_FRAME_SIZE),
                default_frame_size: int64(DEFAULT_FRAME_SIZE),
                min_part_size: int64(part_sizes.min),
                max_part_size: int64(part_sizes.max),
                default_part_size: int64(DEFAULT_PART_SIZE.clamp(part_sizes.min, part_sizes.max)),
                max_parts: count(MAX_PARTS as usize),
                upload_ttl: Some(duration(limits.upload_ttl)),
                max_upload_lifetime: Some(duration(Upload::MAX_LIFETIME)),
                allowed_content_types: limits.allowed_content_types.clone(),
                max_name_bytes: count(MAX_NAME_BYTES),
                max_metadata_entries: count(MAX_METADATA_ENTRIES),
                max_metadata_key_bytes: count(MAX_METADATA_KEY_BYTES),
                max_metadata_value_bytes: count(MAX_METADATA_VALUE_BYTES),
                max_metadata_bytes: count(MAX_METADATA_BYTES),
            }),
            features: Some(Features {
                direct_upload: true,
                bidi_write_upload: true,
                watch_events: true,
                signed_downloads: true,
            }),
            checksum_algorithms: algorithms.map(i32::from).to_vec(),
            sign_in_providers: vec!["password".to_owned()],
        };
        Ok(Response::new(GetCapabilitiesResponse { capabilities: Some(capabilities) }))
    }
}
