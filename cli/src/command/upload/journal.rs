//! What is remembered about uploads under way, so that the same command goes on
//! after Ctrl-C, a crash or a reboot. The server is the truth about the bytes;
//! here is only which upload a file belongs to.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

/// No upload lives longer than 30 days, so older records are of no use.
const LONGEST_LIFE: Duration = Duration::from_secs(31 * 24 * 60 * 60);

/// The records of uploads to one server, in the user's state folder.
#[derive(Debug, Clone)]
pub(crate) struct Journal {
    folder: PathBuf,
    server: String,
}

/// Which file is uploaded as what. Another size or time is another upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subject {
    pub(crate) server: String,
    /// Absolute.
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) size: u64,
    /// Nanoseconds since 1970.
    pub(crate) modified: u128,
}

/// What the upload was opened with. A repeat of the request must be equal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Terms {
    pub(crate) content_type: String,
    pub(crate) metadata: BTreeMap<String, String>,
    pub(crate) part_size: Option<u64>,
    pub(crate) replace: bool,
}

/// One upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) subject: Subject,
    pub(crate) terms: Terms,
    /// Written before the server knows it.
    pub(crate) request_id: String,
    /// Known once the server has answered.
    pub(crate) upload_id: Option<String>,
}

/// The place of one upload's record.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    path: PathBuf,
    subject: Subject,
}

impl Journal {
    /// The journal for a server, if the system has a place for it.
    pub(crate) fn open(server: &str) -> Option<Self> {
        let state = dirs::state_dir().or_else(dirs::data_local_dir)?;
        let journal = Self { folder: state.join("sluice/uploads"), server: server.to_owned() };
        journal.forget_old();
        Some(journal)
    }

    /// The place for a file.
    pub(crate) fn entry(
        &self,
        path: &Path,
        name: &str,
        size: u64,
        modified: SystemTime,
    ) -> Option<Entry> {
        let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let subject = Subject {
            server: self.server.clone(),
            path: std::path::absolute(path).ok()?,
            name: name.to_owned(),
            size,
            modified: since_1970.as_nanos(),
        };
        let key = serde_json::to_vec(&subject).ok()?;
        let file = format!("{}.json", &blake3::hash(&key).to_hex()[..32]);
        Some(Entry { path: self.folder.join(file), subject })
    }

    /// Everything that is remembered of this server, sorted by file.
    pub(crate) fn records(&self) -> Vec<Record> {
        let Ok(files) = fs::read_dir(&self.folder) else { return Vec::new() };
        let read = |file: fs::DirEntry| {
            let path = file.path();
            let whole = path.extension().is_some_and(|extension| extension == "json");
            let text = fs::read(path).ok().filter(|_| whole)?;
            serde_json::from_slice::<Record>(&text).ok()
        };
        let mut records: Vec<_> = files.flatten().filter_map(read).collect();
        records.retain(|record| record.subject.server == self.server);
        records.sort_by(|one, other| one.subject.path.cmp(&other.subject.path));
        records
    }

    /// An upload is over.
    pub(crate) fn forget(&self, record: &Record) {
        let Subject { path, name, size, modified, .. } = &record.subject;
        let modified = u64::try_from(*modified).map(Duration::from_nanos).ok();
        let modified = modified.and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
        if let Some(entry) = modified.and_then(|it| self.entry(path, name, *size, it)) {
            entry.forget();
        }
    }

    fn forget_old(&self) {
        let Ok(records) = fs::read_dir(&self.folder) else { return };
        for record in records.flatten() {
            let modified = record.metadata().and_then(|metadata| metadata.modified());
            let age = modified.ok().and_then(|modified| modified.elapsed().ok());
            if age.is_some_and(|age| age > LONGEST_LIFE) {
                let _ = fs::remove_file(record.path());
            }
        }
    }
}

impl Record {
    /// When the file was changed, if it is still the one that the upload was
    /// begun with.
    pub(crate) fn is_of(&self, metadata: &fs::Metadata) -> Option<SystemTime> {
        let modified = metadata.modified().ok()?;
        let since_1970 = modified.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        let same = metadata.is_file()
            && metadata.len() == self.subject.size
            && since_1970.as_nanos() == self.subject.modified;
        same.then_some(modified)
    }
}

impl Entry {
    /// What an earlier run has left.
    pub(crate) fn load(&self) -> Option<Record> {
        let record: Record = serde_json::from_slice(&fs::read(&self.path).ok()?).ok()?;
        (record.subject == self.subject).then_some(record)
    }

    /// Writes the record so that it is there whole or not at all.
    pub(crate) fn save(
        &self,
        terms: &Terms,
        request_id: &str,
        upload_id: Option<&str>,
    ) -> io::Result<()> {
        let record = Record {
            subject: self.subject.clone(),
            terms: terms.clone(),
            request_id: request_id.to_owned(),
            upload_id: upload_id.map(ToOwned::to_owned),
        };
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let unique = format!("{}.new", std::process::id());
        let partial = self.path.with_extension(unique);
        let mut file = fs::File::create(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(&record)?)?;
        // It must outlive a power cut, as the upload does.
        file.sync_all()?;
        fs::rename(&partial, &self.path)
    }

    /// The upload is over.
    pub(crate) fn forget(&self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn journal(folder: &Path) -> Journal {
        Journal { folder: folder.join("uploads"), server: "http://127.0.0.1:7070".into() }
    }

    fn terms() -> Terms {
        Terms {
            content_type: "video/mp4".into(),
            metadata: BTreeMap::new(),
            part_size: None,
            replace: false,
        }
    }

    #[test]
    fn a_record_is_found_again_for_the_same_file_only() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(folder.path());
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let entry = |name, size, time| journal.entry(Path::new("/a"), name, size, time).unwrap();
        entry("n", 7, time).save(&terms(), "request", None).unwrap();

        let found = entry("n", 7, time).load().unwrap();
        assert_eq!((found.request_id.as_str(), found.upload_id), ("request", None));
        assert_eq!(found.terms, terms());
        assert!(entry("m", 7, time).load().is_none());
        assert!(entry("n", 8, time).load().is_none());
        assert!(entry("n", 7, time + Duration::from_nanos(1)).load().is_none());

        entry("n", 7, time).save(&terms(), "request", Some("upl_1")).unwrap();
        assert_eq!(entry("n", 7, time).load().unwrap().upload_id.as_deref(), Some("upl_1"));
        entry("n", 7, time).forget();
        assert!(entry("n", 7, time).load().is_none());
        assert_eq!(fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
    }

    #[test]
    fn all_records_of_a_server_are_found_and_forgotten() {
        let folder = tempfile::tempdir().unwrap();
        let here = journal(folder.path());
        let there = Journal { server: "http://elsewhere".into(), ..here.clone() };
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        for (journal, path) in [(&here, "/b"), (&here, "/a"), (&there, "/c")] {
            let entry = journal.entry(Path::new(path), "n", 7, time).unwrap();
            entry.save(&terms(), "request", Some("upl_1")).unwrap();
        }
        let records = here.records();
        let paths: Vec<_> = records.iter().map(|it| it.subject.path.clone()).collect();
        assert_eq!(paths, [Path::new("/a"), Path::new("/b")]);
        here.forget(&records[0]);
        assert_eq!(here.records(), records[1..]);
    }

    #[test]
    fn what_is_not_a_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let entry = journal(folder.path()).entry(Path::new("/a"), "n", 7, SystemTime::UNIX_EPOCH);
        let entry = entry.unwrap();
        fs::create_dir_all(entry.path.parent().unwrap()).unwrap();
        fs::write(&entry.path, b"{\"half\":").unwrap();
        assert!(entry.load().is_none());
    }
}
