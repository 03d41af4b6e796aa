//! What happens to files.

use std::{collections::BTreeMap, fmt::Debug};

use prost_types::FieldMask;
use sluice_domain::Reason;
use sluice_proto::v1::{DeleteFileRequest, File, UpdateFileRequest};
use sluice_tests::{assert_reason, assert_refusal};
use tonic::Status;

use super::{player::Player, world::name};

impl Player {
    pub(super) async fn update(
        &mut self,
        index: usize,
        to: Option<usize>,
        label: Option<u32>,
        stale: bool,
    ) {
        let file = &self.world.files[index];
        let mut paths = Vec::new();
        paths.extend(to.map(|_| "name".to_owned()));
        paths.extend(label.map(|_| "metadata".to_owned()));
        if paths.is_empty() {
            return;
        }
        let metadata = label.map(|label| BTreeMap::from([("label".into(), label.to_string())]));
        let change = File {
            id: file.record.id.clone(),
            name: to.map(name).unwrap_or_default(),
            metadata: metadata.clone().unwrap_or_default(),
            ..Default::default()
        };
        let request = UpdateFileRequest {
            file: Some(change),
            update_mask: Some(FieldMask { paths }),
            etag: etag(file.record.etag.clone(), stale),
        };
        let outcome = self.client.update_file(request).await;
        let holder = to.and_then(|to| self.world.named(&name(to)));
        let taken = holder.is_some_and(|holder| holder != index);
        if self.refused(index, stale, taken, &outcome) {
            return;
        }
        let file = &mut self.world.files[index];
        let after = outcome.expect("nothing is wrong with it");
        let expect = File {
            name: to.map_or_else(|| file.record.name.clone(), name),
            metadata: metadata.unwrap_or_else(|| file.record.metadata.clone()),
            etag: after.etag.clone(),
            ..file.record.clone()
        };
        assert_eq!(after, expect);
        file.record = after;
    }

    pub(super) async fn delete(&mut self, index: usize, stale: bool) {
        let file = &self.world.files[index];
        let request = DeleteFileRequest {
            file_id: file.record.id.clone(),
            etag: etag(file.record.etag.clone(), stale),
        };
        let outcome = self.client.files.clone().delete_file(request).await;
        if !self.refused(index, stale, false, &outcome) {
            outcome.expect("nothing is wrong with it");
            self.world.files[index].exists = false;
        }
    }

    /// Whether a change of a file had to be refused; asserts that it was.
    fn refused<T: Debug>(
        &self,
        index: usize,
        stale: bool,
        taken: bool,
        outcome: &Result<T, Status>,
    ) -> bool {
        let mut reasons = Vec::new();
        if !self.world.files[index].exists {
            reasons.push(Reason::FileNotFound);
        } else {
            reasons.extend(stale.then_some(Reason::EtagMismatch));
            reasons.extend(taken.then_some(Reason::FileExists));
        }
        if reasons.is_empty() {
            return false;
        }
        let status = outcome.as_ref().expect_err("it must be refused");
        let reason = assert_refusal(status);
        assert!(reasons.contains(&reason), "{reason:?} is not one of {reasons:?}");
        true
    }

    pub(super) async fn read(&self, index: usize, offset: u64, limit: u64) {
        let file = &self.world.files[index];
        let size = file.content.len() as u64;
        if !file.exists {
            let outcome = self.client.read(&file.record.id, 0, limit).await;
            assert_reason(outcome, Reason::FileNotFound);
            return;
        }
        let outcome = self.client.read(&file.record.id, offset, limit).await;
        if offset > size {
            assert_reason(outcome, Reason::InvalidField);
            return;
        }
        let end = if limit == 0 { size } else { size.min(offset + limit) };
        let expect = file.content.slice(offset as usize..end as usize);
        assert!(outcome.expect("the range exists") == expect, "other bytes");
    }
}

fn etag(current: String, stale: bool) -> String {
    if stale { format!("{current}-stale") } else { current }
}
