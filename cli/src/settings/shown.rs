//! Settings as `config show` prints them, without secrets.

use std::path::PathBuf;

use serde::Serialize;

use super::{Origin, Setting, Settings};

/// One setting.
#[derive(Debug, Serialize)]
pub(crate) struct ShownSetting {
    pub(crate) key: String,
    /// Absent where there is none.
    pub(crate) value: Option<String>,
    /// `flag`, `environment`, `file` or `default`.
    pub(crate) origin: &'static str,
    /// The option, the variable, or the file and its line.
    pub(crate) source: Option<String>,
}

impl ShownSetting {
    fn new(key: &str, value: Option<String>, origin: &Origin) -> Self {
        Self { key: key.to_owned(), value, origin: origin.kind(), source: origin.source() }
    }

    /// The same for people.
    pub(crate) fn line(&self, width: usize) -> String {
        let value = self.value.as_deref().unwrap_or("-");
        let origin = self.source.as_deref().unwrap_or(self.origin);
        format!("{:<width$}  {value}  ({origin})", self.key)
    }
}

impl Settings {
    /// Every setting in the order of the documentation.
    pub(crate) fn shown(&self) -> Vec<ShownSetting> {
        let path = |setting: &PathBuf| setting.display().to_string();
        let time = |time: &std::time::Duration| humantime::format_duration(*time).to_string();
        vec![
            optional("profile", &self.profile, Clone::clone),
            given("server", &self.server, Clone::clone),
            ShownSetting::new("api_key", self.key.value.describe(), &self.key.origin),
            optional("ca_cert", &self.ca_cert, path),
            optional("client_cert", &self.client_cert, path),
            optional("client_key", &self.client_key, path),
            given("data_dir", &self.data_dir, path),
            optional("concurrency", &self.concurrency, ToString::to_string),
            optional("streams", &self.streams, ToString::to_string),
            optional("limit_rate", &self.limit_rate, |rate| {
                format!("{}/s", crate::units::bytes(*rate))
            }),
            given("timeout", &self.timeout, time),
            optional("retries", &self.retries, ToString::to_string),
        ]
    }
}

fn given<T>(key: &str, setting: &Setting<T>, text: impl Fn(&T) -> String) -> ShownSetting {
    ShownSetting::new(key, Some(text(&setting.value)), &setting.origin)
}

fn optional<T>(
    key: &str,
    setting: &Option<Setting<T>>,
    text: impl Fn(&T) -> String,
) -> ShownSetting {
    match setting {
        Some(setting) => given(key, setting, text),
        None => ShownSetting::new(key, None, &Origin::Default),
    }
}
