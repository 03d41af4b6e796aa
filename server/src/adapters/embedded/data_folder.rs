//! The data folder: one process at a time, and its API key.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};

/// The file of the operator's API key.
const API_KEY: &str = "api-key";

/// The file of the token with which the operator's account is registered.
const SETUP_TOKEN: &str = "setup-token";

/// Why the data folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataFolderError {
    /// Another process has it.
    #[error(
        "the data folder {0} is in use by another sluice; stop that one or choose another folder with --data-dir"
    )]
    InUse(PathBuf),
    /// A file operation failed.
    #[error("cannot {operation} {path}: {source}")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file of a secret has been emptied or cut.
    #[error("{0} holds no secret; remove it and a new one is made at the next start")]
    BadSecret(PathBuf),
    /// The system gives no random numbers.
    #[error("no random numbers: {0}")]
    Random(#[from] getrandom::Error),
}

/// The folder that holds everything of the embedded engine. While this lives,
/// no other process can open it.
#[derive(Debug)]
pub struct DataFolder {
    path: PathBuf,
    _lock: File,
}

impl DataFolder {
    /// Opens the folder, creating it for this user alone if it is not there.
    pub fn open(path: &Path) -> Result<Self, DataFolderError> {
        let failed = |operation, at: &Path| {
            let path = at.to_owned();
            move |source| DataFolderError::Io { operation, path, source }
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(failed("create the data folder", path))?;
        sync_ancestors(path).map_err(failed("sync the folders above", path))?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(failed("open", &lock_path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), _lock: lock }),
            Err(fs::TryLockError::WouldBlock) => Err(DataFolderError::InUse(path.to_owned())),
            Err(fs::TryLockError::Error(source)) => Err(failed("lock", &lock_path)(source)),
        }
    }

    /// The database file.
    pub fn database(&self) -> PathBuf {
        self.path.join("sluice.db")
    }

    /// The folder of the bytes.
    pub fn blobs(&self) -> PathBuf {
        self.path.join("blobs")
    }

    /// The operator's API key; made at the first start, when the file is not
    /// there, and readable by this user only.
    pub fn api_key(&self) -> Result<SecretString, DataFolderError> {
        self.secret(API_KEY, "sluice_key_")
    }

    /// The same without making one, of a folder that may not be there and that
    /// another process may have.
    pub fn kept_api_key(path: &Path) -> Result<Option<SecretString>, DataFolderError> {
        kept_secret(path.join(API_KEY))
    }

    /// Whether the token was made with which the operator's account is registered.
    pub fn has_setup_token(&self) -> bool {
        self.path.join(SETUP_TOKEN).exists()
    }

    /// That token, made now if there is none.
    pub fn setup_token(&self) -> Result<SecretString, DataFolderError> {
        self.secret(SETUP_TOKEN, "sluice_setup_")
    }

    /// Removes the token, which is used.
    pub fn remove_setup_token(&self) -> Result<(), DataFolderError> {
        let path = self.path.join(SETUP_TOKEN);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(DataFolderError::Io { operation: "remove", path, source })
            }
            _ => Ok(()),
        }
    }

    /// The secret in a file of this name; made if there is none.
    fn secret(&self, name: &str, prefix: &str) -> Result<SecretString, DataFolderError> {
        let path = self.path.join(name);
        if let Some(secret) = kept_secret(path.clone())? {
            return Ok(secret);
        }
        let secret = new_secret(prefix)?;
        write_secret(&self.path, &path, secret.expose_secret())
            .map_err(|source| DataFolderError::Io { operation: "write", path, source })?;
        Ok(secret)
    }
}

/// The secret in a file, if there is one.
fn kept_secret(path: PathBuf) -> Result<Option<SecretString>, DataFolderError> {
    match fs::read_to_string(&path) {
        Ok(text) => {
            let secret = text.trim();
            if secret.len() < 32 {
                return Err(DataFolderError::BadSecret(path));
            }
            Ok(Some(secret.into()))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(DataFolderError::Io { operation: "read", path, source }),
    }
}

/// Makes the folder's name survive power loss, and those of the folders above
/// it, which may have been created with it.
fn sync_ancestors(path: &Path) -> io::Result<()> {
    for ancestor in path.canonicalize()?.ancestors().skip(1) {
        match File::open(ancestor).and_then(|folder| folder.sync_all()) {
            // Folders that others own were not created here.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => break,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => break,
            outcome => outcome?,
        }
    }
    Ok(())
}

/// A new secret: a prefix that secret scanners can match, and 256 random bits.
fn new_secret(prefix: &str) -> Result<SecretString, getrandom::Error> {
    let mut bits = [0; 32];
    getrandom::fill(&mut bits)?;
    Ok(format!("{prefix}{}", URL_SAFE_NO_PAD.encode(bits)).into())
}

/// Writes a file whole or not at all, also when the power fails.
fn write_secret(folder: &Path, path: &Path, secret: &str) -> io::Result<()> {
    let temporary = path.with_extension("new");
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&temporary)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
