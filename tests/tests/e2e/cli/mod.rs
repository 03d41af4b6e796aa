//! The command line as people and scripts use it.

mod choosing;
mod many;
mod restarts;
mod resuming;
mod syncing;
mod transfers;
mod watching;
