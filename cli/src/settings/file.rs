//! The client's configuration file: profiles, each with a server and how to
//! talk to it.

use std::{
    collections::BTreeMap,
    env, fs, io,
    ops::Range,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::Deserialize;
use toml::Spanned;

use super::{Origin, Setting, check};
use crate::{failure::Failure, speed::parse_rate, units};

/// Names another file than the usual one.
pub(crate) const FILE_VARIABLE: &str = "SLUICE_CLIENT_CONFIG";

/// A configuration file that was read and found to be right.
#[derive(Debug, Default)]
pub(crate) struct ClientFile {
    /// Absent if there is none.
    pub(crate) path: Option<PathBuf>,
    /// The profile that holds if nobody names one.
    pub(crate) profile: Option<Setting<String>>,
    pub(crate) profiles: BTreeMap<String, Profile>,
}

/// What a profile sets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Profile {
    pub(super) server: Option<Setting<String>>,
    pub(super) api_key_file: Option<Setting<PathBuf>>,
    pub(super) ca_cert: Option<Setting<PathBuf>>,
    pub(super) client_cert: Option<Setting<PathBuf>>,
    pub(super) client_key: Option<Setting<PathBuf>>,
    pub(super) concurrency: Option<Setting<u16>>,
    pub(super) streams: Option<Setting<u16>>,
    pub(super) limit_rate: Option<Setting<u64>>,
    pub(super) timeout: Option<Setting<Duration>>,
    pub(super) retries: Option<Setting<u32>>,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    profile: Option<Spanned<String>>,
    #[serde(default)]
    profiles: BTreeMap<String, RawProfile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawProfile {
    server: Option<Spanned<String>>,
    api_key_file: Option<Spanned<PathBuf>>,
    ca_cert: Option<Spanned<PathBuf>>,
    client_cert: Option<Spanned<PathBuf>>,
    client_key: Option<Spanned<PathBuf>>,
    concurrency: Option<Spanned<u16>>,
    streams: Option<Spanned<u16>>,
    limit_rate: Option<Spanned<String>>,
    timeout: Option<Spanned<String>>,
    retries: Option<Spanned<u32>>,
}

/// Where the file is unless somebody says otherwise.
pub(crate) fn usual_path() -> Option<PathBuf> {
    Some(dirs::config_dir()?.join("sluice/client.toml"))
}

impl ClientFile {
    /// Reads the file that was named, or the usual one if there is one.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, Failure> {
        let Some(path) = named.map(Path::to_owned).or_else(usual_path) else {
            return Ok(Self::default());
        };
        match fs::read_to_string(&path) {
            Ok(text) => Self::parse(&text, &path),
            Err(error) if error.kind() == io::ErrorKind::NotFound && named.is_none() => {
                Ok(Self::default())
            }
            Err(error) => {
                let message =
                    format!("configuration file {} cannot be read: {error}", path.display());
                Err(Failure::usage(message))
            }
        }
    }

    /// Reads the text of a file.
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, Failure> {
        let reading = Reading { text, path };
        let raw: RawFile = toml::from_str(text).map_err(|error| reading.refuse(&error))?;
        let mut profiles = BTreeMap::new();
        for (name, raw) in raw.profiles {
            let profile = reading.profile(&name, raw)?;
            profiles.insert(name, profile);
        }
        let profile = raw.profile.map(|name| reading.setting(name));
        if let Some(Setting { value, .. }) = &profile
            && !profiles.contains_key(value)
        {
            let place = profile.as_ref().map(|it| it.origin.to_string()).unwrap_or_default();
            return Err(Failure::usage(format!("{place}: there is no [profiles.{value}]")));
        }
        Ok(Self { path: Some(path.to_owned()), profile, profiles })
    }
}

/// A text on its way to becoming settings.
struct Reading<'a> {
    text: &'a str,
    path: &'a Path,
}

impl Reading<'_> {
    fn profile(&self, name: &str, raw: RawProfile) -> Result<Profile, Failure> {
        let path = |value: Option<Spanned<PathBuf>>| {
            value.map(|value| {
                let Setting { value, origin } = self.setting(value);
                Setting { value: self.place(&value), origin }
            })
        };
        let profile = Profile {
            server: self.checked(name, "server", raw.server, |text| check::server(&text))?,
            api_key_file: path(raw.api_key_file),
            ca_cert: path(raw.ca_cert),
            client_cert: path(raw.client_cert),
            client_key: path(raw.client_key),
            concurrency: self.checked(name, "concurrency", raw.concurrency, check::concurrency)?,
            streams: self.checked(name, "streams", raw.streams, check::streams)?,
            limit_rate: self
                .checked(name, "limit_rate", raw.limit_rate, |text| parse_rate(&text))?,
            timeout: self.checked(name, "timeout", raw.timeout, |text| units::parse_span(&text))?,
            retries: raw.retries.map(|value| self.setting(value)),
        };
        if let (Some(one), None) | (None, Some(one)) = (&profile.client_cert, &profile.client_key) {
            return Err(Failure::usage(format!(
                "{}: profiles.{name}: client_cert and client_key belong together",
                one.origin
            )));
        }
        Ok(profile)
    }

    /// A value that has to be understood, or a refusal that names it.
    fn checked<R, T>(
        &self,
        profile: &str,
        key: &str,
        value: Option<Spanned<R>>,
        parse: impl FnOnce(R) -> Result<T, String>,
    ) -> Result<Option<Setting<T>>, Failure> {
        let Some(value) = value else { return Ok(None) };
        let Setting { value, origin } = self.setting(value);
        match parse(value) {
            Ok(value) => Ok(Some(Setting { value, origin })),
            Err(problem) => {
                Err(Failure::usage(format!("{origin}: profiles.{profile}.{key}: {problem}")))
            }
        }
    }

    fn setting<T>(&self, value: Spanned<T>) -> Setting<T> {
        let origin = Origin::File { path: self.path.to_owned(), line: self.line(value.span()) };
        Setting { value: value.into_inner(), origin }
    }

    fn line(&self, span: Range<usize>) -> usize {
        let before = self.text.get(..span.start).unwrap_or(self.text);
        before.matches('\n').count() + 1
    }

    /// Says where the text is no configuration, and what would be.
    fn refuse(&self, error: &toml::de::Error) -> Failure {
        let line = self.line(error.span().unwrap_or_default());
        let message = error.message().replace("unknown field", "unknown key");
        let failure = Failure::usage(format!("{}:{line}: {message}", self.path.display()));
        match message.contains("unknown key `api_key`") {
            true => failure.hint(
                "secrets are not kept in this file: put the key into a file of its own, which \
                 nobody else can read, and name that one with api_key_file",
            ),
            false => failure.hint("`sluice config example` shows how it looks"),
        }
    }

    /// A path of the file: `~` is the home folder, and what is relative is so to
    /// the file's folder.
    fn place(&self, path: &Path) -> PathBuf {
        if let (Ok(below), Some(home)) = (path.strip_prefix("~"), env::home_dir()) {
            return home.join(below);
        }
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ClientFile, Failure> {
        ClientFile::parse(text, Path::new("/home/x/client.toml"))
    }

    #[test]
    fn a_profile_has_values_and_their_lines() {
        let file = parse(
            "profile = \"work\"\n\n[profiles.work]\nserver = \"files.example.com\"\n\
             api_key_file = \"work.key\"\ntimeout = \"5m\"\nlimit_rate = \"2M\"\n",
        );
        let file = file.unwrap();
        assert_eq!(file.profile.unwrap().value, "work");
        let work = &file.profiles["work"];
        let server = work.server.as_ref().unwrap();
        assert_eq!(server.value, "http://files.example.com");
        assert_eq!(server.origin.to_string(), "/home/x/client.toml:4");
        assert_eq!(work.api_key_file.as_ref().unwrap().value, Path::new("/home/x/work.key"));
        assert_eq!(work.limit_rate.as_ref().unwrap().value, 2 << 20);
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line() {
        for (text, parts) in [
            ("[profiles.a]\nsevrer = \"x\"", &["client.toml:2", "unknown key `sevrer`"][..]),
            ("profil = \"a\"", &["client.toml:1", "unknown key `profil`"]),
            ("profile = \"b\"\n[profiles.a]", &["client.toml:1", "profiles.b"]),
            ("[profiles.a]\n\nserver = \"ftp://x\"", &["client.toml:3", "profiles.a.server"]),
            ("[profiles.a]\nconcurrency = 0", &["client.toml:2", "profiles.a.concurrency", "1024"]),
            ("[profiles.a]\nconcurrency = 70000", &["client.toml:2", "70000"]),
            ("[profiles.a]\ntimeout = \"soon\"", &["client.toml:2", "profiles.a.timeout"]),
            ("[profiles.a]\nlimit_rate = 7", &["client.toml:2", "string"]),
            ("[profiles.a]\nclient_cert = \"x\"", &["client.toml:2", "client_key"]),
            ("[profiles.a]\nserver = ", &["client.toml:2"]),
        ] {
            let failure = parse(text).unwrap_err();
            for part in parts {
                assert!(failure.message.contains(part), "{text:?}: {}", failure.message);
            }
        }
        let secret = parse("[profiles.a]\napi_key = \"s3cret\"").unwrap_err();
        assert!(secret.hint.unwrap().contains("api_key_file"));
        assert!(!secret.message.contains("s3cret"));
    }
}
