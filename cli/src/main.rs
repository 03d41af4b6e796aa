//! The `sluice` command: a server, and a client of it.

mod command;

mod confirmation;
mod credentials;
mod display;
mod event;
mod filter;
mod gate;
mod handshake;
mod join;
mod local_file;
mod local_tree;
mod modified;
mod progress;
mod prompt;
mod remote;
mod remote_account;
mod remote_file;
mod remote_tree;
mod remote_upload;
mod report;
mod settings;
mod speed;
mod summary;
mod terminal;
mod transfer_arguments;
mod units;

mod exit;
mod failure;
mod interrupt;

use std::process::ExitCode;

use clap::Parser;
use tokio::runtime::Runtime;

use crate::{command::Command, exit::Exit, failure::Failure};

/// Uploads that survive everything: a server for large files, and its client.
#[derive(Debug, Parser)]
#[command(
    name = "sluice",
    version,
    propagate_version = false,
    max_term_width = 100,
    after_help = "\
Examples:
  sluice serve                                  a server on this machine
  sluice upload -r photos                       the same again goes on after a break
  sluice ls photos
  sluice download holiday.mp4
  sluice doctor                                 what is wrong between here and a server",
    after_long_help = "\
Examples:
  sluice serve                                  a server on this machine
  sluice upload -r photos                       the same again goes on after a break
  sluice ls photos
  sluice download holiday.mp4
  sluice doctor                                 what is wrong between here and a server

Exit codes:
   0  done                          8  the quota is used up, or the disk full
   1  anything else                11  the key or a certificate is not accepted
   2  the command makes no sense   12  bytes are not what they should be
   4  not found                    13  some files went well, others did not
   5  it may go well later        130  Ctrl-C
   6  the server never takes this

With --json, standard output has one JSON object a line. Settings come from options, then the
environment, then a profile of the file that `sluice config path` names."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

fn main() -> ExitCode {
    let arguments = Arguments::try_parse().unwrap_or_else(|refused| refuse(&refused));
    let runtime = match Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            terminal::failure(&Failure::new(Exit::Other, format!("cannot start: {error}")));
            return Exit::Other.into();
        }
    };
    let display = arguments.command.display().cloned();
    if let Some(display) = &display {
        display.apply();
    }
    let done = runtime.block_on(arguments.command.run());
    // Somebody may still wait for a key to be pressed on standard input.
    runtime.shutdown_background();
    match done {
        Ok(exit) => exit.into(),
        Err(failure) => {
            if display.is_some_and(|display| display.json) {
                event::print_error(&failure);
            }
            terminal::failure(&failure);
            failure.exit.into()
        }
    }
}

/// Ends the process because of a command line that is not understood, or one
/// that asks for help. Without arguments it is not known that programs listen,
/// but for the word.
fn refuse(refused: &clap::Error) -> ! {
    let for_programs = std::env::args_os().skip(1).take_while(|word| word != "--");
    if refused.use_stderr() && for_programs.into_iter().any(|word| word == "--json") {
        let text = refused.render().to_string();
        let lines = text.lines().map(str::trim).take_while(|line| !line.is_empty());
        let message = lines.collect::<Vec<_>>().join(" ");
        event::print_error(&Failure::usage(message.trim_start_matches("error: ")));
    }
    refused.exit()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
