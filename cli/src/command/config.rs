//! `sluice config`: what is configured, and whether it makes sense.

use std::{fs, io::Write, path::PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::{
    display::DisplayArguments,
    event::print_event,
    exit::Exit,
    failure::Failure,
    remote::RemoteArguments,
    settings::{ClientFile, ShownSetting, file_path},
};

/// The example of a client's configuration.
const EXAMPLE: &str = include_str!("../settings/example.toml");

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
  sluice config show --serve --config /etc/sluice.toml")]
    Show(TargetArguments),
    /// Look whether the configuration is right
    #[command(after_help = "\
Examples:
  sluice config check
  sluice config check --serve --config /etc/sluice.toml")]
    Check(TargetArguments),
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
        let (ConfigCommand::Show(target)
        | ConfigCommand::Check(target)
        | ConfigCommand::Example(target)
        | ConfigCommand::Path(target)) = &self.command;
        &target.display
    }

    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match &self.command {
            ConfigCommand::Show(target) => target.show()?,
            ConfigCommand::Check(target) => target.check()?,
            ConfigCommand::Example(target) => target.example()?,
            ConfigCommand::Path(target) => target.path()?,
        }
        Ok(Exit::Success)
    }
}

impl TargetArguments {
    fn show(&self) -> Result<(), Failure> {
        let settings = match self.is_for_server() {
            #[cfg(feature = "serve")]
            true => server::shown(&self.remote)?,
            _ => self.remote.settings()?.shown(),
        };
        if self.display.json {
            return settings.iter().try_for_each(|setting| print_event("setting", setting));
        }
        let width = settings.iter().map(|setting| setting.key.len()).max().unwrap_or_default();
        print_lines(settings.iter().map(|setting: &ShownSetting| setting.line(width)))
    }

    fn check(&self) -> Result<(), Failure> {
        let path = self.file();
        let profiles = match self.is_for_server() {
            #[cfg(feature = "serve")]
            true => {
                server::check(&self.remote)?;
                Vec::new()
            }
            _ => {
                self.remote.settings()?;
                ClientFile::load(path.as_deref().filter(|path| path.exists()))?
                    .profiles
                    .into_keys()
                    .collect()
            }
        };
        let view = FileView::new(path, profiles);
        if self.display.json {
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
            true => server::overrides(&self.remote).config_file,
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

/// The same of a server's configuration.
#[cfg(feature = "serve")]
pub(super) mod server {
    use std::env;

    use sluice_server::{
        config::{Config, Overrides, ValueOrigin},
        edge::Tls,
    };

    use super::{Failure, RemoteArguments, ShownSetting};
    use crate::settings::{KeySource, variable};

    /// What says what holds, as for `sluice serve`.
    pub(in crate::command) fn overrides(remote: &RemoteArguments) -> Overrides {
        let path = |name| env::var_os(name).filter(|value| !value.is_empty()).map(Into::into);
        Overrides {
            config_file: remote.config.clone().or_else(|| path("SLUICE_CONFIG")),
            data_dir: remote.data_dir.clone().or_else(|| path(variable::DATA_DIR)),
            ..Overrides::default()
        }
    }

    /// The configuration, which was found to be right.
    pub(in crate::command) fn check(remote: &RemoteArguments) -> Result<Config, Failure> {
        let config = Config::load(&overrides(remote), &KeySource::default_folder())
            .map_err(|error| Failure::usage(error.to_string()))?;
        sluice_server::logging::check(&config.log)
            .map_err(|error| Failure::usage(format!("configuration: {error}")))?;
        if config.tls.is_on() {
            Tls::load(&config.tls)
                .map_err(|error| Failure::usage(format!("configuration: {error}")))?;
        }
        Ok(config)
    }

    pub(super) fn shown(remote: &RemoteArguments) -> Result<Vec<ShownSetting>, Failure> {
        let effective = Config::effective(&overrides(remote), &KeySource::default_folder());
        let effective = effective.map_err(|error| Failure::usage(error.to_string()))?;
        let shown = effective.into_iter().map(|it| ShownSetting {
            key: it.key,
            value: it.value,
            origin: match &it.origin {
                ValueOrigin::Flag(_) => "flag",
                ValueOrigin::Environment(_) => "environment",
                ValueOrigin::File { .. } => "file",
                ValueOrigin::Default => "default",
            },
            source: match it.origin {
                ValueOrigin::Default => None,
                origin => Some(origin.to_string()),
            },
        });
        Ok(shown.collect())
    }
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
