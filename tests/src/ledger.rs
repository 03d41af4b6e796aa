//! What the server has acknowledged, remembered by the client.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Mutex,
};

use sluice_proto::v1::{ByteRange, Upload};

type Ranges = BTreeSet<(i64, i64)>;

/// Every range that the server ever called persisted. Whatever happens, later
/// answers must contain it.
#[derive(Debug, Default)]
pub struct Ledger {
    acknowledged: Mutex<HashMap<String, Ranges>>,
}

impl Ledger {
    /// What has been acknowledged by now. An answer to a request that is sent
    /// after this must contain it.
    pub fn so_far(&self, upload_id: &str) -> Ranges {
        let acknowledged = self.acknowledged.lock().expect("no holder panics");
        acknowledged.get(upload_id).cloned().unwrap_or_default()
    }

    /// Remembers one acknowledged range.
    pub fn acknowledge(&self, upload_id: &str, range: &ByteRange) {
        let mut acknowledged = self.acknowledged.lock().expect("no holder panics");
        let ranges = acknowledged.entry(upload_id.to_owned()).or_default();
        ranges.insert((range.start, range.end));
    }

    /// Asserts that an answer has lost nothing of what was acknowledged before
    /// its request, and remembers what it reports.
    pub fn check(&self, before: &Ranges, upload: &Upload) {
        for (start, end) in before {
            let kept = upload
                .persisted_ranges
                .iter()
                .any(|range| range.start <= *start && *end <= range.end);
            assert!(
                kept,
                "bytes {start}-{end} of {} were acknowledged and are lost: {:?}",
                upload.id, upload.persisted_ranges
            );
        }
        for range in &upload.persisted_ranges {
            self.acknowledge(&upload.id, range);
        }
    }
}
