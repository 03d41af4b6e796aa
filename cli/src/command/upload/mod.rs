//! `sluice upload`: files, folders and standard input.

mod attempt;
mod choices;
mod collect;
mod existing;
mod follow;
mod journal;
mod report;
mod same;
mod transfer;

use std::path::PathBuf;

use clap::{Args, value_parser};
use futures::{StreamExt, stream};

pub(crate) use self::{
    choices::{Choices, ConflictChoice},
    collect::{Item, Origin},
    existing::Existing,
    journal::{Journal, Record},
    transfer::{Outcome, Uploader},
};
use self::{
    collect::{Collected, Naming, collect},
    existing::with_existing,
};
use crate::{
    exit::Exit, failure::Failure, progress::Board, report::Report, terminal,
    transfer_arguments::TransferArguments, units,
};

#[derive(Debug, Args)]
pub(crate) struct UploadArguments {
    /// Files or folders; - is standard input
    #[arg(value_name = "PATH", required = true)]
    paths: Vec<PathBuf>,
    /// Name of the file on the server [default: as it is called here]
    #[arg(short, long)]
    name: Option<String>,
    /// Folder on the server to put everything into
    #[arg(short, long, value_name = "FOLDER", conflicts_with = "name")]
    prefix: Option<String>,
    /// Upload folders with everything in them
    #[arg(short, long)]
    recursive: bool,
    /// What to do when there is a file of that name with other content
    #[arg(long, value_name = "CHOICE", default_value = "fail")]
    on_conflict: ConflictChoice,
    /// Content type [default: by the name's extension]
    #[arg(long, value_name = "TYPE")]
    content_type: Option<String>,
    /// A label for the files; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = key_and_value)]
    metadata: Vec<(String, String)>,
    /// Size of parts, a power of two; small ones lose less on slow links [default: by size]
    #[arg(long, value_name = "SIZE", value_parser = units::parse_bytes)]
    part_size: Option<u64>,
    /// SHA-256 that the one file must have, in hex; waits until the server has checked it
    #[arg(long, value_name = "SHA256", value_parser = parse_sha256)]
    checksum: Option<[u8; 32]>,
    /// Wait until each file can be read, which takes a moment where the server examines it
    #[arg(long)]
    wait: bool,
    /// Most parts of standard input or a pipe in memory at a time [default: one more than streams]
    #[arg(long, value_name = "COUNT", hide_short_help = true, value_parser = value_parser!(u16).range(1..=1024))]
    parts_in_memory: Option<u16>,
    /// Begin anew and keep no record to go on from
    #[arg(long)]
    no_resume: bool,
    /// Only show what would be uploaded
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    pub(super) transfer: TransferArguments,
}

impl UploadArguments {
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        self.transfer = self.transfer.settled()?;
        let TransferArguments { filter, speed, display, .. } = &self.transfer;
        filter.only_with(self.recursive)?;
        let naming = Naming { name: self.name.as_deref(), prefix: self.prefix.as_deref() };
        let filter = filter.compile()?;
        let collected = collect(&self.paths, naming, self.recursive, &filter)?;
        if self.checksum.is_some() && collected.items().count() != 1 {
            return Err(Failure::usage("--checksum is for one file"));
        }
        let client = self.transfer.connect().await?;
        let sizes: Vec<_> = collected.items().map(Item::size).collect();
        let verb = if self.dry_run { "would upload" } else { "uploaded" };
        let mut report = Report::begin(verb, display, Board::new(display.progress(), &sizes));
        let choices = self.choices(sizes.len())?;
        let uploader = Uploader::new(&client, &choices, speed.gate(&client), &report);

        let Collected { groups, problems, left_out } = collected;
        for why in &left_out {
            report.board.print(|| terminal::warning(why));
        }
        for (name, problem) in &problems {
            report.failed(name, problem)?;
        }
        let items = stream::iter(groups).flat_map(|items| with_existing(&client, items));
        let items = items.take_until(report.stop.clone().cancelled_owned());
        let outcomes = items.map(async |item| {
            let (item, existing) = item?;
            let outcome = match self.dry_run {
                true => uploader.would_upload(&item, existing).await,
                false => uploader.upload(&item, existing).await,
            };
            Ok::<_, Failure>((item, outcome))
        });
        let mut outcomes = speed.work_on(outcomes, self.dry_run);
        while let Some(done) = outcomes.next().await {
            match done {
                Ok((item, outcome)) => report.uploaded(&item, outcome)?,
                Err(failure) => report.listing_failed(&failure)?,
            }
        }
        drop(outcomes);
        report.of(sizes.len() + problems.len()).finish()
    }

    fn choices(&self, files: usize) -> Result<Choices, Failure> {
        let remembered = (!self.no_resume).then(|| self.transfer.remote.endpoint());
        Ok(Choices {
            remember_for: remembered.transpose()?,
            on_conflict: self.on_conflict,
            content_type: self.content_type.clone(),
            labels: self.metadata.iter().cloned().collect(),
            part_size: self.part_size,
            streams: self.transfer.speed.streams_of(files),
            parts_in_memory: self.parts_in_memory,
            quiet: self.transfer.display.quiet,
            sha256: self.checksum,
            by_time: false,
            // Before that, nothing is known about the checksum.
            wait: self.wait || self.checksum.is_some(),
        })
    }
}

fn key_and_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a label looks like KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

fn parse_sha256(text: &str) -> Result<[u8; 32], String> {
    let bytes = hex::decode(text.strip_prefix("sha256:").unwrap_or(text)).ok();
    let digest = bytes.and_then(|bytes| bytes.try_into().ok());
    digest.ok_or_else(|| "a SHA-256 has 64 hexadecimal digits, as sha256sum prints them".into())
}
