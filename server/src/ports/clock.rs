//! The time, injected so that tests can move it.

use sluice_domain::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The current time; may go back when the machine's clock is set.
    fn now(&self) -> Timestamp;
}
