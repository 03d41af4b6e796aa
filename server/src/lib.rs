//! The Sluice server: gRPC streams into durable storage.
//!
//! [`ports`] say what is needed from the outside, [`adapters`] provide it,
//! [`service`] holds the use cases, [`worker`] what runs behind them, [`api`]
//! and [`http`] the faces, and [`app`] puts it all together.

pub mod adapters;
pub mod api;
pub mod app;
pub mod config;
pub mod edge;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod ports;
pub mod service;
pub mod tasks;
pub mod worker;

pub use app::{StartError, run, serve};
