//! The Sluice contract in Rust, generated at build time from `sluice/v1/*.proto`.
//!
//! The comments of the `.proto` files are the documentation of [`v1`].

/// Version 1 of the contract: messages, clients and servers.
#[expect(
    clippy::large_enum_variant,
    reason = "generated; a message is moved far less often than a byte of its data"
)]
pub mod v1 {
    tonic::include_proto!("sluice.v1");
}

/// The encoded `google.protobuf.FileDescriptorSet` of the contract and of what
/// it imports, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] =
    include_bytes!(concat!(env!("OUT_DIR"), "/sluice_descriptor.bin"));
