//! The command line as people and scripts use it.

mod accounts;
mod choosing;
mod configuring;
mod doctor;
mod events;
mod exit_codes;
mod going_on;
mod many;
mod restarts;
mod resuming;
mod shells;
mod signing;
mod syncing;
mod transfers;
mod watching;
