//! URLs with which others reach storage by themselves.

use std::time::Duration;

use aws_sdk_s3::{
    Client,
    error::{DisplayErrorContext, SdkError},
    presigning::{PresignedRequest, PresigningConfig},
};
use sluice_domain::{Error, Result};

use super::{
    bucket::{encoded, number, signed},
    client::as_folder,
};
use crate::{
    config::{AwsConfig, StorageChecksums},
    ports::{AnswerHeaders, ForeignPart, SignedRequest},
};

/// Signs URLs. Storage is not called for that.
pub(super) struct Presigner {
    /// Begins URLs as clients need them.
    client: Client,
    bucket: String,
    parts: bool,
    reads: bool,
}

impl Presigner {
    pub(super) fn new(config: &AwsConfig, client: &Client, bucket: String) -> Self {
        let client = match &config.public_s3_endpoint {
            Some(endpoint) => {
                let config = client.config().to_builder().endpoint_url(as_folder(endpoint));
                Client::from_conf(config.build())
            }
            None => client.clone(),
        };
        let reads = config.direct_transfers;
        // Without checksums nothing would tell what somebody has sent.
        let parts = reads && config.checksums == StorageChecksums::FullObject;
        Self { client, bucket, parts, reads }
    }

    /// Whether others may send parts.
    pub(super) fn signs_parts(&self) -> bool {
        self.parts
    }

    /// Whether others may read objects.
    pub(super) fn signs_reads(&self) -> bool {
        self.reads
    }

    /// A request that stores a part of exactly this size and checksum.
    pub(super) async fn part(
        &self,
        key: &str,
        multipart: &str,
        part: ForeignPart,
        lifetime: Duration,
    ) -> Result<SignedRequest> {
        let put = self
            .client
            .upload_part()
            .bucket(&self.bucket)
            .key(key)
            .upload_id(multipart)
            .part_number(number(part.number))
            .content_length(signed(part.size))
            .checksum_crc32_c(encoded(part.crc32c));
        let request = put.presigned(lives_for(lifetime)?).await.map_err(not_signed)?;
        let headers =
            request.headers().map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
        Ok(SignedRequest { headers: headers.collect(), url: request.uri().to_owned() })
    }

    /// A URL that reads an object.
    pub(super) async fn read(
        &self,
        key: &str,
        lifetime: Duration,
        headers: AnswerHeaders,
    ) -> Result<String> {
        let get = self
            .client
            .get_object()
            .bucket(&self.bucket)
            .key(key)
            .response_content_type(headers.content_type)
            .response_content_disposition(headers.disposition)
            .response_cache_control("private, no-store");
        let request = get.presigned(lives_for(lifetime)?).await.map_err(not_signed)?;
        debug_assert!(needs_no_headers(&request), "a browser follows without any");
        Ok(request.uri().to_owned())
    }
}

fn needs_no_headers(request: &PresignedRequest) -> bool {
    request.headers().next().is_none()
}

fn lives_for(lifetime: Duration) -> Result<PresigningConfig> {
    PresigningConfig::expires_in(lifetime).map_err(|error| {
        tracing::error!(%error, ?lifetime, "no URL can live so long");
        Error::storage_io("the server cannot sign this URL")
    })
}

/// Only what the SDK needs to sign can be missing: credentials, mostly.
fn not_signed<E: std::error::Error + 'static, R: std::fmt::Debug>(error: SdkError<E, R>) -> Error {
    let story = DisplayErrorContext(&error).to_string();
    tracing::error!(story, "a URL of storage cannot be signed");
    Error::storage_io("the server cannot sign URLs of its storage now; try again")
}
