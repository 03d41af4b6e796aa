//! Keys of items: one function for each kind of item
//! ([the table](../../../../../docs/dynamodb.md)).
//!
//! Whatever belongs to an account has it in front of its partition key, or in the
//! item, so that no look-up can find what belongs to somebody else.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use sluice_domain::{
    AccountId, ApiKeyId, FileId, FileName, FileState, PartNumber, RequestId, SessionId, Timestamp,
    UploadId, UploadState,
};
use uuid::Uuid;

/// Partition key and sort key of the table.
pub(super) const PARTITION: &str = "pk";
pub(super) const SORT: &str = "sk";

/// Parts that what belongs to one account is divided into, so that many
/// transactions can count and order its changes at the same time.
pub(super) const SHARDS: u8 = 8;

/// Parts that a list over all accounts is divided into.
pub(super) const GLOBAL_SHARDS: u8 = 16;

/// Parts that the event queue is divided into.
pub(super) const QUEUE_SHARDS: u8 = 8;

/// Longest sort key, in bytes.
const MAX_SORT_BYTES: usize = 1024;

/// Separates a name from an id. Names have no control characters, so that a name
/// sorts before everything that only begins with it.
const NAME_END: char = '\u{1}';

/// Names one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    fn new(pk: String, sk: impl Into<String>) -> Self {
        Self { pk, sk: sk.into() }
    }

    /// As the SDK wants it.
    pub(super) fn attributes(&self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            (PARTITION.to_owned(), AttributeValue::S(self.pk.clone())),
            (SORT.to_owned(), AttributeValue::S(self.sk.clone())),
        ])
    }
}

fn hex(id: &Uuid) -> String {
    id.as_simple().to_string()
}

/// Sorts as the times do.
pub(super) fn time(time: Timestamp) -> String {
    format!("{:016x}", time.as_micros().cast_unsigned() ^ (1 << 63))
}

/// What sorts by time, and by id where times are equal.
pub(super) fn time_and_id(at: Timestamp, id: &Uuid) -> String {
    format!("{}/{}", time(at), hex(id))
}

/// The time and the id in a key of [`time_and_id`].
pub(super) fn parse_time_and_id(text: &str) -> Option<(Timestamp, Uuid)> {
    let (at, id) = text.split_once('/')?;
    let at = u64::from_str_radix(at, 16).ok()? ^ (1 << 63);
    Some((Timestamp::from_micros(at.cast_signed()), Uuid::try_parse(id).ok()?))
}

/// Which shard of its owner an upload and its file count in.
pub(super) fn shard_of(upload: UploadId) -> u8 {
    upload.as_uuid().as_bytes()[15] % SHARDS
}

/// The partition of the shards of an account.
pub(super) fn shards(owner: AccountId) -> String {
    format!("{}/shards", hex(owner.as_uuid()))
}

pub(super) fn shard(owner: AccountId, shard: u8) -> Key {
    Key::new(shards(owner), shard.to_string())
}

/// The partition of the older entries of the feed in one shard.
pub(super) fn feed(owner: AccountId, shard: u8) -> String {
    format!("{}/feed/{shard}", hex(owner.as_uuid()))
}

pub(super) fn feed_entry(owner: AccountId, shard: u8, at: u64) -> Key {
    Key::new(feed(owner, shard), format!("{at:016x}"))
}

/// The partition of an upload. The blob store, which knows no owners, looks here
/// too; so the owner is not in the key but in the items, and whoever asks for
/// somebody is answered only if it is theirs.
pub(super) fn upload(id: UploadId) -> String {
    format!("upload/{}", hex(id.as_uuid()))
}

pub(super) fn description(id: UploadId) -> Key {
    Key::new(upload(id), "description")
}

pub(super) fn progress(id: UploadId) -> Key {
    Key::new(upload(id), "progress")
}

/// Where storage puts the upload's parts.
pub(super) fn place(id: UploadId) -> Key {
    Key::new(upload(id), "place")
}

/// What the sort keys of parts begin with.
pub(super) const PART_PREFIX: &str = "part/";

/// The sort key of a part.
pub(super) fn part_sort(number: u32) -> String {
    format!("{PART_PREFIX}{number:05}")
}

pub(super) fn part(id: UploadId, number: PartNumber) -> Key {
    Key::new(upload(id), part_sort(number.get()))
}

pub(super) fn request(owner: AccountId, id: &RequestId) -> Key {
    Key::new(format!("{}/request/{}", hex(owner.as_uuid()), id.as_str()), "request")
}

/// Uploads are listed by what can still become of them.
pub(super) const UPLOAD_LISTS: [&str; 5] = ["open", "COMPLETED", "CANCELLED", "EXPIRED", "FAILED"];

/// The list that an upload in this state is in.
pub(super) fn upload_list(state: UploadState) -> &'static str {
    match state {
        UploadState::Active | UploadState::Completing => "open",
        ended => ended.as_str(),
    }
}

/// The partition of a list of uploads.
pub(super) fn uploads(owner: AccountId, list: &str) -> String {
    format!("{}/uploads/{list}", hex(owner.as_uuid()))
}

pub(super) fn listed_upload(
    owner: AccountId,
    state: UploadState,
    create_time: Timestamp,
    id: UploadId,
) -> Key {
    let list = uploads(owner, upload_list(state));
    Key::new(list, time_and_id(create_time, id.as_uuid()))
}

pub(super) fn file(owner: AccountId, id: FileId) -> Key {
    Key::new(format!("{}/file/{}", hex(owner.as_uuid()), hex(id.as_uuid())), "file")
}

/// The partition of the files in one state, by time.
pub(super) fn files(owner: AccountId, state: FileState) -> String {
    format!("{}/files/{}", hex(owner.as_uuid()), state.as_str())
}

pub(super) fn listed_file(
    owner: AccountId,
    state: FileState,
    create_time: Timestamp,
    id: FileId,
) -> Key {
    Key::new(files(owner, state), time_and_id(create_time, id.as_uuid()))
}

/// The partition of the names of an account: the readable files by name.
pub(super) fn names(owner: AccountId) -> String {
    format!("{}/names", hex(owner.as_uuid()))
}

pub(super) fn name(owner: AccountId, name: &FileName) -> Key {
    Key::new(names(owner), name.as_str())
}

/// The partition of the files in a state that is not readable, by name.
pub(super) fn named(owner: AccountId, state: FileState) -> String {
    format!("{}/named/{}", hex(owner.as_uuid()), state.as_str())
}

/// Sorts by name and id. A name that leaves no room for an id stands alone, for
/// all files that have it.
pub(super) fn name_and_id(name: &str, id: FileId) -> (String, bool) {
    let whole = format!("{name}{NAME_END}{}", hex(id.as_uuid()));
    if whole.len() <= MAX_SORT_BYTES { (whole, true) } else { (name.to_owned(), false) }
}

/// The name and the id in a key of [`name_and_id`], if it has one.
pub(super) fn parse_name_and_id(text: &str) -> (&str, Option<FileId>) {
    match text.split_once(NAME_END) {
        Some((name, id)) => (name, Uuid::try_parse(id).ok().map(FileId::from_uuid)),
        None => (text, None),
    }
}

/// What a sweep looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sweep {
    /// Uploads that may be overdue.
    Active,
    /// Uploads that are being completed.
    Completing,
    /// Uploads that have ended.
    Ended,
    /// Files that are gone.
    Gone,
    /// Sessions that may have expired.
    Session,
}

impl Sweep {
    fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Completing => "completing",
            Self::Ended => "ended",
            Self::Gone => "gone",
            Self::Session => "session",
        }
    }
}

/// One partition of what is swept.
pub(super) fn sweep(what: Sweep, shard: u8) -> String {
    format!("sweep/{}/{shard:02}", what.as_str())
}

pub(super) fn swept(what: Sweep, at: Timestamp, owner: AccountId, id: &Uuid) -> Key {
    let shard = id.as_bytes()[15] % GLOBAL_SHARDS;
    Key::new(sweep(what, shard), format!("{}/{}/{}", time(at), hex(owner.as_uuid()), hex(id)))
}

/// The time, the owner and the id in a key of [`swept`].
pub(super) fn parse_swept(sort: &str) -> Option<(Timestamp, AccountId, Uuid)> {
    let (at, rest) = sort.split_once('/')?;
    let (owner, id) = rest.split_once('/')?;
    let at = u64::from_str_radix(at, 16).ok()? ^ (1 << 63);
    let owner = AccountId::from_uuid(Uuid::try_parse(owner).ok()?);
    Some((Timestamp::from_micros(at.cast_signed()), owner, Uuid::try_parse(id).ok()?))
}

/// One partition of the event queue.
pub(super) fn queue(shard: u8) -> String {
    format!("events/{shard}")
}

/// The event of this id. Ids sort by the time when events can be received first.
pub(super) fn event(id: u128) -> Key {
    let shard = id.to_be_bytes()[15] % QUEUE_SHARDS;
    Key::new(queue(shard), event_sort(id))
}

/// The sort key of an event.
pub(super) fn event_sort(id: u128) -> String {
    format!("{id:032x}")
}

/// The partition of events that were put aside.
pub(super) const DEAD_EVENTS: &str = "events/dead";

pub(super) fn dead_event(id: u128) -> Key {
    Key::new(DEAD_EVENTS.to_owned(), event_sort(id))
}

pub(super) fn account(id: AccountId) -> Key {
    Key::new(format!("account/{}", hex(id.as_uuid())), "account")
}

/// The list of all accounts.
pub(super) const ACCOUNTS: &str = "accounts";

pub(super) fn listed_account(create_time: Timestamp, id: AccountId) -> Key {
    Key::new(ACCOUNTS.to_owned(), time_and_id(create_time, id.as_uuid()))
}

pub(super) fn operator() -> Key {
    Key::new("operator".to_owned(), "operator")
}

pub(super) fn email(address: &str) -> Key {
    Key::new(format!("email/{address}"), "email")
}

pub(super) fn invitation(hash: &[u8; 32]) -> Key {
    Key::new(format!("invitation/{}", hex::encode(hash)), "invitation")
}

pub(super) fn session(account: AccountId, id: SessionId) -> Key {
    Key::new(format!("{}/session/{}", hex(account.as_uuid()), hex(id.as_uuid())), "session")
}

/// The partition of an account's sessions by time.
pub(super) fn sessions(account: AccountId) -> String {
    format!("{}/sessions", hex(account.as_uuid()))
}

pub(super) fn listed_session(account: AccountId, create_time: Timestamp, id: SessionId) -> Key {
    Key::new(sessions(account), time_and_id(create_time, id.as_uuid()))
}

/// The partition of an account's API keys.
pub(super) fn api_keys(account: AccountId) -> String {
    format!("{}/keys", hex(account.as_uuid()))
}

pub(super) fn api_key(account: AccountId, id: ApiKeyId) -> Key {
    Key::new(api_keys(account), hex(id.as_uuid()))
}

pub(super) fn api_key_hash(hash: &[u8; 32]) -> Key {
    Key::new(format!("key/{}", hex::encode(hash)), "key")
}

pub(super) fn signing_keys(purpose: &str) -> Key {
    Key::new(format!("signing/{purpose}"), "keys")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_sort_as_text() {
        let times = [i64::MIN, -1, 0, 1, 1_780_000_000_000_000, i64::MAX];
        let texts = times.map(|micros| time(Timestamp::from_micros(micros)));
        assert!(texts.windows(2).all(|pair| pair[0] < pair[1]), "{texts:?}");
        let id = Uuid::now_v7();
        for micros in times {
            let at = Timestamp::from_micros(micros);
            assert_eq!(parse_time_and_id(&time_and_id(at, &id)), Some((at, id)));
            let owner = AccountId::from_uuid(Uuid::now_v7());
            let key = swept(Sweep::Ended, at, owner, &id);
            assert_eq!(parse_swept(&key.sk), Some((at, owner, id)));
        }
    }

    #[test]
    fn a_name_sorts_before_what_begins_with_it() {
        let id = FileId::from_uuid(Uuid::max());
        let key = |name: &str| name_and_id(name, id).0;
        assert!(key("a") < key("a b"));
        assert!(key("a") < key("a/b"));
        assert_eq!(parse_name_and_id(&key("a/b")), ("a/b", Some(id)));
        let long = "x".repeat(1024);
        assert_eq!(name_and_id(&long, id), (long.clone(), false));
        assert_eq!(parse_name_and_id(&long), (&*long, None));
        assert!(key(&long[1..]) < key(&long));
        assert!(key(&long[100..]).len() <= MAX_SORT_BYTES);
    }
}
