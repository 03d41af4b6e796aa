//! When a file was changed, as it is remembered with the file on the server, so
//! that both need not be read to see that they are the same.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, SystemTime},
};

use sluice_domain::Metadata;
use sluice_sdk::{File, v1::file::State};

/// The label with the time, as RFC 3339 in UTC.
const LABEL: &str = "mtime";

/// What can be written with four digits for the year.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// Adds the time to labels that have none, where there is room for it.
pub(crate) fn add_to(labels: &mut BTreeMap<String, String>, modified: Option<SystemTime>) {
    let since_1970 = modified.map(|it| it.duration_since(SystemTime::UNIX_EPOCH));
    let Some((modified, _)) = modified.zip(since_1970.and_then(Result::ok).filter(|it| *it < LAST))
    else {
        return;
    };
    if labels.contains_key(LABEL) {
        return;
    }
    labels.insert(LABEL.into(), humantime::format_rfc3339_nanos(modified).to_string());
    if Metadata::parse(labels.clone(), "metadata").is_err() {
        labels.remove(LABEL);
    }
}

/// When the file that was uploaded had been changed, if that is known.
pub(crate) fn recorded(file: &File) -> Option<SystemTime> {
    humantime::parse_rfc3339(file.metadata.get(LABEL)?).ok()
}

/// The labels of a file with another time.
pub(crate) fn labels_with(file: &File, modified: SystemTime) -> BTreeMap<String, String> {
    let mut labels = file.metadata.clone();
    labels.remove(LABEL);
    add_to(&mut labels, Some(modified));
    labels
}

/// Whether a file here has the size and the time that were recorded: then it
/// has not changed since.
pub(crate) fn is_as_recorded(size: u64, modified: Option<SystemTime>, file: &File) -> bool {
    matches!(file.state(), State::Ready | State::Processing)
        && file.size.cast_unsigned() == size
        && modified.is_some_and(|modified| recorded(file) == Some(modified))
}

/// The same of what is at `path`.
pub(crate) async fn is_as_recorded_at(path: &Path, file: &File) -> bool {
    let metadata = tokio::fs::metadata(path).await.ok().filter(std::fs::Metadata::is_file);
    metadata.is_some_and(|it| is_as_recorded(it.len(), it.modified().ok(), file))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanoseconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
    }

    fn file(modified: SystemTime) -> File {
        let mut metadata = BTreeMap::new();
        add_to(&mut metadata, Some(modified));
        File { size: 7, state: State::Ready.into(), metadata, ..File::default() }
    }

    #[test]
    fn every_nanosecond_counts_and_every_byte() {
        let time = at(1_700_000_000_123_456_789);
        let file = file(time);
        assert_eq!(file.metadata[LABEL], "2023-11-14T22:13:20.123456789Z");
        assert!(is_as_recorded(7, Some(time), &file));
        assert!(!is_as_recorded(8, Some(time), &file));
        assert!(!is_as_recorded(7, Some(at(1_700_000_000_123_456_788)), &file));
        assert!(!is_as_recorded(7, None, &file));
        let failed = File { state: State::Failed.into(), ..file.clone() };
        assert!(!is_as_recorded(7, Some(time), &failed));
        assert!(!is_as_recorded(7, Some(time), &File { metadata: BTreeMap::new(), ..file }));
    }

    #[test]
    fn labels_of_people_are_theirs() {
        let time = at(5);
        let mut own = BTreeMap::from([(LABEL.to_owned(), "yesterday".to_owned())]);
        add_to(&mut own, Some(time));
        assert_eq!(own[LABEL], "yesterday");
        let file = File { metadata: own, ..File::default() };
        assert_eq!(recorded(&file), None);
        assert_eq!(labels_with(&file, time)[LABEL], "1970-01-01T00:00:00.000000005Z");

        let mut full: BTreeMap<_, _> =
            (0..64).map(|key| (key.to_string(), String::new())).collect();
        add_to(&mut full, Some(time));
        assert_eq!(full.len(), 64);
        assert!(!full.contains_key(LABEL), "there was no room");
    }

    #[test]
    fn times_that_cannot_be_written_are_left_out() {
        let mut labels = BTreeMap::new();
        add_to(&mut labels, SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(1)));
        add_to(&mut labels, SystemTime::UNIX_EPOCH.checked_add(LAST));
        add_to(&mut labels, None);
        assert_eq!(labels, BTreeMap::new());
    }
}
