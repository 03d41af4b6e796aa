//! Write streams that a test holds open.

use sluice_proto::v1::{
    BidiWriteUploadRequest, BidiWriteUploadResponse, Upload, WriteUploadRequest,
    WriteUploadResponse, bidi_write_upload_response::Response,
};
use tokio::{sync::mpsc, task::JoinHandle};
use tonic::{Status, Streaming};

use crate::Frames;

/// A WriteUpload that is under way.
pub struct OpenStream {
    sender: mpsc::Sender<WriteUploadRequest>,
    outcome: JoinHandle<Result<WriteUploadResponse, Status>>,
}

impl OpenStream {
    pub(crate) fn new(
        sender: mpsc::Sender<WriteUploadRequest>,
        outcome: JoinHandle<Result<WriteUploadResponse, Status>>,
    ) -> Self {
        Self { sender, outcome }
    }

    /// Sends frames; answers whether the stream still takes them.
    pub async fn send(&self, frames: Frames) -> bool {
        for message in frames.messages() {
            if self.sender.send(message).await.is_err() {
                return false;
            }
        }
        true
    }

    /// Closes the client's side and waits for the answer.
    pub async fn finish(self) -> Result<WriteUploadResponse, Status> {
        drop(self.sender);
        self.outcome.await.expect("the call does not panic")
    }

    /// Drops the call as if its process had died.
    pub fn abort(self) {
        self.outcome.abort();
    }

    /// Waits for the answer without closing the client's side.
    pub async fn outcome(self) -> Result<WriteUploadResponse, Status> {
        let outcome = self.outcome.await.expect("the call does not panic");
        drop(self.sender);
        outcome
    }
}

/// A BidiWriteUpload that is under way.
pub struct BidiStream {
    sender: Option<mpsc::Sender<BidiWriteUploadRequest>>,
    responses: Streaming<BidiWriteUploadResponse>,
}

impl BidiStream {
    pub(crate) fn new(
        sender: mpsc::Sender<BidiWriteUploadRequest>,
        responses: Streaming<BidiWriteUploadResponse>,
    ) -> Self {
        Self { sender: Some(sender), responses }
    }

    /// Sends frames; answers whether the stream still takes them.
    pub async fn send(&self, frames: Frames) -> bool {
        for message in frames.bidi_messages() {
            if !self.send_message(message).await {
                return false;
            }
        }
        true
    }

    /// Sends one message; answers whether the stream still takes it.
    pub async fn send_message(&self, message: BidiWriteUploadRequest) -> bool {
        match &self.sender {
            Some(sender) => sender.send(message).await.is_ok(),
            None => false,
        }
    }

    /// Closes the client's side.
    pub fn close(&mut self) {
        self.sender = None;
    }

    /// The next answer; none when the stream has ended well.
    pub async fn next(&mut self) -> Result<Option<Response>, Status> {
        let message = self.responses.message().await?;
        Ok(message.map(|message| message.response.expect("every message says something")))
    }

    /// Asks for the state and waits for it, so that every frame sent before
    /// has reached the server. Answers of other kinds are dropped on the way.
    pub async fn state(&mut self) -> Result<Upload, Status> {
        self.send_message(BidiWriteUploadRequest { state_lookup: true, ..Default::default() })
            .await;
        loop {
            match self.next().await? {
                Some(Response::Upload(upload)) => return Ok(upload),
                Some(_) => {}
                None => return Err(Status::unknown("the stream ended before it told the state")),
            }
        }
    }

    /// Waits for the end; answers everything that was said until then.
    pub async fn rest(mut self) -> Result<Vec<Response>, Status> {
        let mut answers = Vec::new();
        while let Some(answer) = self.next().await? {
            answers.push(answer);
        }
        Ok(answers)
    }
}
