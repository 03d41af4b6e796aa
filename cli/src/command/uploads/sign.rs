//! `sluice uploads sign`: requests with which anybody can send parts.

use std::{collections::BTreeMap, io::Write, path::PathBuf};

use clap::Args;
use serde::Serialize;
use sluice_domain::ByteRange;
use sluice_sdk::v1::{DeclaredPart, SignedPart};

use super::parts::{AT_A_TIME, PartsHere};
use crate::{
    display::DisplayArguments, event::print_event, exit::Exit, failure::Failure,
    remote::RemoteArguments, terminal,
};

/// What `--help` says at the top.
pub(super) const ABOUT: &str = "\
Print HTTP requests with which anybody can send parts of an upload, without another credential.

Each is for one part: its method, its URL, and headers that have to be sent exactly so, with the bytes of \
the part as the body. The URLs are secrets. `sluice uploads complete` makes a file of what was sent.";

#[derive(Debug, Args)]
pub(crate) struct SignArguments {
    /// Id of the upload
    #[arg(value_name = "ID")]
    upload: String,
    /// File with the bytes of the upload, whose checksums become part of the requests
    #[arg(long, value_name = "PATH")]
    from: PathBuf,
    /// Number of a part, from 1; may be repeated [default: all that the server lacks]
    #[arg(long = "part", value_name = "NUMBER")]
    parts: Vec<u32>,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// A request as JSON.
#[derive(Debug, Serialize)]
struct RequestView<'a> {
    upload_id: &'a str,
    part_number: i32,
    offset: u64,
    size: u64,
    crc32c: Option<String>,
    method: &'a str,
    url: &'a str,
    headers: &'a BTreeMap<String, String>,
    expire_time: Option<String>,
}

impl SignArguments {
    pub(super) async fn run(mut self) -> Result<Exit, Failure> {
        self.parts.sort_unstable();
        self.parts.dedup();
        let client = self.remote.connect().await?;
        let here = PartsHere::of(&client, &self.upload, &self.from).await?;
        let parts = match &self.parts[..] {
            [] => here.missing(),
            named => named.iter().map(|number| here.named(*number)).collect::<Result<_, _>>()?,
        };
        let mut signed_parts = 0;
        for some in parts.chunks(AT_A_TIME) {
            let declared = here.declare(some).await?;
            let epoch = here.upload.writer_epoch;
            let signed = client.sign_upload_parts(&here.upload.id, epoch, declared.clone()).await;
            let signed = signed.map_err(|error| Failure::from(error).about(&self.upload))?;
            signed_parts += signed.len();
            for (part, declared) in some.iter().zip(&declared) {
                let signed = signed.iter().find(|it| it.part_number == declared.part_number);
                if let Some(signed) = signed {
                    self.print(&here, here.range(*part), declared, signed)?;
                }
            }
        }
        if signed_parts < parts.len() || parts.is_empty() {
            terminal::note("what is not printed is on the server already");
        }
        Ok(Exit::Success)
    }

    fn print(
        &self,
        here: &PartsHere,
        range: ByteRange,
        declared: &DeclaredPart,
        signed: &SignedPart,
    ) -> Result<(), Failure> {
        let view = RequestView {
            upload_id: &here.upload.id,
            part_number: signed.part_number,
            offset: range.start,
            size: range.len(),
            crc32c: declared.crc32c.map(|crc| format!("{crc:08x}")),
            method: &signed.method,
            url: &signed.url,
            headers: &signed.headers,
            expire_time: signed.expire_time.map(|time| time.to_string()),
        };
        match self.display.json {
            true => print_event("signed_part", &view),
            false => Ok(std::io::stdout().lock().write_all(view.text().as_bytes())?),
        }
    }
}

impl RequestView<'_> {
    /// The same for people: what it is about, and the request.
    fn text(&self) -> String {
        let Self { part_number, offset, size, method, url, .. } = self;
        let until = self.expire_time.as_deref().map(|time| format!(", until {time}"));
        let headers = self.headers.iter().map(|(name, value)| format!("{name}: {value}\n"));
        format!(
            "# part {part_number}: {size} bytes from {offset} on{}\n{method} {url}\n{}\n",
            until.unwrap_or_default(),
            headers.collect::<String>()
        )
    }
}
