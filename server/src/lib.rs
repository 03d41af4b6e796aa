//! The Sluice server.

pub mod ports;
