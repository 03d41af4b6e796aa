//! The one error type of the rules: a reason for programs, a sentence for people.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::Reason;

/// Result of a rule.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Which field of a request is wrong, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldViolation {
    /// Path of the field in the request, such as `expected_checksums.sha256`.
    pub field: String,
    /// What is wrong and what is allowed.
    pub description: String,
}

/// A refusal. It is safe to show to the caller: nothing internal goes in here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    /// The stable reason.
    pub reason: Reason,
    /// What happened and what to do next, for people.
    pub message: String,
    /// Facts that programs may need, by the names that the contract gives to
    /// each reason.
    pub metadata: BTreeMap<String, String>,
    /// The fields at fault, for `INVALID_FIELD`.
    pub violations: Vec<FieldViolation>,
    /// How long to wait before trying again, where waiting helps.
    pub retry_after: Option<Duration>,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.as_str(), self.message)
    }
}

impl Error {
    /// A refusal with a reason and a sentence.
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            metadata: BTreeMap::new(),
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// `INVALID_FIELD` for one field; the description names the limit.
    pub fn invalid_field(field: impl Into<String>, description: impl Into<String>) -> Self {
        let (field, description) = (field.into(), description.into());
        let mut error = Self::new(Reason::InvalidField, format!("{field}: {description}"));
        error.violations.push(FieldViolation { field, description });
        error
    }

    /// The same about a message that is the `field` of another one.
    #[must_use]
    pub fn within(mut self, field: &str) -> Self {
        for violation in &mut self.violations {
            violation.field = format!("{field}.{}", violation.field);
        }
        self
    }

    /// Storage failed in a way that the caller cannot mend; a retry may work.
    pub fn storage_io(message: impl Into<String>) -> Self {
        Self::new(Reason::StorageIo, message)
            .with("dependency", "storage")
            .retry_after(Duration::from_secs(1))
    }

    /// Adds a fact under the name that the contract gives it.
    pub fn with(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        self.metadata.insert(key.to_owned(), value.to_string());
        self
    }

    /// Says how long to wait before trying again.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }
}
