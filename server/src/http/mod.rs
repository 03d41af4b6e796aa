//! The plain HTTP face.

pub mod byte_range;
pub mod disposition;
pub mod metrics;
pub mod probes;
mod refusal;
pub mod signed;
mod signed_get;
mod signed_put;
