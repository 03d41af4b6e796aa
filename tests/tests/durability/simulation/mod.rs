//! A machine whose power can fail: its disk keeps only what was synced, for
//! files and for the database alike.

mod content;
mod coordination;
mod disk;
mod power;
mod vfs;
mod world;

pub(crate) use disk::{Held, Port, SimulatedDisk};
pub(crate) use power::{Fault, Lie, Strike};
pub(crate) use vfs::VFS;
pub(crate) use world::Loss;
