//! Files on the server, as commands name and show them.

use std::{
    collections::BTreeMap,
    path::{Component, Path, PathBuf},
};

use serde::Serialize;
use sluice_domain::FileId;
use sluice_sdk::{Client, File, v1::file::State};

use crate::{exit::Exit, failure::Failure};

/// The file with this id, or else with this name.
pub(crate) async fn resolve(client: &Client, name_or_id: &str) -> Result<File, Failure> {
    let by_id = match FileId::parse(name_or_id, "file_id") {
        Ok(_) => match client.get(name_or_id).await {
            Ok(file) => Some(file),
            Err(error) if error.reason() == Some(sluice_sdk::Reason::FileNotFound) => None,
            Err(error) => return Err(Failure::from(error).about(name_or_id)),
        },
        Err(_) => None,
    };
    let file = match by_id {
        Some(file) => Some(file),
        None => {
            client.find(name_or_id).await.map_err(|error| Failure::from(error).about(name_or_id))?
        }
    };
    file.ok_or_else(|| Failure::no_such_file(name_or_id))
}

/// A folder's name as the beginning of the names in it.
pub(crate) fn folder_prefix(folder: &str) -> String {
    match folder.trim_end_matches('/') {
        "" => String::new(),
        folder => format!("{folder}/"),
    }
}

/// Where a file of this name goes below a local folder. No server is trusted
/// with a way out of it.
pub(crate) fn place_below(folder: &Path, name: &str) -> Result<PathBuf, Failure> {
    let plain = |component| matches!(component, Component::Normal(_));
    match !name.is_empty() && Path::new(name).components().all(plain) {
        true => Ok(folder.join(name)),
        false => {
            let message = format!("{name:?} is no name that a file here can have");
            Err(Failure::new(Exit::Refused, message).hint("choose the place with --output"))
        }
    }
}

/// A file as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct FileView<'a> {
    name: &'a str,
    file_id: &'a str,
    size: u64,
    state: &'static str,
    content_type: &'a str,
    crc32c: Option<String>,
    sha256: Option<String>,
    blake3: Option<String>,
    create_time: Option<String>,
    ready_time: Option<String>,
    metadata: &'a BTreeMap<String, String>,
    upload_id: &'a str,
    etag: &'a str,
    error: Option<&'a str>,
}

impl<'a> From<&'a File> for FileView<'a> {
    fn from(file: &'a File) -> Self {
        let checksums = file.checksums.as_ref();
        let digest = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex::encode(bytes));
        Self {
            name: &file.name,
            file_id: &file.id,
            size: file.size.cast_unsigned(),
            state: state_name(file.state()),
            content_type: &file.content_type,
            crc32c: checksums.and_then(|sums| sums.crc32c).map(|crc| format!("{crc:08x}")),
            sha256: checksums.and_then(|sums| digest(&sums.sha256)),
            blake3: checksums.and_then(|sums| digest(&sums.blake3)),
            create_time: file.create_time.map(|time| time.to_string()),
            ready_time: file.ready_time.map(|time| time.to_string()),
            metadata: &file.metadata,
            upload_id: &file.upload_id,
            etag: &file.etag,
            error: file.error.as_ref().map(|error| error.message.as_str()),
        }
    }
}

impl FileView<'_> {
    /// What it is and how it is, as one line for people.
    pub(crate) fn line(&self) -> String {
        let size = crate::units::bytes(self.size).to_string();
        format!("{}  {size:>11}  {}  {}", self.file_id, self.name, self.state.to_lowercase())
    }

    /// The fields that have a value, as lines for people.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let given = |name, value: &Option<String>| value.clone().map(|value| (name, value));
        let size = match self.size {
            0..1024 => format!("{} bytes", self.size),
            size => format!("{} ({size} bytes)", crate::units::bytes(size)),
        };
        let mut lines = vec![
            ("name", self.name.to_owned()),
            ("id", self.file_id.to_owned()),
            ("size", size),
            ("type", self.content_type.to_owned()),
            ("state", self.state.to_lowercase()),
        ];
        lines.extend(self.error.map(|error| ("error", error.to_owned())));
        lines.extend(given("created", &self.create_time));
        lines.extend(given("crc32c", &self.crc32c));
        lines.extend(given("sha256", &self.sha256));
        lines.extend(given("blake3", &self.blake3));
        lines.extend(
            self.metadata.iter().map(|(key, value)| ("metadata", format!("{key}={value}"))),
        );
        lines
    }
}

fn state_name(state: State) -> &'static str {
    state.as_str_name().trim_start_matches("STATE_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_may_be_written_with_or_without_a_slash() {
        assert_eq!(folder_prefix("a/b"), "a/b/");
        assert_eq!(folder_prefix("a/b/"), "a/b/");
        assert_eq!(folder_prefix(""), "");
        assert_eq!(folder_prefix("/"), "");
    }

    #[test]
    fn nothing_is_placed_outside_of_the_folder() {
        let folder = Path::new("here");
        assert_eq!(place_below(folder, "a/b").unwrap(), folder.join("a/b"));
        for name in ["", "..", "../a", "a/../../b", "/a", "./a"] {
            assert!(place_below(folder, name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_not_known_is_not_shown() {
        let file = File { name: "a".into(), state: State::Ready.into(), ..File::default() };
        let view = FileView::from(&file);
        let names: Vec<_> = view.lines().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["name", "id", "size", "type", "state"]);
        assert_eq!(serde_json::to_value(&view).unwrap()["state"], "READY");
    }
}
