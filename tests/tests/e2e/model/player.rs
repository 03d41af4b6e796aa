//! Plays operations on the server and on the model, and compares.

use std::{collections::BTreeMap, fmt::Debug};

use prost_types::FieldMask;
use sluice_domain::Reason;
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, DeleteFileRequest, File, ListFilesRequest,
    ListUploadsRequest, ObjectChecksums, UpdateFileRequest, list_files_request::OrderBy,
    upload::State,
};
use sluice_tests::{Client, Server, assert_reason, assert_refusal, in_small_parts, persisted};
use tonic::Status;

use super::{
    operation::{Completion, Creation, End, Operation, Variant},
    world::{ModelUpload, World, name},
    writing::{self, Expected},
};

/// A server and the model of it.
pub(super) struct Player {
    server: Server,
    client: Client,
    pub(super) world: World,
}

impl Player {
    pub(super) async fn new(seed: u64) -> Self {
        let server = Server::start().await;
        Self { client: server.client(), server, world: World::new(seed) }
    }

    /// Plays one operation. What it names is counted round; it does nothing
    /// where there is nothing to name.
    pub(super) async fn play(&mut self, operation: Operation) {
        let (uploads, files) = (self.world.uploads.len(), self.world.files.len());
        match operation {
            Operation::Create(body) => self.create(body).await,
            Operation::List => self.compare_all().await,
            Operation::Restart => {
                self.server.restart().await;
                self.client = self.server.client();
                self.compare_all().await;
            }
            Operation::Write { upload, stale, parts, end } if uploads > 0 => {
                self.write(upload % uploads, stale, &parts, &end).await;
            }
            Operation::Resume { upload } if uploads > 0 => self.resume(upload % uploads).await,
            Operation::Complete(request) if uploads > 0 => {
                self.complete(Completion { upload: request.upload % uploads, ..request }).await;
            }
            Operation::Cancel { upload } if uploads > 0 => self.cancel(upload % uploads).await,
            Operation::Update { file, name, label, stale } if files > 0 => {
                self.update(file % files, name, label, stale).await;
            }
            Operation::Delete { file, stale } if files > 0 => {
                self.delete(file % files, stale).await;
            }
            Operation::Read { file, offset, limit } if files > 0 => {
                self.read(file % files, offset, limit).await;
            }
            _ => {}
        }
    }

    async fn create(&mut self, body: Creation) {
        let index = self.world.uploads.len();
        let before = body.request.and_then(|request| self.world.requests.get(&request).copied());
        // Contents differ from upload to upload, so a repeat declares what the
        // first call declared.
        let content_of = before.unwrap_or(index);
        let declared = body.declared.zip(body.size).map(|(variant, size)| ObjectChecksums {
            blake3: blake3::hash(&self.world.content(content_of, variant).bytes(0..size))
                .as_bytes()
                .to_vec()
                .into(),
            ..Default::default()
        });
        let request = CreateUploadRequest {
            request_id: body.request.map(|id| format!("request-{id}")).unwrap_or_default(),
            size: body.size.map(|size| size as i64),
            on_conflict: body.on_conflict.into(),
            expected_checksums: declared,
            ..in_small_parts(&name(body.name), 0)
        };
        let outcome = self.client.create(request).await;
        let taken = self.world.named(&name(body.name)).is_some()
            && body.on_conflict != sluice_proto::v1::OnConflict::Replace;
        match before {
            Some(before) if self.world.uploads[before].body == body => {
                let upload = outcome.expect("a repeat is answered");
                assert_eq!(
                    upload.id, self.world.uploads[before].id,
                    "a repeat made another upload"
                );
            }
            Some(_) => {
                let reason = assert_refusal(&outcome.expect_err("another body is refused"));
                let allowed = [Reason::RequestIdReused, Reason::FileExists];
                assert!(allowed[..1 + usize::from(taken)].contains(&reason), "{reason:?}");
            }
            None if taken => drop(assert_reason(outcome, Reason::FileExists)),
            None => {
                let upload = outcome.expect("nothing is wrong with it");
                if let Some(request) = body.request {
                    self.world.requests.insert(request, index);
                }
                self.world.uploads.push(ModelUpload {
                    id: upload.id,
                    size: body.size,
                    body,
                    epoch: 1,
                    state: State::Active,
                    parts: BTreeMap::new(),
                    file: None,
                });
                self.compare_upload(index).await;
            }
        }
    }

    async fn write(&mut self, index: usize, stale: bool, parts: &[(u64, Variant)], end: &End) {
        let frames = writing::frames(&self.world, index, stale, parts, end);
        let outcome = self.client.write(frames).await;
        match writing::apply(&mut self.world, index, stale, parts, end) {
            Expected::Taken => {
                let upload = outcome.expect("nothing is wrong with it").upload.unwrap();
                assert_eq!(persisted(&upload), self.world.uploads[index].ranges());
            }
            Expected::Refused(reason) => drop(assert_reason(outcome, reason)),
            Expected::Completion => {
                let request = Completion {
                    upload: index,
                    stale,
                    name: None,
                    on_conflict: None,
                    size: None,
                    wrong_checksum: false,
                };
                let outcome = outcome.map(|response| response.file.expect("it is complete"));
                self.judge_completion(&request, outcome).await;
            }
        }
        self.compare_upload(index).await;
    }

    async fn complete(&mut self, mut request: Completion) {
        let upload = &self.world.uploads[request.upload];
        if upload.state != State::Active {
            // A repeat is a repeat only if it says nothing else.
            request = Completion {
                upload: request.upload,
                stale: false,
                name: None,
                on_conflict: None,
                size: None,
                wrong_checksum: false,
            };
        }
        let outcome = self
            .client
            .complete_with(CompleteUploadRequest {
                upload_id: upload.id.clone(),
                writer_epoch: request.stale.then_some(upload.epoch + 1),
                size: request.size.map(|size| size as i64),
                expected_checksums: request
                    .wrong_checksum
                    .then(|| ObjectChecksums { blake3: vec![1; 32].into(), ..Default::default() }),
                name: request.name.map(name),
                on_conflict: request.on_conflict.map(Into::into),
            })
            .await;
        self.judge_completion(&request, outcome).await;
        self.compare_upload(request.upload).await;
    }

    async fn judge_completion(&mut self, request: &Completion, outcome: Result<File, Status>) {
        let refusals = self.world.refusals(request);
        match outcome {
            Ok(file) => {
                assert!(refusals.is_empty(), "not refused with {refusals:?}");
                match self.world.uploads[request.upload].file {
                    Some(before) => assert_eq!(file.id, self.world.files[before].record.id),
                    None => self.world.publish(request.upload, file),
                }
            }
            Err(status) => {
                let reason = assert_refusal(&status);
                assert!(refusals.contains(&reason), "{reason:?} is not one of {refusals:?}");
                self.accept_refusal(request, reason).await;
            }
        }
    }

    /// A refused completion may have fixed the size, and fails an upload whose
    /// content is not what was declared at creation.
    async fn accept_refusal(&mut self, request: &Completion, reason: Reason) {
        let misdeclared = self.world.is_misdeclared(request.upload);
        let upload = &mut self.world.uploads[request.upload];
        let seen = self.client.upload(&upload.id).await.unwrap();
        let size = seen.size.map(|size| size as u64);
        if upload.size.is_none() && size.is_some() && size == request.size {
            upload.size = size;
        }
        let may_fail = misdeclared && reason == Reason::FileChecksumMismatch;
        if may_fail && (seen.state() == State::Failed || !request.wrong_checksum) {
            upload.state = State::Failed;
        }
    }

    async fn resume(&mut self, index: usize) {
        let upload = &mut self.world.uploads[index];
        let outcome = self.client.resume(&upload.id).await;
        if upload.state == State::Active {
            upload.epoch += 1;
            assert_eq!(outcome.expect("it is active").writer_epoch, upload.epoch);
        } else {
            assert_reason(outcome, Reason::UploadNotActive);
        }
        self.compare_upload(index).await;
    }

    async fn cancel(&mut self, index: usize) {
        let upload = &mut self.world.uploads[index];
        let outcome = self.client.cancel(&upload.id).await;
        match upload.state {
            State::Completed => drop(assert_reason(outcome, Reason::UploadNotActive)),
            State::Active => {
                upload.state = State::Cancelled;
                assert_eq!(outcome.expect("it is active").state(), State::Cancelled);
            }
            ended => assert_eq!(outcome.expect("it has ended").state(), ended),
        }
        self.compare_upload(index).await;
    }

    async fn update(&mut self, index: usize, to: Option<usize>, label: Option<u32>, stale: bool) {
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

    async fn delete(&mut self, index: usize, stale: bool) {
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

    async fn read(&self, index: usize, offset: u64, limit: u64) {
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

    async fn compare_upload(&self, index: usize) {
        let upload = &self.world.uploads[index];
        let seen = self.client.upload(&upload.id).await.unwrap();
        assert_eq!(seen.state(), upload.state);
        assert_eq!(seen.writer_epoch, upload.epoch);
        assert_eq!(seen.size.map(|size| size as u64), upload.size, "another size");
        let has_bytes = match upload.file {
            Some(file) => self.world.files[file].exists,
            None => upload.state == State::Active,
        };
        if has_bytes {
            assert_eq!(persisted(&seen), upload.ranges());
            assert_eq!(seen.persisted_bytes as u64, upload.persisted());
        }
    }

    /// Compares everything that the server knows with the model.
    pub(super) async fn compare_all(&self) {
        for index in 0..self.world.uploads.len() {
            self.compare_upload(index).await;
        }
        let request = ListUploadsRequest { page_size: 1000, ..Default::default() };
        let listed = self.client.list_uploads(request).await.unwrap().uploads;
        let listed: Vec<_> = listed.into_iter().map(|upload| upload.id).collect();
        let newest_first: Vec<_> =
            self.world.uploads.iter().rev().map(|upload| upload.id.clone()).collect();
        assert_eq!(listed, newest_first);

        let mut files: Vec<_> = self.world.files.iter().filter(|file| file.exists).collect();
        files.reverse();
        let by_time = self.list(OrderBy::CreateTime).await;
        assert_eq!(by_time, files.iter().map(|file| file.record.clone()).collect::<Vec<_>>());
        files.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        let by_name = self.list(OrderBy::Name).await;
        assert_eq!(by_name, files.iter().map(|file| file.record.clone()).collect::<Vec<_>>());
        for file in files {
            let bytes = self.client.read(&file.record.id, 0, 0).await.unwrap();
            assert!(bytes == file.content, "{} has other bytes", file.record.name);
            let checksums = file.record.checksums.as_ref().unwrap();
            assert_eq!(checksums.blake3, blake3::hash(&bytes).as_bytes().as_slice());
        }
    }

    async fn list(&self, order_by: OrderBy) -> Vec<File> {
        let request =
            ListFilesRequest { page_size: 1000, order_by: order_by.into(), ..Default::default() };
        self.client.list_files(request).await.unwrap().files
    }
}

fn etag(current: String, stale: bool) -> String {
    if stale { format!("{current}-stale") } else { current }
}
