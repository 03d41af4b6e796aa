//! `sluice admin bootstrap`: makes what a server on S3 and DynamoDB needs.

use std::{io::Write, path::PathBuf};

use anstyle::{AnsiColor, Style};
use clap::Args;
use serde::Serialize;
use sluice_server::{
    StartError,
    adapters::aws::setup::{Problem, Requirement, Setup, State},
    app::bootstrap::{self, OperatorKey},
    config::{Config, Engine, Overrides},
};

use crate::{
    command::config::server as configuration, display::DisplayArguments, event::print_event,
    exit::Exit, failure::Failure, terminal,
};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const PLAIN: Style = Style::new();

/// What `--help` says at the top.
pub(super) const ABOUT: &str = "\
Make what a server on S3 and DynamoDB needs: the bucket, the table, and the operator's API key.

What is there already stays as it is, so running it again changes nothing. It reads the configuration of \
the server, and finds credentials as all AWS programs do. The operator's key is put into the data folder of \
this machine, where the other commands find it.";

#[derive(Debug, Args)]
pub(super) struct BootstrapArguments {
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// Make a new API key for the operator; the one before ends
    #[arg(long)]
    new_key: bool,
    /// Folder for the operator's API key [default: sluice in the user's data folder]
    #[arg(long, env = "SLUICE_DATA_DIR", value_name = "FOLDER", hide_env_values = true)]
    data_dir: Option<PathBuf>,
    /// Configuration file of the server; `sluice config example --serve` shows one
    #[arg(long, env = "SLUICE_CONFIG", value_name = "FILE", hide_env_values = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    pub(super) display: DisplayArguments,
}

/// How one thing is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    /// It was so before.
    Ok,
    /// It was made so.
    Done,
    /// It would be made so.
    ToDo,
    /// It could not be made so.
    Failed,
    /// Not looked at, or not there to be looked at.
    Skipped,
}

/// The same as JSON.
#[derive(Serialize)]
struct StepView<'a> {
    name: &'a str,
    status: Status,
    message: &'a str,
    hint: Option<&'a str>,
}

/// The last line as JSON.
#[derive(Serialize)]
struct BootstrapView {
    done: usize,
    to_do: usize,
    failed: usize,
    api_key_file: PathBuf,
    setup_token: Option<String>,
}

impl BootstrapArguments {
    pub(super) async fn run(self) -> Result<Exit, Failure> {
        let overrides = Overrides {
            config_file: self.config.clone(),
            data_dir: self.data_dir.clone(),
            ..Overrides::default()
        };
        let config = configuration::check(&overrides)?;
        if config.storage.engine != Engine::Aws {
            let failure = "storage.engine is \"embedded\", which needs nothing but `sluice serve`";
            return Err(Failure::usage(failure)
                .hint("set it to \"aws\" in the server's configuration, or leave this out"));
        }
        let mut steps = Steps { json: self.display.json, taken: Vec::new() };
        let setup = Setup::new(&config).await;
        let setup = setup.map_err(|error| Failure::usage(error.to_string()))?;
        for requirement in Requirement::ALL {
            self.meet(&setup, requirement, &mut steps).await?;
        }
        let setup_token = match steps.is_good(Requirement::Table.name()) {
            true => self.let_operator_in(&config, &mut steps).await?,
            false if self.dry_run => {
                let message = key_message(&config);
                steps.add("operator", Status::ToDo, &message, None)?;
                None
            }
            false => {
                steps.add("operator", Status::Skipped, "not looked at", None)?;
                None
            }
        };
        steps.finish(&config, setup_token, self.dry_run)
    }

    /// Makes one thing so, unless it is.
    async fn meet(
        &self,
        setup: &Setup,
        requirement: Requirement,
        steps: &mut Steps,
    ) -> Result<(), Failure> {
        let name = requirement.name();
        if let Some(before) = requirement.needs()
            && !steps.is_good(before.name())
        {
            if self.dry_run && steps.status(before.name()) == Some(Status::ToDo) {
                return steps.add(name, Status::ToDo, &setup.aim(requirement), None);
            }
            let message = format!("not looked at without the {}", before.name());
            return steps.add(name, Status::Skipped, &message, None);
        }
        let failed = |steps: &mut Steps, problem: &Problem| {
            steps.add(name, Status::Failed, &problem.story, Some(&problem.hint))
        };
        match setup.look(requirement).await {
            Ok(State::Met(message)) => steps.add(name, Status::Ok, &message, None),
            Ok(State::Unknown(message)) => steps.add(name, Status::Skipped, &message, None),
            Ok(State::Unmet) if self.dry_run => {
                steps.add(name, Status::ToDo, &setup.aim(requirement), None)
            }
            Ok(State::Unmet) => match setup.mend(requirement).await {
                Ok(()) => match setup.look(requirement).await {
                    Ok(State::Met(message)) => steps.add(name, Status::Done, &message, None),
                    Ok(_) => {
                        let aim = setup.aim(requirement);
                        let story = format!("it was accepted, and is not so: {aim}");
                        steps.add(name, Status::Failed, &story, Some("run it again in a minute"))
                    }
                    Err(problem) => failed(steps, &problem),
                },
                Err(problem) => failed(steps, &problem),
            },
            Err(problem) => failed(steps, &problem),
        }
    }

    /// Puts the operator's key into the data folder; answers the token with which
    /// the operator registers.
    async fn let_operator_in(
        &self,
        config: &Config,
        steps: &mut Steps,
    ) -> Result<Option<String>, Failure> {
        let folder = config.storage.data_dir.display();
        let found = match bootstrap::look_at_key(config).await {
            Ok(found) => found,
            Err(error) => return steps.fail("operator", &error),
        };
        let (status, message) = match found {
            OperatorKey::Works => (Status::Ok, format!("the API key in {folder} works")),
            OperatorKey::Elsewhere if !self.new_key => {
                let message = format!("the operator's API key is not in {folder}");
                let hint = "that is as it should be on other machines than the first one; \
                            --new-key makes a new one here, and ends the other";
                steps.add("operator", Status::Skipped, &message, Some(hint))?;
                return Ok(None);
            }
            _ if self.dry_run => (Status::ToDo, key_message(config)),
            _ => (Status::Done, format!("the API key is in {folder}")),
        };
        if self.dry_run {
            steps.add("operator", status, &message, None)?;
            return Ok(None);
        }
        match bootstrap::install_key(config).await {
            Ok(token) => {
                steps.add("operator", status, &message, None)?;
                Ok(token)
            }
            Err(error) => steps.fail("operator", &error),
        }
    }
}

fn key_message(config: &Config) -> String {
    format!("put an API key into {}", config.storage.data_dir.display())
}

/// Tells each step when it is taken.
struct Steps {
    json: bool,
    taken: Vec<(String, Status)>,
}

impl Steps {
    fn add(
        &mut self,
        name: &str,
        status: Status,
        message: &str,
        hint: Option<&str>,
    ) -> Result<(), Failure> {
        self.taken.push((name.to_owned(), status));
        if self.json {
            return print_event("step", &StepView { name, status, message, hint });
        }
        let (style, word) = match status {
            Status::Ok => (GOOD, "ok"),
            Status::Done => (GOOD, "done"),
            Status::ToDo => (ODD, "to do"),
            Status::Failed => (BAD, "bad"),
            Status::Skipped => (PLAIN, "-"),
        };
        let mut output = anstream::stdout().lock();
        writeln!(output, "{style}{word:>5}{style:#}  {name:<13} {message}")?;
        if let Some(hint) = hint {
            writeln!(output, "{:20} → {hint}", "")?;
        }
        Ok(())
    }

    fn fail<T>(&mut self, name: &str, error: &StartError) -> Result<Option<T>, Failure> {
        let hint = "the log above says more; try again when it is mended";
        self.add(name, Status::Failed, &error.to_string(), Some(hint))?;
        Ok(None)
    }

    fn status(&self, name: &str) -> Option<Status> {
        self.taken.iter().find(|(taken, _)| taken == name).map(|(_, status)| *status)
    }

    /// Whether this is as it must be.
    fn is_good(&self, name: &str) -> bool {
        matches!(self.status(name), Some(Status::Ok | Status::Done))
    }

    fn finish(
        self,
        config: &Config,
        setup_token: Option<String>,
        dry_run: bool,
    ) -> Result<Exit, Failure> {
        let count = |wanted| self.taken.iter().filter(|(_, status)| *status == wanted).count();
        let failed = count(Status::Failed);
        let exit = if failed == 0 { Exit::Success } else { Exit::Other };
        if self.json {
            let api_key_file = config.storage.data_dir.join("api-key");
            let (done, to_do) = (count(Status::Done), count(Status::ToDo));
            let view = BootstrapView { done, to_do, failed, api_key_file, setup_token };
            print_event("bootstrap", &view)?;
            return Ok(exit);
        }
        if failed > 0 {
            terminal::note("not everything is there yet; mend the first thing that is bad first");
        } else if dry_run {
            terminal::note("nothing was changed");
        } else {
            terminal::note("all is there: `sluice serve` can start");
        }
        if let Some(token) = setup_token {
            terminal::note(&format!(
                "\nNobody has registered yet. `sluice register` on this machine makes the operator's \
                 account; from elsewhere it takes this token, once:\n\n  {token}\n"
            ));
        }
        Ok(exit)
    }
}
