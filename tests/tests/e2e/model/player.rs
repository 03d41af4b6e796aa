//! Plays operations on the server and on the model, and compares.

use std::collections::BTreeMap;

use sluice_domain::Reason;
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, File, ObjectChecksums, OnConflict, upload::State,
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
    pub(super) client: Client,
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
        let taken =
            self.world.named(&name(body.name)).is_some() && body.on_conflict != OnConflict::Replace;
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
}
