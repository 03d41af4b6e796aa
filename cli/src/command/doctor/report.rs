//! What was looked at, and what was found.

use std::{io::Write, time::Duration};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::{event::print_event, exit::Exit, failure::Failure, units};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const ODD: Style = AnsiColor::Yellow.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const PLAIN: Style = Style::new();

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Ok,
    /// It works, and may not as it should.
    Warning,
    Failed,
    /// Not looked at, because of what failed before or because it is not asked
    /// for.
    Skipped,
}

/// What was found.
#[derive(Debug)]
pub(super) struct Finding {
    status: Status,
    message: String,
    hint: Option<String>,
    exit: Exit,
    elapsed: Option<Duration>,
}

/// The same as JSON.
#[derive(Serialize)]
struct CheckView<'a> {
    name: &'a str,
    status: Status,
    message: &'a str,
    hint: Option<&'a str>,
    seconds: Option<f64>,
}

/// The last line as JSON.
#[derive(Serialize)]
struct DiagnosisView {
    ok: usize,
    warnings: usize,
    failed: usize,
    skipped: usize,
    code: u8,
}

impl Finding {
    pub(super) fn ok(message: impl Into<String>) -> Self {
        Self {
            status: Status::Ok,
            message: message.into(),
            hint: None,
            exit: Exit::Success,
            elapsed: None,
        }
    }

    pub(super) fn warning(message: impl Into<String>, hint: impl Into<String>) -> Self {
        let hint = Some(hint.into());
        Self { status: Status::Warning, hint, ..Self::ok(message) }
    }

    pub(super) fn skipped(message: impl Into<String>) -> Self {
        Self { status: Status::Skipped, ..Self::ok(message) }
    }

    pub(super) fn took(self, elapsed: Duration) -> Self {
        Self { elapsed: Some(elapsed), ..self }
    }

    pub(super) fn is_bad(&self) -> bool {
        self.status == Status::Failed
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        let Failure { exit, message, hint } = failure;
        Self { status: Status::Failed, message, hint, exit, elapsed: None }
    }
}

/// Tells each finding when it is made.
pub(super) struct Report {
    json: bool,
    findings: Vec<(Status, Exit)>,
}

impl Report {
    pub(super) fn new(json: bool) -> Self {
        Self { json, findings: Vec::new() }
    }

    /// Notes what was found; answers whether to go on.
    pub(super) fn add(&mut self, name: &str, finding: Finding) -> Result<bool, Failure> {
        self.findings.push((finding.status, finding.exit));
        if self.json {
            let view = CheckView {
                name,
                status: finding.status,
                message: &finding.message,
                hint: finding.hint.as_deref(),
                seconds: finding.elapsed.map(|elapsed| elapsed.as_secs_f64()),
            };
            print_event("check", &view)?;
            return Ok(!finding.is_bad());
        }
        let (style, word) = match finding.status {
            Status::Ok => (GOOD, "ok"),
            Status::Warning => (ODD, "odd"),
            Status::Failed => (BAD, "bad"),
            Status::Skipped => (PLAIN, "-"),
        };
        let elapsed = match finding.elapsed {
            Some(elapsed) => format!(" ({})", units::milliseconds(elapsed)),
            None => String::new(),
        };
        let mut output = anstream::stdout().lock();
        let message = &finding.message;
        writeln!(output, "{style}{word:>4}{style:#}  {name:<12} {message}{elapsed}")?;
        if let Some(hint) = &finding.hint {
            writeln!(output, "{:18} → {hint}", "")?;
        }
        Ok(!finding.is_bad())
    }

    /// Answers how the process ends: as the first failure does.
    pub(super) fn finish(self) -> Result<Exit, Failure> {
        let count = |wanted| self.findings.iter().filter(|(status, _)| *status == wanted).count();
        let failed = self.findings.iter().find(|(status, _)| *status == Status::Failed);
        let exit = failed.map_or(Exit::Success, |(_, exit)| *exit);
        let (warnings, failures) = (count(Status::Warning), count(Status::Failed));
        if self.json {
            print_event(
                "diagnosis",
                &DiagnosisView {
                    ok: count(Status::Ok),
                    warnings,
                    failed: failures,
                    skipped: count(Status::Skipped),
                    code: exit as u8,
                },
            )?;
        } else {
            let said = match (failures, warnings) {
                (0, 0) => "all is well".to_owned(),
                (0, odd) => format!("it works; {} may be worth a look", units::count(odd, "thing")),
                (bad, _) => {
                    format!("{} to mend, the first one first", units::count(bad, "thing"))
                }
            };
            writeln!(anstream::stdout().lock(), "{said}")?;
        }
        Ok(exit)
    }
}
