//! `sluice config`: what is configured, and whether it makes sense.

#[cfg(feature = "serve")]
pub(super) mod server;

use std::{fs, io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

#[cfg(feature = "serve")]
use super::serve::ServerArguments;
use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    settings::{ClientFile, ShownSetting, file_path},
};

/// The example of a client's configuration.
const EXAMPLE: &str = include_str!("../../settings/example.toml");

#[derive(Debug, Args)]
pub(crate) struct ConfigArguments {
    #[command(subcommand)]
    command: ConfigCommand,
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Show every setting, and where it comes from
    #[command(after_help = "\
Examples:
  sluice config show --profile work
  sluice config show --serve --config /etc/sluice.toml --listen 0.0.0.0:7070")]
    Show(EffectiveArguments),
    /// Look whether the configuration is right
    #[command(after_help = "\
Examples:
  sluice config check
  sluice config check --serve --config /etc/sluice.toml")]
    Check(EffectiveArguments),
    /// Print a configuration file with every setting and its default
    #[command(after_help = "\
Examples:
  sluice config example > ~/.config/sluice/client.toml
  sluice config example --serve > /etc/sluice.toml")]
    Example(TargetArguments),
    /// Print where the configuration file is looked for
    #[command(after_help = "\
Examples:
  sluice config path
  $EDITOR $(sluice config path)")]
    Path(TargetArguments),
}

#[derive(Debug, Args)]
struct TargetArguments {
    /// That of a server on this machine, not that of clients
    #[cfg(feature = "serve")]
    #[arg(long)]
    serve: bool,
    #[command(flatten)]
    display: DisplayArguments,
    #[command(flatten)]
    remote: RemoteArguments,
}

/// For what depends on every option that a server would be started with.
#[derive(Debug, Args)]
#[cfg_attr(
    feature = "serve",
    command(
        mut_arg("listen", |it| it.requires("serve").help_heading("With --serve")),
        mut_arg("log_level", |it| it.requires("serve").help_heading("With --serve"))
    )
)]
struct EffectiveArguments {
    #[command(flatten)]
    target: TargetArguments,
    #[cfg(feature = "serve")]
    #[command(flatten)]
    server: ServerArguments,
}

/// What `path` and `check` say, as JSON.
#[derive(Serialize)]
struct FileView {
    /// Absent where there is no place for one.
    path: Option<String>,
    exists: bool,
    /// Names of profiles; none of a server's configuration.
    profiles: Vec<String>,
}

impl ConfigArguments {
    /// What the command prints, and how.
    pub(crate) fn display(&self) -> &DisplayArguments {
        match &self.command {
            ConfigCommand::Show(effective) | ConfigCommand::Check(effective) => {
                &effective.target.display
            }
            ConfigCommand::Example(target) | ConfigCommand::Path(target) => &target.display,
        }
    }

    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match &self.command {
            ConfigCommand::Show(effective) => effective.show()?,
            ConfigCommand::Check(effective) => effective.check()?,
            ConfigCommand::Example(target) => target.example()?,
            ConfigCommand::Path(target) => target.path()?,
        }
        Ok(Exit::Success)
    }
}

impl EffectiveArguments {
    fn show(&self) -> Result<(), Failure> {
        let TargetArguments { remote, display, .. } = &self.target;
        let settings = match self.target.is_for_server() {
            #[cfg(feature = "serve")]
            true => server::shown(&server::overrides(remote, &self.server))?,
            _ => remote.settings()?.shown(),
        };
        if display.json {
            return settings.iter().try_for_each(|setting| print_event("setting", setting));
        }
        let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
        print_lines(settings.iter().map(|setting: &ShownSetting| setting.line(width)))
    }

    fn check(&self) -> Result<(), Failure> {
        let TargetArguments { remote, display, .. } = &self.target;
        let path = self.target.file();
        let profiles = match self.target.is_for_server() {
            #[cfg(feature = "serve")]
            true => {
                server::check(&server::overrides(remote, &self.server))?;
                Vec::new()
            }
            _ => {
                remote.settings()?;
                ClientFile::load(path.as_deref().filter(|path| path.exists()))?
                    .profiles
                    .into_keys()
                    .collect()
            }
        };
        let view = FileView::new(path, profiles);
        if display.json {
            return print_event("config", &view);
        }
        let profiles = match &view.profiles[..] {
            [] => String::new(),
            names => format!(", with the profiles {}", names.join(", ")),
        };
        print_lines([match (&view.path, view.exists) {
            (Some(path), true) => format!("{path} is right{profiles}"),
            _ => "there is no configuration file; the environment is right".to_owned(),
        }])
    }
}

impl TargetArguments {
    fn example(&self) -> Result<(), Failure> {
        if self.display.json {
            return Err(Failure::usage("the example is a TOML file: it goes not with --json"));
        }
        let example = match self.is_for_server() {
            #[cfg(feature = "serve")]
            true => sluice_server::config::EXAMPLE,
            _ => EXAMPLE,
        };
        Ok(std::io::stdout().lock().write_all(example.as_bytes())?)
    }

    fn path(&self) -> Result<(), Failure> {
        let view = FileView::new(self.file(), Vec::new());
        if self.display.json {
            return print_event("config", &view);
        }
        match view.path {
            Some(path) => print_lines([path]),
            None if self.is_for_server() => {
                let message = "a server has no configuration file unless one is named";
                Err(Failure::new(Exit::NotFound, message)
                    .hint("name it with --config or SLUICE_CONFIG"))
            }
            None => {
                let message = "this system has no folder for configuration files";
                Err(Failure::new(Exit::NotFound, message)
                    .hint("name a file with --config or SLUICE_CLIENT_CONFIG"))
            }
        }
    }

    fn file(&self) -> Option<PathBuf> {
        match self.is_for_server() {
            #[cfg(feature = "serve")]
            true => server::overrides(&self.remote, &ServerArguments::default()).config_file,
            _ => file_path(self.remote.config.as_deref()),
        }
    }

    #[cfg(feature = "serve")]
    fn is_for_server(&self) -> bool {
        self.serve
    }

    #[cfg(not(feature = "serve"))]
    fn is_for_server(&self) -> bool {
        false
    }
}

impl FileView {
    fn new(path: Option<PathBuf>, profiles: Vec<String>) -> Self {
        let exists = path.as_ref().is_some_and(|path| fs::exists(path).unwrap_or(false));
        Self { path: path.map(|path| path.display().to_string()), exists, profiles }
    }
}

fn print_lines(lines: impl IntoIterator<Item = String>) -> Result<(), Failure> {
    let mut output = std::io::stdout().lock();
    for line in lines {
        writeln!(output, "{line}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_example_says_what_holds_by_default() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        let settings = |text: &str| {
            fs::write(&path, text).unwrap();
            let remote = RemoteArguments { config: Some(path.clone()), ..Default::default() };
            let settings = crate::settings::Settings::resolve(remote, |_| None).unwrap();
            settings.shown().into_iter().map(|it| (it.key, it.value)).skip(1).collect::<Vec<_>>()
        };
        assert_eq!(settings(EXAMPLE), settings(""));
    }

    #[test]
    fn the_example_is_complete_and_its_comments_can_be_used() {
        let used: String = EXAMPLE
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(rest) if rest.contains(" = \"") || rest.starts_with('[') => rest,
                Some(rest)
                    if rest.split_once(" = ").is_some_and(|(_, n)| n.parse::<u32>().is_ok()) =>
                {
                    rest
                }
                _ => line,
            })
            .fold(String::new(), |text, line| text + line + "\n");
        let file = ClientFile::parse(&used, Path::new("client.toml")).unwrap();
        assert_eq!(file.profiles.len(), 2);
        let remote = |config| RemoteArguments { config, ..Default::default() };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.toml");
        fs::write(&path, &used).unwrap();
        let settings = crate::settings::Settings::resolve(remote(Some(path)), |_| None).unwrap();
        for shown in settings.shown() {
            // The folder of a local server is no setting of a profile.
            let of_file = shown.origin == "file" || shown.key == "data_dir";
            assert!(of_file, "{} is not in the example", shown.key);
        }
    }
}
