//! What holds for a client. The command line wins over the environment, that
//! over a profile of the configuration file, and that over the defaults.

pub(crate) mod check;
pub(crate) mod file;
mod key;
mod origin;
mod shown;

use std::{
    ffi::OsString,
    fmt::Display,
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use self::file::{FILE_VARIABLE, Profile};
pub(crate) use self::{
    file::ClientFile,
    key::{KeySource, is_on_this_machine},
    origin::{Origin, Setting},
    shown::ShownSetting,
};
use crate::{failure::Failure, remote::RemoteArguments, speed::parse_rate, units};

const DEFAULT_SERVER: &str = "http://127.0.0.1:7070";

/// How long to go on without any progress.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(120);

/// The profile that holds if nobody names one.
const DEFAULT_PROFILE: &str = "default";

/// Every environment variable of clients but those of the terminal.
pub(crate) mod variable {
    pub(crate) const PROFILE: &str = "SLUICE_PROFILE";
    pub(crate) const SERVER: &str = "SLUICE_SERVER";
    pub(crate) const API_KEY: &str = "SLUICE_API_KEY";
    pub(crate) const API_KEY_FILE: &str = "SLUICE_API_KEY_FILE";
    pub(crate) const CA_CERT: &str = "SLUICE_CA_CERT";
    pub(crate) const CLIENT_CERT: &str = "SLUICE_CLIENT_CERT";
    pub(crate) const CLIENT_KEY: &str = "SLUICE_CLIENT_KEY";
    pub(crate) const DATA_DIR: &str = "SLUICE_DATA_DIR";
    pub(crate) const CONCURRENCY: &str = "SLUICE_CONCURRENCY";
    pub(crate) const STREAMS: &str = "SLUICE_STREAMS";
    pub(crate) const LIMIT_RATE: &str = "SLUICE_LIMIT_RATE";
    pub(crate) const TIMEOUT: &str = "SLUICE_TIMEOUT";
    pub(crate) const RETRIES: &str = "SLUICE_RETRIES";
}

/// All settings of a client.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The configuration file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The profile, if one holds.
    pub(crate) profile: Option<Setting<String>>,
    /// With its scheme.
    pub(crate) server: Setting<String>,
    pub(crate) key: Setting<KeySource>,
    pub(crate) ca_cert: Option<Setting<PathBuf>>,
    pub(crate) client_cert: Option<Setting<PathBuf>>,
    pub(crate) client_key: Option<Setting<PathBuf>>,
    /// The data folder of a server on this machine.
    pub(crate) data_dir: Setting<PathBuf>,
    /// For commands whose own option does not say otherwise.
    pub(crate) concurrency: Option<Setting<u16>>,
    /// Likewise.
    pub(crate) streams: Option<Setting<u16>>,
    /// Likewise; bytes a second.
    pub(crate) limit_rate: Option<Setting<u64>>,
    pub(crate) timeout: Setting<Duration>,
    pub(crate) retries: Option<Setting<u32>>,
}

impl Settings {
    /// Puts the settings together. Variables of the environment are asked of
    /// `environment`.
    pub(crate) fn resolve(
        flags: RemoteArguments,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, Failure> {
        let environment = Environment(&environment);
        let named = flags.config.or_else(|| environment.path(FILE_VARIABLE));
        let file = ClientFile::load(named.as_deref())?;
        let profile_name = flags.profile.map(|name| Setting::new(name, Origin::Flag("--profile")));
        let (profile_name, profile) = choose_profile(
            match profile_name {
                Some(name) => Some(name),
                None => environment.parsed(variable::PROFILE, |name| Ok(name.to_owned()))?,
            },
            &file,
        )?;

        let server = match flags.server {
            Some(server) => {
                let address = check::server(&server);
                let address =
                    address.map_err(|error| Failure::usage(format!("--server: {error}")))?;
                Some(Setting::new(address, Origin::Flag("--server")))
            }
            None => environment.parsed(variable::SERVER, check::server)?,
        };
        let elsewhere = match (&server, &profile.server) {
            (Some(named), Some(own)) => named.value != own.value,
            _ => false,
        };
        let server = server.or(profile.server);
        let server = server.unwrap_or_else(|| Setting::by_default(DEFAULT_SERVER.to_owned()));
        let data_dir = environment.path_setting(flags.data_dir, "--data-dir", variable::DATA_DIR);
        let data_dir = data_dir.unwrap_or_else(|| Setting::by_default(KeySource::default_folder()));

        // The key of a profile is for its own server and no other.
        let of_profile = profile.api_key_file.filter(|_| !elsewhere);
        let key_file =
            environment.path_setting(flags.api_key_file, "--api-key-file", variable::API_KEY_FILE);
        let key_variable = (environment.0)(variable::API_KEY).is_some_and(|key| !key.is_empty());
        let key = match (key_file, key_variable) {
            (Some(file), _) => Setting::new(KeySource::File(file.value), file.origin),
            (None, true) => {
                Setting::new(KeySource::Variable, Origin::Environment(variable::API_KEY))
            }
            (None, false) => match of_profile {
                Some(file) => Setting::new(KeySource::File(file.value), file.origin),
                None => KeySource::of_this_machine(&server.value, &data_dir),
            },
        };

        let path =
            |flag, name, variable, own| environment.path_setting(flag, name, variable).or(own);
        let (certificate, own_key) = (profile.client_cert, profile.client_key);
        let settings = Self {
            file: file.path,
            profile: profile_name,
            server,
            key,
            ca_cert: path(flags.ca_cert, "--ca-cert", variable::CA_CERT, profile.ca_cert),
            client_cert: path(
                flags.client_cert,
                "--client-cert",
                variable::CLIENT_CERT,
                certificate,
            ),
            client_key: path(flags.client_key, "--client-key", variable::CLIENT_KEY, own_key),
            data_dir,
            concurrency: environment
                .parsed(variable::CONCURRENCY, |text| number(text).and_then(check::concurrency))?
                .or(profile.concurrency),
            streams: environment
                .parsed(variable::STREAMS, |text| number(text).and_then(check::streams))?
                .or(profile.streams),
            limit_rate: environment
                .parsed(variable::LIMIT_RATE, parse_rate)?
                .or(profile.limit_rate),
            timeout: given(flags.timeout, "--timeout")
                .or(environment.parsed(variable::TIMEOUT, units::parse_span)?)
                .or(profile.timeout)
                .unwrap_or_else(|| Setting::by_default(DEFAULT_TIMEOUT)),
            retries: given(flags.retries, "--retries")
                .or(environment.parsed(variable::RETRIES, number)?)
                .or(profile.retries),
        };
        if settings.client_cert.is_some() != settings.client_key.is_some() {
            let message = "a client certificate and its key belong together";
            return Err(Failure::usage(message).hint("give both --client-cert and --client-key"));
        }
        Ok(settings)
    }
}

/// The profile that was named, or that of the file.
fn choose_profile(
    named: Option<Setting<String>>,
    file: &ClientFile,
) -> Result<(Option<Setting<String>>, Profile), Failure> {
    let usual = || {
        let name = Setting::by_default(DEFAULT_PROFILE.to_owned());
        file.profiles.contains_key(DEFAULT_PROFILE).then_some(name)
    };
    let Some(name) = named.or_else(|| file.profile.clone()).or_else(usual) else {
        return Ok((None, Profile::default()));
    };
    match file.profiles.get(&name.value) {
        Some(profile) => Ok((Some(name), profile.clone())),
        None => {
            let message = format!("there is no profile {} ({})", name.value, name.origin);
            let there: Vec<_> = file.profiles.keys().map(String::as_str).collect();
            let path = file.path.clone().or_else(file::usual_path).unwrap_or_default();
            Err(Failure::usage(message).hint(match there[..] {
                [] => format!(
                    "{} has no profiles; `sluice config example` shows how they look",
                    path.display()
                ),
                _ => format!("{} has {}", path.display(), there.join(", ")),
            }))
        }
    }
}

/// The variables of the environment; empty ones are as good as none.
struct Environment<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Environment<'_> {
    fn path(&self, variable: &str) -> Option<PathBuf> {
        (self.0)(variable).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    fn path_setting(
        &self,
        flag: Option<PathBuf>,
        name: &'static str,
        variable: &'static str,
    ) -> Option<Setting<PathBuf>> {
        let here = || Some(Setting::new(self.path(variable)?, Origin::Environment(variable)));
        given(flag, name).or_else(here)
    }

    fn parsed<T>(
        &self,
        variable: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<Option<Setting<T>>, Failure> {
        let Some(value) = (self.0)(variable).filter(|value| !value.is_empty()) else {
            return Ok(None);
        };
        let text = value.to_str().ok_or_else(|| "is not UTF-8".to_owned());
        match text.and_then(parse) {
            Ok(value) => Ok(Some(Setting::new(value, Origin::Environment(variable)))),
            Err(problem) => Err(Failure::usage(format!("{variable}: {problem}"))),
        }
    }
}

fn given<T>(flag: Option<T>, name: &'static str) -> Option<Setting<T>> {
    flag.map(|value| Setting::new(value, Origin::Flag(name)))
}

fn number<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{text:?} is no such number: {error}"))
}

/// The file that clients are configured with, whether there is one or not.
pub(crate) fn file_path(flag: Option<&Path>) -> Option<PathBuf> {
    let environment = |name: &str| std::env::var_os(name);
    let named = flag.map(Path::to_owned).or_else(|| Environment(&environment).path(FILE_VARIABLE));
    named.or_else(file::usual_path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const FILE: &str = r#"
[profiles.default]
server = "https://home.example"
api_key_file = "home.key"
[profiles.work]
server = "https://work.example"
api_key_file = "work.key"
timeout = "1m"
retries = 3
concurrency = 8
"#;

    struct Machine {
        folder: tempfile::TempDir,
    }

    impl Machine {
        fn new(file: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("client.toml"), file).unwrap();
            Self { folder }
        }

        fn resolve(
            &self,
            flags: RemoteArguments,
            variables: &[(&str, &str)],
        ) -> Result<Settings, Failure> {
            let config = Some(self.folder.path().join("client.toml"));
            Settings::resolve(RemoteArguments { config, ..flags }, |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| OsString::from(value))
            })
        }
    }

    fn server(server: &str) -> RemoteArguments {
        RemoteArguments { server: Some(server.into()), ..RemoteArguments::default() }
    }

    #[test]
    fn flags_win_over_the_environment_that_over_the_profile_and_that_over_defaults() {
        let machine = Machine::new(FILE);
        let work = &[(variable::PROFILE, "work")][..];
        let settings = machine.resolve(RemoteArguments::default(), &[]).unwrap();
        assert_eq!(settings.server.value, "https://home.example");
        assert_eq!(settings.timeout, Setting::by_default(DEFAULT_TIMEOUT));

        let settings = machine.resolve(RemoteArguments::default(), work).unwrap();
        assert_eq!(settings.server.value, "https://work.example");
        assert_eq!(settings.timeout.value, Duration::from_secs(60));
        assert_eq!(settings.retries.as_ref().unwrap().value, 3);
        assert_eq!(settings.concurrency.unwrap().value, 8);
        assert!(matches!(settings.timeout.origin, Origin::File { line: 8, .. }));

        let both = [work, &[(variable::TIMEOUT, "5s"), (variable::RETRIES, "0")]].concat();
        let settings = machine.resolve(RemoteArguments::default(), &both).unwrap();
        let origin = Origin::Environment(variable::TIMEOUT);
        assert_eq!(settings.timeout, Setting::new(Duration::from_secs(5), origin));

        let flags = RemoteArguments {
            timeout: Some(Duration::from_secs(7)),
            profile: Some("default".into()),
            ..RemoteArguments::default()
        };
        let settings = machine.resolve(flags, &both).unwrap();
        assert_eq!(settings.server.value, "https://home.example");
        assert_eq!(settings.timeout.origin, Origin::Flag("--timeout"));
    }

    #[test]
    fn a_key_goes_to_the_server_of_its_profile_and_to_no_other() {
        let machine = Machine::new(FILE);
        let key = |flags, variables: &[_]| machine.resolve(flags, variables).unwrap().key.value;
        let home = KeySource::File(machine.folder.path().join("home.key"));
        assert_eq!(key(RemoteArguments::default(), &[]), home);
        assert_eq!(key(server("https://home.example/"), &[]), home);
        assert_eq!(key(server("https://evil.example"), &[]), KeySource::Missing);
        let elsewhere = [(variable::SERVER, "https://evil.example")];
        assert_eq!(key(RemoteArguments::default(), &elsewhere), KeySource::Missing);
        let with_key = [elsewhere[0], (variable::API_KEY, "k")];
        assert_eq!(key(RemoteArguments::default(), &with_key), KeySource::Variable);
        assert!(matches!(key(server("127.0.0.1:1"), &[]), KeySource::ThisMachine(_)));
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        let machine = Machine::new(FILE);
        let cert = RemoteArguments { client_cert: Some("c".into()), ..RemoteArguments::default() };
        for (flags, variables, part) in [
            (server("ftp://x"), &[][..], "--server"),
            (RemoteArguments::default(), &[(variable::SERVER, "a b")], "SLUICE_SERVER"),
            (RemoteArguments::default(), &[(variable::PROFILE, "play")], "no profile play"),
            (RemoteArguments::default(), &[(variable::RETRIES, "many")], "SLUICE_RETRIES"),
            (RemoteArguments::default(), &[(variable::CONCURRENCY, "1025")], "SLUICE_CONCURRENCY"),
            (cert, &[], "belong together"),
        ] {
            let failure = machine.resolve(flags, variables).unwrap_err();
            assert!(failure.message.contains(part), "{}", failure.message);
        }
    }
}
