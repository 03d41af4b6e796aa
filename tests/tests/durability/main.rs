//! White-box tests of durability: the server's inside on disks that lose power,
//! fill up and fail, and its adapters against the promises of their ports.

mod caller;
mod checker;
mod clock;
mod ledger;
mod script;
mod server;
mod simulation;
mod workload;

mod conformance;
mod corruption;
mod dropped_syncs;
mod faults;
mod power_loss;
mod races;
mod watching;
