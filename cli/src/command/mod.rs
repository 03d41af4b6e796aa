//! One file for each command.

#[cfg(feature = "serve")]
pub(crate) mod serve;
