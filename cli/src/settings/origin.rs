//! Where a setting comes from.

use std::{fmt, path::PathBuf};

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Setting<T> {
    pub(crate) value: T,
    pub(crate) origin: Origin,
}

/// What has set a value; the first of these that does wins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Origin {
    /// An option of the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(&'static str),
    /// A line of the configuration file.
    File { path: PathBuf, line: usize },
    /// Nobody.
    Default,
}

impl<T> Setting<T> {
    pub(crate) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(crate) fn by_default(value: T) -> Self {
        Self { value, origin: Origin::Default }
    }
}

impl Origin {
    /// One word for programs.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Flag(_) => "flag",
            Self::Environment(_) => "environment",
            Self::File { .. } => "file",
            Self::Default => "default",
        }
    }

    /// The option, variable, or file and line.
    pub(crate) fn source(&self) -> Option<String> {
        match self {
            Self::Flag(name) | Self::Environment(name) => Some((*name).to_owned()),
            Self::File { path, line } => Some(format!("{}:{line}", path.display())),
            Self::Default => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source().unwrap_or_else(|| "default".to_owned()))
    }
}
