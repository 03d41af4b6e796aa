//! What callers may do.

use std::time::Duration;

use serde::Deserialize;
use sluice_domain::PartSizeLimits;

use super::{
    ConfigError,
    units::{bytes, duration},
};

/// What callers may do.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitsConfig {
    /// Largest file.
    #[serde(deserialize_with = "bytes")]
    pub max_file_size: u64,
    /// Smallest part size; a power of two from 1 MiB on.
    #[serde(deserialize_with = "bytes")]
    pub min_part_size: u64,
    /// Largest part size; a power of two.
    #[serde(deserialize_with = "bytes")]
    pub max_part_size: u64,
    /// How long an upload lives without activity.
    #[serde(deserialize_with = "duration")]
    pub upload_ttl: Duration,
    /// Accepted media types; empty means all.
    pub allowed_content_types: Vec<String>,
    /// Most requests that are worked on at a time, beside streams.
    pub max_requests: usize,
    /// Most streams at a time: uploads, downloads, watches.
    pub max_streams: usize,
    /// Memory for messages that have not arrived whole.
    #[serde(deserialize_with = "bytes")]
    pub message_memory: u64,
    /// How long a stream may be silent; also the span over which its rate is
    /// measured.
    #[serde(deserialize_with = "duration")]
    pub stream_idle: Duration,
    /// Least bytes in a second on a stream that has to send or to take any.
    #[serde(deserialize_with = "bytes")]
    pub stream_min_rate: u64,
}

impl LimitsConfig {
    pub(super) fn check_load(&self) -> Result<(), ConfigError> {
        let least = |key, value: u64, least: u64, unit: &str| {
            if value >= least {
                return Ok(());
            }
            let rule = format!("must be at least {least}{unit}, is {value}");
            Err(ConfigError::Rule { key, rule })
        };
        least("limits.max_requests", self.max_requests as u64, 1, "")?;
        least("limits.max_streams", self.max_streams as u64, 1, "")?;
        least("limits.message_memory", self.message_memory, 1024 * 1024, " bytes")?;
        least("limits.stream_idle", self.stream_idle.as_secs(), 1, " second")
    }

    pub(super) fn part_sizes(&self) -> Result<PartSizeLimits, ConfigError> {
        const SMALLEST: u64 = sluice_domain::BLOCK_SIZE;
        let rule = |key, rule: String| Err(ConfigError::Rule { key, rule });
        let (min, max) = (self.min_part_size, self.max_part_size);
        if !min.is_power_of_two() || min < SMALLEST {
            return rule(
                "limits.min_part_size",
                format!("must be a power of two of at least {SMALLEST} bytes, is {min}"),
            );
        }
        if !max.is_power_of_two() || max < min {
            return rule(
                "limits.max_part_size",
                format!("must be a power of two of at least {min} bytes, is {max}"),
            );
        }
        let limits = PartSizeLimits { min, max };
        if self.max_file_size > limits.max_file_size() || self.max_file_size == 0 {
            return rule(
                "limits.max_file_size",
                format!("must be from 1 to {} bytes with these parts", limits.max_file_size()),
            );
        }
        Ok(limits)
    }
}
