//! `sluice verify`: whether the bytes here are the bytes there.

mod check;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{Args, value_parser};
use futures::{StreamExt, TryStreamExt, stream};
use sluice_sdk::{CancellationToken, Client};

use self::check::{Checker, Finding, Subject};
use super::sync::Place;
use crate::{
    display::DisplayArguments,
    exit::Exit,
    failure::Failure,
    filter::{Filter, FilterArguments},
    join::{Joined, join},
    local_tree::{self, Found, LocalFile, relative_name, unreadable},
    progress::Board,
    remote::RemoteArguments,
    remote_file::{folder_prefix, resolve},
    remote_tree::{below, no_such_folder},
    report::Report,
    speed::PaceArguments,
    summary::Event,
    terminal,
};

/// What `--help` says at the top.
pub(crate) const ABOUT: &str = "\
Check that files here and on the server have the same bytes.

Exit code 12 means that something is not as it should be, 4 that something is not on the server. What \
only the server has is not looked at.";

/// Streams for each file that is read on the server: its bytes are looked at in
/// their order.
const STREAMS: u16 = 1;

#[derive(Debug, Args)]
pub(crate) struct VerifyArguments {
    /// File or folder here; or server:NAME, to check what the server has by itself
    #[arg(value_name = "PATH", value_parser = value_parser!(OsString))]
    path: OsString,
    /// File or folder on the server, with or without server: [default: as it is called here]
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// Also read the content that the server has, and check it against its checksums
    #[arg(long)]
    deep: bool,
    #[command(flatten)]
    filter: FilterArguments,
    #[command(flatten)]
    pace: PaceArguments,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// What is to be checked.
enum Scope {
    File(PathBuf, String),
    Folder(PathBuf, String),
    Server(String),
}

/// One verification under way.
struct Run<'a> {
    client: &'a Client,
    filter: Filter,
    checker: Checker<'a>,
    stop: CancellationToken,
    at_a_time: usize,
    report: Report,
}

impl VerifyArguments {
    pub(crate) async fn run(mut self) -> Result<Exit, Failure> {
        self.pace = self.pace.settled(&self.remote.settings()?);
        let filter = self.filter.compile()?;
        let scope = self.scope()?;
        let client = self.pace.connect(&self.remote, STREAMS).await?;
        let board = Board::growing(self.display.progress());
        let report = Report::begin("verified", &self.display, board);
        let deep = self.deep || matches!(scope, Scope::Server(_));
        let gate = Arc::new(self.pace.gate(&client, STREAMS));
        let mut run = Run {
            client: &client,
            filter,
            checker: Checker { client: &client, deep, board: report.board.clone(), gate },
            stop: report.stop.clone(),
            at_a_time: self.pace.files(STREAMS),
            report,
        };
        match scope {
            Scope::File(path, name) => run.file(&path, &name).await?,
            Scope::Folder(path, name) => run.folder(&path, &name).await?,
            Scope::Server(name) => run.server(&name).await?,
        }
        run.report.answer()
    }

    fn scope(&self) -> Result<Scope, Failure> {
        let path = match Place::parse(&self.path) {
            Place::Here(path) => path,
            Place::Server(name) if self.name.is_none() => return Ok(Scope::Server(name)),
            Place::Server(_) => {
                return Err(Failure::usage(
                    "PATH is on the server already, so NAME has no meaning",
                ));
            }
        };
        let metadata = std::fs::metadata(&path).map_err(|error| unreadable(&path, &error))?;
        let name = match &self.name {
            Some(name) => match Place::parse(name.as_ref()) {
                Place::Server(name) => name,
                Place::Here(_) => name.clone(),
            },
            None => own_name(&path)?,
        };
        Ok(match metadata.is_dir() {
            true => Scope::Folder(path, name),
            false => Scope::File(path, name),
        })
    }
}

impl Run<'_> {
    async fn file(&mut self, path: &Path, name: &str) -> Result<(), Failure> {
        let file = resolve(self.client, name).await?;
        let local =
            LocalFile { path: path.to_owned(), name: file.name.clone(), size: 0, modified: None };
        let subject = Subject { local: Some(local), file: Some(file) };
        let finding = self.checker.check(&subject, &self.stop).await;
        self.tell(&subject, finding)
    }

    async fn folder(&mut self, folder: &Path, name: &str) -> Result<(), Failure> {
        let filter = self.filter.clone();
        let here = local_tree::stream(folder, filter.clone()).map(Ok);
        let mut there = Box::pin(below(self.client, name).peekable());
        if there.as_mut().peek().await.is_none() {
            // One error for all of them.
            return Err(no_such_folder(&format!("{name} on the server")));
        }
        let prefix = folder_prefix(name);
        let there = there.try_filter(move |file| std::future::ready(filter.takes(file.name())));
        let subjects = join(here, there).try_filter_map(|joined| async {
            Ok(match joined {
                Joined::Left(found) => Some((found, None)),
                Joined::Both(found, there) => Some((found, Some(there.file))),
                Joined::Right(_) => None,
            })
        });
        let subjects = subjects.take_until(self.stop.clone().cancelled_owned());
        let (checker, stop) = (self.checker.clone(), self.stop.clone());
        let findings = subjects.map(async |subject: Result<_, Failure>| {
            let (found, file) = subject?;
            let subject = match found {
                Found::File(local) => {
                    let name = format!("{prefix}{}", local.name);
                    Subject { local: Some(LocalFile { name, ..local }), file }
                }
                Found::LeftOut(why) => return Ok(Err((String::new(), Failure::usage(why)))),
                Found::Problem(path, failure) => {
                    return Ok(Err((path.display().to_string(), failure)));
                }
            };
            let finding = checker.check(&subject, &stop).await;
            Ok::<_, Failure>(Ok((subject, finding)))
        });
        let mut findings = Box::pin(findings.buffer_unordered(self.at_a_time));
        while let Some(found) = findings.next().await {
            match found? {
                Ok((subject, finding)) => self.tell(&subject, finding)?,
                Err((path, why)) if path.is_empty() => {
                    self.report.board.print(|| terminal::warning(&why.message));
                }
                Err((path, failure)) => self.report.failed(&path, &failure)?,
            }
        }
        Ok(())
    }

    /// Reads everything that the server has under a name.
    async fn server(&mut self, name: &str) -> Result<(), Failure> {
        let one = match name {
            "" => None,
            name => self.client.find(name).await?,
        };
        let filter = self.filter.clone();
        let all = below(self.client, name)
            .try_filter(move |file| std::future::ready(filter.takes(file.name())))
            .map_ok(|below| below.file);
        let files = stream::iter(one.map(Ok)).chain(all);
        let files = files.take_until(self.stop.clone().cancelled_owned());
        let (checker, stop) = (self.checker.clone(), self.stop.clone());
        let findings = files.map(async |file: Result<_, Failure>| {
            let subject = Subject { local: None, file: Some(file?) };
            let finding = checker.check(&subject, &stop).await;
            Ok::<_, Failure>((subject, finding))
        });
        let mut findings = Box::pin(findings.buffer_unordered(self.at_a_time));
        let mut empty = true;
        while let Some(found) = findings.next().await {
            empty = false;
            let (subject, finding) = found?;
            self.tell(&subject, finding)?;
        }
        match empty && !self.stop.is_cancelled() {
            true => Err(no_such_folder(&format!("or file {name}"))),
            false => Ok(()),
        }
    }

    fn tell(&mut self, subject: &Subject, finding: Finding) -> Result<(), Failure> {
        let name = subject.name();
        match finding {
            Finding::Sound { size } => {
                let file_id = subject.file.as_ref().map_or("", |file| &file.id);
                self.report.summary.verified(&Event::Verified { name, file_id, size })
            }
            Finding::Stopped => {
                self.report.summary.stopped();
                Ok(())
            }
            Finding::Wrong(failure) => self.report.failed(name, &failure),
        }
    }
}

fn own_name(path: &Path) -> Result<String, Failure> {
    match path.file_name() {
        Some(name) => relative_name(Path::new(name)),
        // `.` and `..` are called as nothing there is.
        None => Err(Failure::usage(format!("{} has no name of its own", path.display()))
            .hint("say which folder on the server is meant: sluice verify . server:FOLDER")),
    }
}
