//! What the machine can do without Sluice.

pub(crate) mod disk;
pub(crate) mod tcp;
