//! Uploads on the server, as commands show them.

use serde::Serialize;
use sluice_sdk::Upload;

use crate::units;

/// An upload as JSON.
#[derive(Debug, Serialize)]
pub(crate) struct UploadView<'a> {
    upload_id: &'a str,
    name: &'a str,
    state: &'a str,
    size: Option<u64>,
    persisted_bytes: u64,
    part_size: u64,
    create_time: Option<String>,
    expire_time: Option<String>,
    /// The file here that goes on with it, where that was looked for.
    path: Option<String>,
}

impl<'a> From<&'a Upload> for UploadView<'a> {
    fn from(upload: &'a Upload) -> Self {
        Self {
            upload_id: &upload.id,
            name: &upload.name,
            state: upload.state().as_str_name().trim_start_matches("STATE_"),
            size: upload.size.map(i64::cast_unsigned),
            persisted_bytes: upload.persisted_bytes.cast_unsigned(),
            part_size: upload.part_size.cast_unsigned(),
            create_time: upload.create_time.map(|time| time.to_string()),
            expire_time: upload.expire_time.map(|time| time.to_string()),
            path: None,
        }
    }
}

impl UploadView<'_> {
    /// Adds where on this machine its bytes are.
    pub(crate) fn with_path(self, path: Option<String>) -> Self {
        Self { path, ..self }
    }

    /// The same as a line for people.
    pub(crate) fn line(&self) -> String {
        let progress = match self.size {
            Some(size) => format!(
                "{:>3} % of {}",
                units::percent(self.persisted_bytes, size),
                units::bytes(size)
            ),
            None => units::bytes(self.persisted_bytes).to_string(),
        };
        let state = match self.state {
            "ACTIVE" => String::new(),
            state => format!("  {}", state.to_lowercase()),
        };
        let path = self.path.as_ref().map(|path| format!("  (goes on from {path})"));
        let path = path.unwrap_or_default();
        format!("{}  {progress:>19}  {}{state}{path}", self.upload_id, self.name)
    }
}
