//! The Sluice server.

pub mod adapters;
pub mod ports;
pub mod service;
pub mod tasks;
pub mod worker;
