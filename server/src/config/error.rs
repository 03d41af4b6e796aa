//! What is wrong with a configuration, and where.

use std::path::PathBuf;

use figment::Figment;

use super::{
    Overrides,
    effective::{self, ValueOrigin},
};

/// Why the configuration is not usable; the text names the key and its source.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Values that are missing, misspelt or of the wrong kind; one line each.
    #[error("{0}")]
    Values(String),
    /// The file is not there.
    #[error("configuration file {0} cannot be read: {1}")]
    File(PathBuf, std::io::Error),
    /// A value breaks a rule.
    #[error("configuration: {key} {rule}")]
    Rule {
        /// The key.
        key: &'static str,
        /// What must hold.
        rule: String,
    },
}

/// Says which key of which source is wrong, and how.
pub(super) fn unusable(errors: figment::Error, overrides: &Overrides) -> ConfigError {
    let line = |error: figment::Error| {
        let mut path = error.path.clone();
        // Of an unknown key the path names the section only.
        if let figment::error::Kind::UnknownField(key, _) = &error.kind
            && path.last() != Some(key)
        {
            path.push(key.clone());
        }
        let key = path.join(".").to_lowercase();
        let source = match &error.metadata {
            Some(metadata) => in_source(&effective::of(metadata, &key)),
            None => String::new(),
        };
        let source = match &overrides.config_file {
            // What is no TOML at all has no key, and says its line itself.
            Some(file) if key.is_empty() && source.is_empty() => format!(" in {}", file.display()),
            _ => source,
        };
        let key = if key.is_empty() { key } else { format!(" {key}") };
        format!("configuration:{key}{source}: {}", error.kind)
    };
    ConfigError::Values(errors.into_iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Adds where the value is that breaks a rule.
pub(super) fn located(error: ConfigError, figment: &Figment) -> ConfigError {
    let ConfigError::Rule { key, rule } = error else { return error };
    let source = figment.find_metadata(key).map(|it| in_source(&effective::of(it, key)));
    let source = source.unwrap_or_default();
    if source.is_empty() {
        return ConfigError::Rule { key, rule };
    }
    ConfigError::Values(format!("configuration: {key}{source}: {rule}"))
}

fn in_source(origin: &ValueOrigin) -> String {
    match origin {
        ValueOrigin::Default | ValueOrigin::Flag(_) => String::new(),
        origin => format!(" in {origin}"),
    }
}
