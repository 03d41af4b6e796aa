//! The plain HTTP face.

pub mod metrics;
pub mod probes;
