//! `sluice man`: manual pages.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use crate::{exit::Exit, failure::Failure};

#[derive(Debug, Args)]
pub(crate) struct ManArguments {
    /// Command whose page to print [default: that of sluice]
    #[arg(value_name = "COMMAND", conflicts_with = "out")]
    command: Vec<String>,
    /// Write all pages into this folder instead
    #[arg(short, long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

impl ManArguments {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let mut all = crate::Arguments::command().disable_help_subcommand(true);
        all.build();
        if let Some(folder) = &self.out {
            let written = fs::create_dir_all(folder).and_then(|()| write_all(&all, folder));
            written.map_err(|error| {
                let message = format!("cannot write to {}: {error}", folder.display());
                Failure::new(Exit::Other, message)
            })?;
            return Ok(Exit::Success);
        }
        let command = self.command.iter().try_fold(&all, |command, name| {
            command.find_subcommand(name).ok_or_else(|| {
                Failure::usage(format!("there is no command {name}"))
                    .hint("`sluice --help` lists the commands")
            })
        })?;
        let mut page = Vec::new();
        page_of(command).render(&mut page)?;
        io::stdout().lock().write_all(&page)?;
        Ok(Exit::Success)
    }
}

fn write_all(command: &Command, folder: &Path) -> io::Result<()> {
    let man = page_of(command);
    let mut page = Vec::new();
    man.render(&mut page)?;
    fs::write(folder.join(man.get_filename()), page)?;
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    below.into_iter().try_for_each(|command| write_all(command, folder))
}

/// The page of a command.
fn page_of(command: &Command) -> Man {
    let version = concat!("sluice ", env!("CARGO_PKG_VERSION"));
    Man::new(command.clone()).source(version).manual("Sluice")
}
