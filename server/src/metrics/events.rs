//! The event queue.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::ports::{Backlog, Event};

pub(super) fn describe() {
    describe_gauge!(
        "sluice_events_waiting",
        Unit::Count,
        "Events that are not done, those being handled included."
    );
    describe_gauge!(
        "sluice_events_overdue_seconds",
        Unit::Seconds,
        "How long the first event that could be handled has waited for it."
    );
    describe_gauge!(
        "sluice_events_dead",
        Unit::Count,
        "Events that were put aside because they failed too often."
    );
    describe_counter!(
        "sluice_events_handled_total",
        Unit::Count,
        "Events that were handled, by kind and outcome."
    );
    for kind in ["verify_file", "delete_blob"] {
        for outcome in ["done", "failed"] {
            counter!("sluice_events_handled_total", "kind" => kind, "outcome" => outcome)
                .increment(0);
        }
    }
}

/// What waits in the queue.
#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
pub fn queue(backlog: &Backlog) {
    gauge!("sluice_events_waiting").set(backlog.waiting as f64);
    gauge!("sluice_events_overdue_seconds").set(backlog.overdue.as_secs_f64());
    gauge!("sluice_events_dead").set(backlog.dead as f64);
}

/// An event was handled, or could not be.
pub fn event_handled(event: &Event, is_done: bool) {
    let kind = match event {
        Event::VerifyFile { .. } => "verify_file",
        Event::DeleteBlob { .. } => "delete_blob",
        Event::DeleteAccount { .. } => "delete_account",
    };
    let outcome = if is_done { "done" } else { "failed" };
    counter!("sluice_events_handled_total", "kind" => kind, "outcome" => outcome).increment(1);
}
