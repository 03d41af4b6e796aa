//! The plain HTTP face.

pub mod probes;
