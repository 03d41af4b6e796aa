//! What a server on S3 and DynamoDB needs.

use std::time::Instant;

use sluice_server::{
    adapters::aws::setup::{Problem, Requirement, Setup, State},
    config::Config,
};

use super::{Finding, Report};
use crate::{exit::Exit, failure::Failure};

/// What mends whatever is not there.
const BOOTSTRAP: &str = "`sluice admin bootstrap` makes it so";

/// Looks at one thing after the other.
pub(super) async fn look(
    report: &mut Report,
    config: &Config,
    read_only: bool,
) -> Result<(), Failure> {
    let setup = Setup::new(config).await.map_err(|error| Failure::usage(error.to_string()))?;
    let mut missing = Vec::new();
    for requirement in Requirement::ALL {
        let finding = match requirement.needs() {
            Some(before) if missing.contains(&before) => Finding::skipped("not looked at"),
            _ => find(&setup, requirement).await,
        };
        if !report.add(requirement.name(), finding)? {
            missing.push(requirement);
        }
    }
    for (name, needed) in [("storage", Requirement::Bucket), ("database", Requirement::Table)] {
        let finding = if missing.contains(&needed) {
            Finding::skipped("not looked at")
        } else if read_only {
            Finding::skipped("left out, as asked")
        } else {
            let started = Instant::now();
            let tried = match needed {
                Requirement::Bucket => setup.try_storage().await,
                _ => setup.try_database().await,
            };
            match tried {
                Ok(message) => Finding::ok(message).took(started.elapsed()),
                Err(problem) => failed(problem),
            }
        };
        report.add(name, finding)?;
    }
    Ok(())
}

async fn find(setup: &Setup, requirement: Requirement) -> Finding {
    let started = Instant::now();
    match setup.look(requirement).await {
        Ok(State::Met(message)) => Finding::ok(message).took(started.elapsed()),
        Ok(State::Unknown(message)) => Finding::skipped(message),
        Ok(State::Unmet) => {
            let to_do = format!("to do: {}", setup.aim(requirement));
            match requirement {
                // Nothing works without these.
                Requirement::Bucket | Requirement::Table => {
                    Failure::new(Exit::Other, to_do).hint(BOOTSTRAP).into()
                }
                _ => Finding::warning(to_do, BOOTSTRAP),
            }
        }
        Err(problem) => failed(problem),
    }
}

fn failed(problem: Problem) -> Finding {
    let exit = if problem.passes { Exit::Temporary } else { Exit::Other };
    Failure::new(exit, problem.story).hint(problem.hint).into()
}
