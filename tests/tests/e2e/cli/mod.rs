//! The command line as people and scripts use it.

mod restarts;
mod resuming;
mod transfers;
mod watching;
