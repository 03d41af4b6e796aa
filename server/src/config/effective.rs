//! The configuration as it holds, each value with where it comes from.

use std::path::{Path, PathBuf};

use figment::{
    Figment, Metadata, Provider, Source,
    value::{Dict, Value},
};

use super::{Config, ConfigError, ENVIRONMENT_PREFIX, Overrides};

/// What has no default, and is not there unless somebody sets it.
const OPTIONAL: [&str; 13] = [
    "aws.bucket",
    "aws.dynamodb_endpoint",
    "aws.kms_key",
    "aws.public_s3_endpoint",
    "aws.region",
    "aws.s3_endpoint",
    "aws.spill_dir",
    "quota.max_bytes",
    "quota.max_file_size",
    "server.public_url",
    "tls.certificate",
    "tls.client_ca",
    "tls.key",
];

/// One value. None of them is a secret: secrets are in files of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The key with its section, such as `server.listen`.
    pub key: String,
    /// The value as it is written; absent if nobody has set it.
    pub value: Option<String>,
    /// Who has set it.
    pub origin: ValueOrigin,
}

/// Who has set a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueOrigin {
    /// An option of the command line.
    Flag(&'static str),
    /// An environment variable.
    Environment(String),
    /// The configuration file.
    File {
        /// The file.
        path: PathBuf,
        /// The line in it, from 1 on.
        line: Option<usize>,
    },
    /// Nobody.
    Default,
}

/// The example of a configuration file, which is complete and says what holds
/// by default.
pub const EXAMPLE: &str = super::DEFAULTS;

impl Config {
    /// Every value, sorted by key. Fails as [`Config::load`] does.
    pub fn effective(
        overrides: &Overrides,
        default_data_dir: &Path,
    ) -> Result<Vec<Effective>, ConfigError> {
        Self::load(overrides, default_data_dir)?;
        let figment = Self::sources(overrides, default_data_dir)?;
        let mut keys: Vec<_> = OPTIONAL.iter().map(ToString::to_string).collect();
        let data = figment.data().map_err(|error| super::error::unusable(error, overrides))?;
        data.values().for_each(|dict| collect(dict, "", &mut keys));
        keys.sort_unstable();
        keys.dedup();
        let effective = |key: String| {
            let value = figment.find_value(&key).ok();
            let origin = match value {
                Some(_) => origin(&figment, &key, overrides),
                None => ValueOrigin::Default,
            };
            Effective { value: value.as_ref().map(text), origin, key }
        };
        Ok(keys.into_iter().map(effective).collect())
    }
}

fn collect(dict: &Dict, prefix: &str, keys: &mut Vec<String>) {
    for (key, value) in dict {
        let key = format!("{prefix}{key}");
        match value {
            Value::Dict(_, inner) => collect(inner, &format!("{key}."), keys),
            _ => keys.push(key),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(_, text) => text.clone(),
        Value::Array(_, values) => {
            let items: Vec<_> = values.iter().map(|item| format!("{:?}", text(item))).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Bool(_, value) => value.to_string(),
        Value::Num(_, number) => number
            .to_u128()
            .map(|number| number.to_string())
            .or_else(|| number.to_i128().map(|number| number.to_string()))
            .or_else(|| number.to_f64().map(|number| number.to_string()))
            .unwrap_or_default(),
        Value::Char(_, value) => value.to_string(),
        Value::Empty(..) | Value::Dict(..) => String::new(),
    }
}

fn origin(figment: &Figment, key: &str, overrides: &Overrides) -> ValueOrigin {
    let flag = match key {
        "storage.data_dir" => overrides.data_dir.is_some().then_some("--data-dir"),
        "server.listen" => overrides.listen.is_some().then_some("--listen"),
        "log.level" => overrides.log_level.is_some().then_some("--log-level"),
        _ => None,
    };
    match flag {
        Some(flag) => ValueOrigin::Flag(flag),
        None => figment.find_metadata(key).map_or(ValueOrigin::Default, |it| of(it, key)),
    }
}

/// Where a value of this key comes from.
pub(super) fn of(metadata: &Metadata, key: &str) -> ValueOrigin {
    match &metadata.source {
        Some(Source::File(path)) => {
            ValueOrigin::File { path: path.clone(), line: line_of(path, key) }
        }
        _ if metadata.name.contains(ENVIRONMENT_PREFIX) => {
            let name = key.to_uppercase().replace('.', "__");
            ValueOrigin::Environment(format!("{ENVIRONMENT_PREFIX}{name}"))
        }
        _ => ValueOrigin::Default,
    }
}

/// The line of a key, or of the nearest section around it.
fn line_of(path: &Path, key: &str) -> Option<usize> {
    let text = std::fs::read_to_string(path).ok()?;
    let document = toml_edit::ImDocument::parse(text.as_str()).ok()?;
    let mut table: Option<&dyn toml_edit::TableLike> = Some(document.as_table());
    let mut place = None;
    for segment in key.split('.') {
        let Some((name, item)) = table.and_then(|table| table.get_key_value(segment)) else {
            break;
        };
        place = name.span().or_else(|| item.span()).or(place);
        table = item.as_table_like();
    }
    let before = text.get(..place?.start)?;
    Some(before.matches('\n').count() + 1)
}

impl std::fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) => f.write_str(name),
            Self::Environment(name) => f.write_str(name),
            Self::File { path, line: Some(line) } => write!(f, "{}:{line}", path.display()),
            Self::File { path, line: None } => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_value_says_where_it_comes_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice.toml");
        std::fs::write(&path, "# mine\n[limits]\n\nupload_ttl = \"2h\"\n[tls]\nkey = \"k\"\n")
            .unwrap();
        let overrides = Overrides {
            config_file: Some(path.clone()),
            log_level: Some("debug".into()),
            ..Overrides::default()
        };
        let all = Config::effective(&overrides, Path::new("/data")).unwrap();
        let find = |key: &str| all.iter().find(|it| it.key == key).unwrap().clone();
        let ttl = find("limits.upload_ttl");
        assert_eq!(ttl.value.as_deref(), Some("2h"));
        assert_eq!(ttl.origin, ValueOrigin::File { path: path.clone(), line: Some(4) });
        assert_eq!(find("tls.key").origin, ValueOrigin::File { path, line: Some(6) });
        assert_eq!(find("tls.certificate").value, None);
        assert_eq!(find("log.level").origin, ValueOrigin::Flag("--log-level"));
        assert_eq!(find("storage.data_dir").value.as_deref(), Some("/data"));
        assert_eq!(find("storage.data_dir").origin, ValueOrigin::Default);
        assert_eq!(find("limits.allowed_content_types").value.as_deref(), Some("[]"));
    }

    #[test]
    fn the_example_is_complete_and_says_what_holds() {
        let overrides = Overrides::default();
        let defaults = Config::effective(&overrides, Path::new("/data")).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sluice.toml");
        std::fs::write(&path, EXAMPLE).unwrap();
        let with = Overrides { config_file: Some(path), ..Overrides::default() };
        let example = Config::effective(&with, Path::new("/data")).unwrap();
        let values = |all: &[Effective]| {
            all.iter().map(|it| (it.key.clone(), it.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(values(&defaults), values(&example));
        // Also what is commented out is a key that there is.
        let mut section = String::new();
        for line in EXAMPLE.lines() {
            let line = line.trim_start_matches("# ");
            if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = name.to_owned();
            } else if let Some((key, _)) = line.split_once(" = ")
                && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            {
                let key = format!("{section}.{key}");
                assert!(defaults.iter().any(|it| it.key == key), "{key} is in the example only");
            }
        }
        for it in &defaults {
            let (section, key) = it.key.split_once('.').unwrap();
            let after = EXAMPLE.split(&format!("[{section}]\n")).nth(1).unwrap();
            let own = after.split("\n[").next().unwrap();
            assert!(own.contains(&format!("{key} = ")), "{} is not in the example", it.key);
        }
    }
}
