//! An upload: its record and the states it goes through.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    AccountId, Checksums, ContentType, Error, FileDigest, FileId, FileName, Metadata, PartPlan,
    RangeSet, Reason, Result, Timestamp, UploadId,
};

/// Where an upload is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UploadState {
    /// Takes frames.
    Active,
    /// Frozen; becoming a file.
    Completing,
    /// Has become a file.
    Completed,
    /// Given up by its owner.
    Cancelled,
    /// Given up because nobody touched it for too long.
    Expired,
    /// Not what was declared.
    Failed,
}

/// What can happen to an upload's state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transition {
    /// Completion begins: no part may change any more.
    Freeze,
    /// The file exists.
    Publish,
    /// Parts must be sent again.
    Reopen,
    /// The owner gives up.
    Cancel,
    /// Time is over.
    Expire,
    /// The bytes are not what was declared at creation.
    Fail,
}

impl UploadState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Completing,
        Self::Completed,
        Self::Cancelled,
        Self::Expired,
        Self::Failed,
    ];

    /// The name used in errors and in stores.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "ACTIVE",
            Self::Completing => "COMPLETING",
            Self::Completed => "COMPLETED",
            Self::Cancelled => "CANCELLED",
            Self::Expired => "EXPIRED",
            Self::Failed => "FAILED",
        }
    }

    /// The state with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether the upload will never change again.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Self::Active | Self::Completing)
    }

    /// The state after a transition, or why it cannot happen.
    pub fn after(self, transition: Transition) -> Result<Self> {
        match (self, transition) {
            (Self::Active, Transition::Freeze) => Ok(Self::Completing),
            (Self::Completing, Transition::Publish) => Ok(Self::Completed),
            (Self::Completing, Transition::Reopen) => Ok(Self::Active),
            (Self::Active, Transition::Cancel) => Ok(Self::Cancelled),
            (Self::Active, Transition::Expire) => Ok(Self::Expired),
            (Self::Active | Self::Completing, Transition::Fail) => Ok(Self::Failed),
            _ => Err(self.not_active()),
        }
    }

    /// The refusal for whoever needs an upload that takes frames.
    pub fn not_active(self) -> Error {
        let (reason, message) = match self {
            Self::Expired => (
                Reason::UploadExpired,
                "the upload has expired and its bytes are gone; create a new one",
            ),
            Self::Active => (Reason::UploadNotActive, "the upload is still taking frames"),
            Self::Completing => (Reason::UploadNotActive, "the upload is being completed"),
            Self::Completed => (Reason::UploadNotActive, "the upload is complete"),
            Self::Cancelled => (Reason::UploadNotActive, "the upload was cancelled"),
            Self::Failed => (Reason::UploadNotActive, "the upload has failed; its error says why"),
        };
        Error::new(reason, message).with("state", self.as_str())
    }
}

/// A number that fences writers: the higher one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The epoch of a new upload.
    pub const FIRST: Self = Self(1);

    /// Newer than every writer: fences all of them.
    pub const LAST: Self = Self(u64::MAX);
}

/// What happens when the name is taken at completion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum OnConflict {
    /// The completion is refused and the upload stays active.
    #[default]
    Fail,
    /// The new file takes the name as soon as it is readable.
    Replace,
}

/// Why an upload or a file failed, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The stable reason.
    pub reason: Reason,
    /// What happened, for people.
    pub message: String,
    /// Facts by the names that the contract gives them.
    pub metadata: BTreeMap<String, String>,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { reason: error.reason, message: error.message, metadata: error.metadata }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        let mut error = Error::new(failure.reason, failure.message);
        error.metadata = failure.metadata;
        error
    }
}

/// What was decided when an upload was frozen for completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Completion {
    /// Size and checksums of the file.
    pub digest: FileDigest,
    /// Orders completions to one name: the highest wins.
    pub sequence: u64,
    /// Whether stored bytes must be read and verified before the file can be.
    pub verify: bool,
}

impl Completion {
    /// What is decided of a file with this digest. One with parts that nobody has
    /// read must be read before it can be a file.
    pub fn new(digest: FileDigest, sequence: u64) -> Self {
        Self { digest, sequence, verify: digest.blake3.is_none() }
    }
}

/// The record of an upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// The file that it will become.
    pub file_id: FileId,
    /// Who owns it.
    pub owner: AccountId,
    /// Where it is in its life.
    pub state: UploadState,
    /// The name that the file will have.
    pub name: FileName,
    /// The type that the caller declared.
    pub content_type: ContentType,
    /// How parts are cut; holds the size once it is known.
    pub plan: PartPlan,
    /// Upper bound for a size that is not known yet.
    pub max_size: Option<u64>,
    /// Bytes in persisted parts.
    pub persisted_bytes: u64,
    /// Bytes of its owner's quota that it holds while it is open: its size, or,
    /// while that is not known, what came so far, in steps of [`crate::LEASE`].
    pub reserved: u64,
    /// Who may write.
    pub epoch: Epoch,
    /// What the caller said at creation that the file must have.
    pub declared: Checksums,
    /// The caller's key-value pairs.
    pub metadata: Metadata,
    /// What happens when the name is taken.
    pub on_conflict: OnConflict,
    /// When it was created.
    pub create_time: Timestamp,
    /// When its record last changed.
    pub update_time: Timestamp,
    /// When it expires unless somebody touches it.
    pub expire_time: Timestamp,
    /// Set once it was frozen for completion.
    pub completion: Option<Completion>,
    /// Why it failed.
    pub error: Option<Failure>,
}

impl Upload {
    /// No upload lives longer than this, however active it is.
    pub const MAX_LIFETIME: Duration = Duration::from_secs(30 * 24 * 60 * 60);

    /// Refuses unless the upload takes frames.
    pub fn check_active(&self) -> Result<()> {
        match self.state {
            UploadState::Active => Ok(()),
            state => Err(state.not_active()),
        }
    }

    /// Refuses a writer of another epoch than the current one.
    pub fn check_epoch(&self, epoch: Epoch) -> Result<()> {
        if epoch == self.epoch {
            return Ok(());
        }
        Err(Error::new(
            Reason::StaleWriter,
            format!(
                "writer epoch {} is not the current one, {}; another writer has resumed this upload",
                epoch.0, self.epoch.0
            ),
        )
        .with("writer_epoch", self.epoch.0))
    }

    /// When the upload expires if it is touched now.
    pub fn expiry_after_touch(&self, now: Timestamp, time_to_live: Duration) -> Timestamp {
        now.plus(time_to_live).min(self.create_time.plus(Self::MAX_LIFETIME))
    }

    /// Judges a final size against what is known, given the offset after the
    /// last persisted byte.
    pub fn check_final_size(&self, size: u64, persisted_end: u64) -> Result<()> {
        let known = self.plan.size.filter(|known| *known != size);
        let limit = self.plan.capacity().min(self.max_size.unwrap_or(u64::MAX));
        if let Some(known) = known {
            return Err(Self::size_mismatch(size, known));
        }
        if persisted_end > size {
            return Err(Self::size_mismatch(size, persisted_end));
        }
        if size > limit {
            return Err(Error::new(
                Reason::SizeExceeded,
                format!("a size of {size} is beyond this upload's limit of {limit} bytes"),
            )
            .with("size", limit));
        }
        Ok(())
    }

    /// Refuses to complete while parts are missing; the error lists at most
    /// 100 ranges, and how many there are.
    pub fn check_parts_present(&self, size: u64, persisted: &RangeSet) -> Result<()> {
        const MOST_RANGES: usize = 100;
        let missing = persisted.missing(size);
        if missing.ranges().is_empty() {
            return Ok(());
        }
        let listed: Vec<_> =
            missing.ranges().iter().take(MOST_RANGES).map(ToString::to_string).collect();
        Err(Error::new(
            Reason::PartsMissing,
            format!("{} of {size} bytes are missing; send them, then complete", missing.total()),
        )
        .with("ranges", listed.join(","))
        .with("count", missing.ranges().len()))
    }

    fn size_mismatch(expected: u64, actual: u64) -> Error {
        Error::new(
            Reason::SizeMismatch,
            format!("a final size of {expected} does not fit: the upload has {actual} bytes"),
        )
        .with("algorithm", "size")
        .with("expected", expected)
        .with("actual", actual)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_change_only_as_the_contract_says() {
        use Transition::{Cancel, Expire, Fail, Freeze, Publish, Reopen};
        use UploadState::{Active, Cancelled, Completed, Completing, Expired, Failed};
        let allowed = [
            (Active, Freeze, Completing),
            (Active, Cancel, Cancelled),
            (Active, Expire, Expired),
            (Active, Fail, Failed),
            (Completing, Publish, Completed),
            (Completing, Reopen, Active),
            (Completing, Fail, Failed),
        ];
        for state in UploadState::ALL {
            for transition in [Freeze, Publish, Reopen, Cancel, Expire, Fail] {
                let expect = allowed
                    .iter()
                    .find(|(from, by, _)| (*from, *by) == (state, transition))
                    .map(|(_, _, to)| *to);
                assert_eq!(state.after(transition).ok(), expect, "{state:?} {transition:?}");
            }
        }
    }

    #[test]
    fn every_state_has_a_name_and_its_refusal() {
        for state in UploadState::ALL {
            assert_eq!(UploadState::parse(state.as_str()), Some(state));
            assert_eq!(state.not_active().metadata["state"], state.as_str());
        }
        assert_eq!(UploadState::Expired.not_active().reason, Reason::UploadExpired);
        assert_eq!(UploadState::Cancelled.not_active().reason, Reason::UploadNotActive);
    }
}
