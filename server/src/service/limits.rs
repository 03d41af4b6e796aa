//! What this server accepts.

use std::time::Duration;

use sluice_domain::{Error, PartSizeLimits, Reason, Result};

/// Limits that the operator sets and `GetCapabilities` tells.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Largest file, in bytes.
    pub max_file_size: u64,
    /// Part sizes that callers may choose from.
    pub part_sizes: PartSizeLimits,
    /// How long an upload lives without activity.
    pub upload_ttl: Duration,
    /// Accepted media types, `type/subtype` or `type/*`; empty means all.
    pub allowed_content_types: Vec<String>,
}

impl Limits {
    /// Refuses a file that is too large.
    pub fn check_file_size(&self, size: u64) -> Result<()> {
        if size <= self.max_file_size {
            return Ok(());
        }
        Err(Error::new(
            Reason::FileTooLarge,
            format!("a file can have at most {} bytes here, not {size}", self.max_file_size),
        )
        .with("max_bytes", self.max_file_size))
    }
}
