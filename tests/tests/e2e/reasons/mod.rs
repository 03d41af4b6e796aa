//! Every reason of the contract, provoked over the wire.

mod accounts;
mod files;
mod storage;
mod uploads;
mod writes;

use std::collections::BTreeSet;

use prost_reflect::DescriptorPool;
use sluice_domain::Reason;
use sluice_proto::FILE_DESCRIPTOR_SET;
use sluice_tests::{Client, Server, assert_reason};
use tonic::Status;

#[test]
fn the_reasons_of_the_rules_are_those_of_the_contract() {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    let reasons = pool.get_enum_by_name("sluice.v1.ErrorReason").unwrap();
    let contract: BTreeSet<String> = reasons
        .values()
        .filter(|value| value.number() != 0)
        .map(|value| value.name().trim_start_matches("ERROR_REASON_").to_owned())
        .collect();
    let rules: BTreeSet<String> =
        Reason::ALL.iter().map(|reason| reason.as_str().to_owned()).collect();
    assert_eq!(rules, contract);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_reason_can_be_provoked_and_keeps_its_promises() {
    let server = Server::embedded().await;
    let client = server.client();
    for reason in Reason::ALL {
        match provoke(*reason, &server, &client).await {
            Provoked::By(status) => {
                println!("{}: {}", reason.as_str(), status.message());
                assert_reason(Err::<(), _>(status), *reason);
            }
            Provoked::Later | Provoked::Elsewhere => {}
        }
    }
}

/// What became of the attempt to provoke a reason.
enum Provoked {
    /// The server refused something.
    By(Status),
    /// The reason belongs to a capability that the server does not have yet.
    Later,
    /// It takes a server of its own: see `edge` and `shutdown`.
    Elsewhere,
}

/// Does what the contract says that a reason is the answer to. The match has
/// no wildcard: a new reason does not compile until somebody provokes it.
async fn provoke(reason: Reason, server: &Server, client: &Client) -> Provoked {
    use Reason as R;
    Provoked::By(match reason {
        R::InvalidField => uploads::invalid_field(client).await,
        R::MalformedMessage => uploads::malformed_message(client).await,
        R::FileTooLarge => uploads::file_too_large(client).await,
        R::ContentTypeNotAllowed => uploads::content_type_not_allowed().await,
        R::RequestIdReused => uploads::request_id_reused(client).await,
        R::UploadNotFound => uploads::upload_not_found(client).await,
        R::UploadNotActive => uploads::upload_not_active(client).await,
        R::UploadExpired => uploads::upload_expired().await,
        R::PartsMissing => uploads::parts_missing(client).await,
        R::SizeMismatch => uploads::size_mismatch(client).await,
        R::FileChecksumMismatch => uploads::file_checksum_mismatch(client).await,
        R::CredentialsInvalid => uploads::credentials_invalid(server).await,
        R::NotSupported => uploads::not_supported(client).await,
        R::ResumeTokenInvalid => uploads::resume_token_invalid(client).await,

        R::ChecksumMissing => writes::checksum_missing(client).await,
        R::ChecksumMismatch => writes::checksum_mismatch(client).await,
        R::FrameTooLarge => writes::frame_too_large(client).await,
        R::FrameCrossesPart => writes::frame_crosses_part(client).await,
        R::OffsetMismatch => writes::offset_mismatch(client).await,
        R::SizeExceeded => writes::size_exceeded(client).await,
        R::ContentConflict => writes::content_conflict(client).await,
        R::StaleWriter => writes::stale_writer(client).await,
        R::PartBusy => writes::part_busy(server, client).await,

        R::FileExists => files::file_exists(client).await,
        R::FileNotFound => files::file_not_found(client).await,
        R::FileNotReady => files::file_not_ready(client).await,
        R::EtagMismatch => files::etag_mismatch(client).await,

        R::StoredDataCorrupt => storage::stored_data_corrupt(server, client).await,
        R::StorageFull => storage::storage_full().await,
        R::StorageIo => storage::storage_io().await,

        R::AccountExists => accounts::account_exists().await,
        R::AccountNotFound => accounts::account_not_found(client).await,
        R::AccountSuspended => accounts::account_suspended().await,
        R::ApiKeyNotFound => accounts::api_key_not_found(client).await,
        R::QuotaExceeded => accounts::quota_exceeded().await,
        R::RateLimited => accounts::rate_limited().await,
        R::ScopeMissing => accounts::scope_missing().await,
        R::SessionNotFound => accounts::session_not_found(client).await,
        R::TokenExpired => accounts::token_expired().await,
        R::TokenRevoked => accounts::token_revoked().await,

        R::DependencyUnavailable => return Provoked::Later,

        R::Overloaded | R::StreamIdle | R::StreamTooSlow | R::ShuttingDown => {
            return Provoked::Elsewhere;
        }
    })
}
