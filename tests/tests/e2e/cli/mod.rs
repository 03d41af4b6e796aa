//! The command line as people and scripts use it.

mod resuming;
mod transfers;
