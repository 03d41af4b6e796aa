//! `sluice uploads complete`: makes a file of parts that were sent to signed
//! URLs.

use std::path::PathBuf;

use clap::Args;
use sluice_sdk::{
    Client, Crc32c, Reason,
    v1::{CompleteUploadRequest, ObjectChecksums, upload::State},
};

use super::parts::{AT_A_TIME, PartsHere};
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, remote_file::FileView, terminal,
};

/// So many missing parts are named.
const NAMED: usize = 10;

#[derive(Debug, Args)]
pub(crate) struct CompleteArguments {
    /// Id of the upload
    #[arg(value_name = "ID")]
    upload: String,
    /// File with the bytes of the upload; what was sent must be equal
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

impl CompleteArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let client = self.remote.connect().await?;
        let here = PartsHere::of(&client, &self.upload, &self.from).await?;
        let crc32c = self.confirm(&client, &here).await?;
        let request = CompleteUploadRequest {
            upload_id: here.upload.id.clone(),
            size: Some(here.size.cast_signed()),
            expected_checksums: Some(ObjectChecksums {
                crc32c: Some(crc32c.0),
                ..ObjectChecksums::default()
            }),
            ..CompleteUploadRequest::default()
        };
        let file = client.complete_upload(request).await.map_err(|error| self.about(error))?;
        if self.display.json {
            print_event("file", &FileView::from(&file))?;
        } else {
            terminal::note(&format!("{} is complete: {}", self.upload, file.name));
        }
        Ok(Exit::Success)
    }

    /// Makes the parts count that were sent; answers the checksum of them all.
    async fn confirm(&self, client: &Client, here: &PartsHere) -> Result<Crc32c, Failure> {
        let (mut whole, mut missing) = (Crc32c::EMPTY, Vec::new());
        for some in here.all().chunks(AT_A_TIME) {
            let declared = here.declare(some).await?;
            for part in &declared {
                let crc32c = Crc32c(part.crc32c.unwrap_or_default());
                whole = whole.combine(crc32c, part.size.cast_unsigned());
            }
            // One that is complete already takes nothing any more.
            if here.upload.state() == State::Active {
                let (id, epoch) = (&here.upload.id, here.upload.writer_epoch);
                let confirmed = client.confirm_upload_parts(id, epoch, declared).await;
                missing.extend(confirmed.map_err(|error| self.about(error))?.missing);
            }
        }
        match &missing[..] {
            [] => Ok(whole),
            missing => Err(self.incomplete(missing)),
        }
    }

    fn incomplete(&self, missing: &[i32]) -> Failure {
        let numbers: Vec<_> = missing.iter().take(NAMED).map(ToString::to_string).collect();
        let others = match missing.len() - numbers.len() {
            0 => String::new(),
            others => format!(" and {others} more"),
        };
        let numbers = numbers.join(", ");
        let message = format!("{}: the server lacks part {numbers}{others}", self.upload);
        let arguments = format!("{} --from {}", self.upload, self.from.display());
        Failure::new(Exit::from(Reason::PartsMissing), message).hint(format!(
            "sign them anew with `sluice uploads sign {arguments}`, or send them with `sluice \
             uploads resume {arguments}`"
        ))
    }

    fn about(&self, error: sluice_sdk::Error) -> Failure {
        Failure::from(error).about(&self.upload)
    }
}
