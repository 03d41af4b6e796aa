//! What people have signed in with, for each server: a file that only its owner
//! can read.

mod kept;
mod store;

use std::{
    any::Any,
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Write},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use http::Uri;

use self::kept::Kept;
pub(crate) use self::{
    kept::{Login, Secret},
    store::LoginStore,
};
use crate::{exit::Exit, failure::Failure};

/// Nobody holds the lock for longer than it takes a server to refresh a
/// session, unless the process was stopped.
const LONGEST_TURN: Duration = Duration::from_secs(30);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The file. Whoever changes it holds a lock, and puts a new file in its place:
/// readers see all of one or of the other.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    path: PathBuf,
}

impl Credentials {
    /// That of this user, if the system has a place for it.
    pub(crate) fn usual() -> Option<Self> {
        Some(Self { path: dirs::config_dir()?.join("sluice/credentials.json") })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// What was signed in to this server with, if anybody has.
    pub(crate) fn secret(&self, server: &str) -> Result<Option<Secret>, Failure> {
        Ok(self.login(server)?.secret)
    }

    /// Everything that is known of signing in to this server.
    pub(crate) fn login(&self, server: &str) -> Result<Login, Failure> {
        let mut kept = self.read().map_err(|error| self.unusable(&error))?;
        Ok(kept.servers.remove(&origin(server)).unwrap_or_default())
    }

    /// Changes what is known of signing in to this server.
    pub(crate) fn change(
        &self,
        server: &str,
        change: impl FnOnce(&mut Login),
    ) -> Result<(), Failure> {
        let change = || {
            let _lock = self.lock()?;
            self.change_locked(server, change)
        };
        change().map_err(|error| self.unusable(&error))
    }

    /// The session of whoever has signed in to a server, for a client that
    /// refreshes it.
    pub(crate) fn store(&self, server: &str, login: &Login) -> LoginStore {
        let (server, account_id) = (server.to_owned(), login.account_id.clone());
        LoginStore { credentials: self.clone(), server, account_id }
    }

    fn change_locked(&self, server: &str, change: impl FnOnce(&mut Login)) -> io::Result<()> {
        let mut kept = self.read()?;
        let origin = origin(server);
        let login = kept.servers.entry(origin.clone()).or_default();
        change(login);
        if *login == Login::default() {
            kept.servers.remove(&origin);
        }
        self.write(&kept)
    }

    fn read(&self) -> io::Result<Kept> {
        match fs::read(&self.path) {
            Ok(text) => Ok(serde_json::from_slice(&text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::default()),
            Err(error) => Err(error),
        }
    }

    /// Puts the file there whole, so that it outlives a power cut: a refresh
    /// token that is not there any more cannot be had again.
    fn write(&self, kept: &Kept) -> io::Result<()> {
        let partial = self.path.with_extension("new");
        // What a process has left that ended in between.
        match fs::remove_file(&partial) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = owner_only().create_new(true).open(&partial)?;
        file.write_all(&serde_json::to_vec_pretty(kept)?)?;
        file.sync_all()?;
        fs::rename(&partial, &self.path)?;
        #[cfg(unix)]
        File::open(self.folder())?.sync_all()?;
        Ok(())
    }

    /// Waits until no other process changes the file or refreshes a session, and
    /// keeps them from it. May block.
    fn lock(&self) -> io::Result<Box<dyn Any + Send>> {
        let mut folder = fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut folder, 0o700);
        folder.recursive(true).create(self.folder())?;
        let path = self.path.with_extension("lock");
        let file = owner_only().create(true).truncate(false).open(path)?;
        let began = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Box::new(file)),
                Err(TryLockError::Error(error)) => return Err(error),
                Err(TryLockError::WouldBlock) if began.elapsed() > LONGEST_TURN => {
                    let message = "another sluice process holds on to the credentials";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, message));
                }
                Err(TryLockError::WouldBlock) => thread::sleep(LOOK_AGAIN),
            }
        }
    }

    fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    fn unusable(&self, error: &io::Error) -> Failure {
        let path = self.path.display();
        let message = format!("credentials cannot be kept in {path}: {error}");
        let failure = Failure::new(Exit::Denied, message);
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                failure.hint("remove that file and sign in again with `sluice login`")
            }
            _ => failure,
        }
    }
}

/// A file that is this user's business only, from its first moment on.
fn owner_only() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// What two addresses of one server have in common: `https://example.com:443`.
fn origin(server: &str) -> String {
    let uri: Uri = server.parse().unwrap_or_default();
    let scheme = uri.scheme_str().unwrap_or("http");
    let usual = if scheme == "https" { 443 } else { 80 };
    let host = uri.host().unwrap_or_default().to_lowercase();
    format!("{scheme}://{host}:{}", uri.port_u16().unwrap_or(usual))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use sluice_sdk::SessionStore;

    use super::*;

    const HERE: &str = "http://127.0.0.1:7070";

    fn credentials(folder: &tempfile::TempDir) -> Credentials {
        Credentials { path: folder.path().join("sluice/credentials.json") }
    }

    fn with_key(key: &str) -> impl FnOnce(&mut Login) {
        let secret = Some(Secret::ApiKey(key.to_owned()));
        |login| login.secret = secret
    }

    #[test]
    fn each_server_has_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(&folder);
        assert_eq!(credentials.secret(HERE).unwrap(), None);
        credentials.change(HERE, with_key("one")).unwrap();
        credentials.change("https://Example.com", with_key("two")).unwrap();
        let secret = |server| credentials.secret(server).unwrap();
        assert_eq!(secret(HERE), Some(Secret::ApiKey("one".into())));
        assert_eq!(secret("https://example.com:443/"), Some(Secret::ApiKey("two".into())));
        for other in ["http://example.com", "https://example.com:8443", "http://127.0.0.1:7071"] {
            assert_eq!(secret(other), None, "{other}");
        }
        credentials.change(HERE, |login| login.secret = None).unwrap();
        assert_eq!(secret(HERE), None);
        let text = fs::read_to_string(credentials.path()).unwrap();
        assert!(!text.contains("127.0.0.1"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_can_read_it() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(&folder);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        credentials.change(HERE, with_key("one")).unwrap();
        assert_eq!(mode(credentials.path()), 0o600);
        assert_eq!(mode(credentials.folder()), 0o700);
        // Whatever was done to it.
        fs::set_permissions(credentials.path(), fs::Permissions::from_mode(0o644)).unwrap();
        credentials.change(HERE, with_key("two")).unwrap();
        assert_eq!(mode(credentials.path()), 0o600);
    }

    #[test]
    fn what_is_left_of_a_crash_does_no_harm() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(&folder);
        credentials.change(HERE, with_key("one")).unwrap();
        fs::write(credentials.path().with_extension("new"), "{\"servers\":").unwrap();
        assert_eq!(credentials.secret(HERE).unwrap(), Some(Secret::ApiKey("one".into())));
        credentials.change(HERE, with_key("two")).unwrap();
        assert_eq!(credentials.secret(HERE).unwrap(), Some(Secret::ApiKey("two".into())));
    }

    #[test]
    fn a_damaged_file_is_told_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(&folder);
        credentials.change(HERE, with_key("s3cret")).unwrap();
        let text = fs::read_to_string(credentials.path()).unwrap();
        fs::write(credentials.path(), &text[..text.len() - 4]).unwrap();
        let failure = credentials.secret(HERE).unwrap_err();
        assert_eq!(failure.exit, Exit::Denied);
        assert!(failure.message.contains("credentials.json"), "{}", failure.message);
        assert!(!failure.message.contains("s3cret"), "{}", failure.message);
        assert!(failure.hint.unwrap().contains("sluice login"));
    }

    #[test]
    fn changes_of_many_at_once_are_all_there_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = credentials(&folder);
        thread::scope(|scope| {
            for device in 0..16 {
                let credentials = &credentials;
                scope.spawn(move || {
                    let add = |login: &mut Login| {
                        login.devices.insert(device.to_string(), String::new());
                    };
                    credentials.change(HERE, add).unwrap();
                });
            }
        });
        assert_eq!(credentials.login(HERE).unwrap().devices.len(), 16);
    }

    #[test]
    fn a_session_comes_back_as_it_was_saved() {
        let folder = tempfile::tempdir().unwrap();
        let ada = Login { account_id: Some("usr_1".into()), ..Login::default() };
        let store = credentials(&folder).store(HERE, &ada);
        assert_eq!(store.load().unwrap(), None);
        let time = |seconds| std::time::UNIX_EPOCH + Duration::new(seconds, 123_456_789);
        let tokens = sluice_sdk::SessionTokens {
            access_token: "access".into(),
            access_expire_time: time(1_900_000_000),
            refresh_token: "refresh".into(),
            refresh_expire_time: time(1_910_000_000),
            session_id: "ses_1".into(),
        };
        let devices = BTreeMap::from([("a@b".to_owned(), "token".to_owned())]);
        let known = devices.clone();
        let ada = Login { devices: known, ..ada };
        store.credentials.change(HERE, |login| *login = ada).unwrap();
        let _lock = store.lock().unwrap();
        store.save(Some(&tokens)).unwrap();
        assert_eq!(store.load().unwrap(), Some(tokens));
        // Nobody goes on with the session of somebody else.
        let bob = Login { account_id: Some("usr_2".into()), ..Login::default() };
        assert_eq!(store.credentials.store(HERE, &bob).load().unwrap(), None);
        store.save(None).unwrap();
        assert_eq!(store.load().unwrap(), None);
        assert_eq!(store.credentials.login(HERE).unwrap().devices, devices);
    }
}
