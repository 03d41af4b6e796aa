//! Values that are written with a unit.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// A span of time such as `30s`, `15m`, `12h` or `7d`.
pub(super) fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        D::Error::custom(format!("{text:?} is not a span of time such as 30s or 7d: {error}"))
    })
}

/// A number of bytes such as `1048576`, `64MiB` or `2GB`.
pub(super) fn bytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Amount {
        Number(u64),
        Text(String),
    }
    match Amount::deserialize(deserializer)? {
        Amount::Number(bytes) => Ok(bytes),
        Amount::Text(text) => {
            text.parse::<bytesize::ByteSize>().map(|size| size.as_u64()).map_err(|error| {
                D::Error::custom(format!(
                    "{text:?} is not a number of bytes such as 64MiB: {error}"
                ))
            })
        }
    }
}
