//! `sluice completions`: what shells complete commands with.

use std::io::{self, Write};

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::{exit::Exit, failure::Failure};

#[derive(Debug, Args)]
pub(crate) struct CompletionsArguments {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

impl CompletionsArguments {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        clap_complete::generate(
            self.shell,
            &mut crate::Arguments::command(),
            "sluice",
            &mut script,
        );
        io::stdout().lock().write_all(&script)?;
        Ok(Exit::Success)
    }
}
