//! What the fuzz targets check. Each module has one function `check`, which
//! takes any bytes at all and panics when a promise is broken; the files in
//! `fuzz_targets` hand it to libFuzzer, and `tests/corpus.rs` to every input
//! that was ever worth keeping.

#![allow(clippy::unwrap_used, reason = "a check that cannot go on has failed")]

mod input;
mod refusal;

pub mod byte_ranges;
pub mod digests;
pub mod frames;
pub mod grpc_web;
pub mod names;
pub mod page_tokens;
pub mod requests;
pub mod resume_tokens;
pub mod signed_links;
pub mod tokens;

/// Takes any bytes, and panics when a promise is broken.
pub type Check = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: &[(&str, Check)] = &[
    ("byte_ranges", byte_ranges::check),
    ("digests", digests::check),
    ("frames", frames::check),
    ("grpc_web", grpc_web::check),
    ("names", names::check),
    ("page_tokens", page_tokens::check),
    ("requests", requests::check),
    ("resume_tokens", resume_tokens::check),
    ("signed_links", signed_links::check),
    ("tokens", tokens::check),
];

pub use input::chunks;
