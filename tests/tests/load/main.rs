//! What the server does under load, measured: every test has the machine for
//! itself, as far as that is possible.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod descriptors;
mod floods;
mod log_ins;
mod memory;
mod overload;
mod slow;

use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program runs.
async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
