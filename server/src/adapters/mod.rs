//! Implementations of the ports. An adapter knows one technology; its errors
//! are turned into those of the domain here and go no further.

pub mod aws;
mod claims;
pub mod embedded;
pub mod system_clock;
