//! End-to-end tests: real server processes, real sockets, and nothing known of
//! the server but its contract.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod access;
mod accounts;
mod acknowledged;
mod browser;
mod cli;
mod disk_full;
mod edge;
mod fencing;
mod files;
mod grpc_web;
mod h2spec;
mod hostile;
mod kills;
mod metrics;
mod model;
mod reads;
mod reasons;
mod shutdown;
mod signed;
mod tls;
mod upload_path;
mod watch;
