//! Bodies of requests and responses that keep to the limits.

mod drained;
mod ended;
mod guarded;
mod held;
mod memory;
mod messages;
mod paced;
mod rate;

pub use drained::{DrainLimit, DrainedBody};
pub use ended::EndedBody;
pub use guarded::{Cut, GuardedBody, cut_reason};
pub use held::HeldBody;
pub use memory::MessageMemory;
pub use messages::MessageProgress;
pub use paced::PacedBody;
pub use rate::Pace;
