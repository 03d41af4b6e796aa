//! The Rust SDK of Sluice.
