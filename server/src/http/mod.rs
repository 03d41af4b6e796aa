//! The plain HTTP face.

pub mod byte_range;
pub mod disposition;
pub mod key_set;
pub mod metrics;
pub mod probes;
pub(crate) mod refusal;
pub mod signed;
mod signed_get;
mod signed_put;
