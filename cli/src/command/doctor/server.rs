//! What a server on this machine needs.

use std::{
    env,
    fs::{self, File},
    io::{self, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sluice_server::config::{Config, Engine, Overrides};

use super::{Finding, Report, aws};
use crate::{command::config::server as configuration, exit::Exit, failure::Failure, units};

/// How often a sync is measured.
const SYNCS: usize = 16;
/// What is written before each: as much as a record and its log.
const WRITTEN: [u8; 4096] = [0; 4096];
/// A disk that needs longer makes small files slow.
const SLOW_SYNC: Duration = Duration::from_millis(50);
/// A disk that needs less may only pretend.
const QUICK_SYNC: Duration = Duration::from_micros(20);

/// Looks at one thing after the other.
pub(super) async fn look(
    report: &mut Report,
    overrides: &Overrides,
    read_only: bool,
) -> Result<(), Failure> {
    let config = match configuration::check(overrides) {
        Ok(config) => config,
        Err(failure) => {
            report.add("config", failure.into())?;
            for name in ["address", "folder", "fsync", "space", "files"] {
                report.add(name, Finding::skipped("not looked at"))?;
            }
            return Ok(());
        }
    };
    let file = overrides.config_file.as_ref();
    let file = file.map_or("no configuration file".to_owned(), |file| file.display().to_string());
    report.add("config", Finding::ok(file))?;
    report.add("address", address(&config))?;
    if config.storage.engine == Engine::Aws {
        report.add("files", descriptors(&config))?;
        let folder = config.aws.spill_dir.clone().unwrap_or_else(env::temp_dir);
        report.add("spill", spill(&config, &folder))?;
        return aws::look(report, &config, read_only).await;
    }
    let folder = nearest(&config.storage.data_dir);
    let writable = writable(&config.storage.data_dir, &folder);
    if report.add("folder", writable.unwrap_or_else(|error| unwritable(&folder, &error)))? {
        report.add("fsync", sync(&folder).unwrap_or_else(|error| unwritable(&folder, &error)))?;
    } else {
        report.add("fsync", Finding::skipped("not looked at"))?;
    }
    report.add("space", space(&config, &folder))?;
    report.add("files", descriptors(&config))?;
    Ok(())
}

fn address(config: &Config) -> Finding {
    let listen = config.server.listen;
    match TcpListener::bind(listen) {
        Ok(_) if !listen.ip().is_loopback() && !config.tls.is_on() => Finding::warning(
            format!("{listen} is free, and other machines reach it without TLS"),
            "configure [tls], or put a proxy that ends TLS in front of it",
        ),
        Ok(_) => Finding::ok(format!("{listen} is free")),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Finding::warning(
            format!("{listen} is in use"),
            "that is as it should be if the server runs; else choose another with --listen",
        ),
        Err(error) => Failure::new(Exit::Other, format!("cannot listen on {listen}: {error}"))
            .hint("choose another address with --listen or server.listen")
            .into(),
    }
}

/// The folder, or the one around it in which it will be made.
fn nearest(folder: &Path) -> PathBuf {
    let there = folder.ancestors().find(|folder| folder.is_dir());
    match there {
        Some(there) if there.as_os_str().is_empty() => PathBuf::from("."),
        Some(there) => there.to_owned(),
        None => PathBuf::from("."),
    }
}

fn writable(wanted: &Path, folder: &Path) -> io::Result<Finding> {
    let probe = Probe::new(folder)?;
    probe.file().write_all(&WRITTEN)?;
    Ok(Finding::ok(match wanted == folder {
        true => format!("{} can be written", wanted.display()),
        false => format!("{} will be made by `sluice serve`", wanted.display()),
    }))
}

fn unwritable(folder: &Path, error: &io::Error) -> Finding {
    Failure::new(Exit::Other, format!("cannot write to {}: {error}", folder.display()))
        .hint("give it to the user that runs the server, or name another with --data-dir")
        .into()
}

/// Measures how long bytes take until they are on the disk.
fn sync(folder: &Path) -> io::Result<Finding> {
    let probe = Probe::new(folder)?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        probe.file().write_all(&WRITTEN)?;
        let started = Instant::now();
        probe.file().sync_data()?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    let (median, worst) = (times[SYNCS / 2], times[SYNCS - 1]);
    let message = format!(
        "{} in the middle, {} at worst",
        units::milliseconds(median),
        units::milliseconds(worst)
    );
    Ok(if median > SLOW_SYNC {
        let hint = "every part and every small file waits for one; a faster disk helps most";
        Finding::warning(message, hint)
    } else if median < QUICK_SYNC {
        let hint = "no disk is so fast: is this memory, or one that forgets at a power cut?";
        Finding::warning(message, hint)
    } else {
        Finding::ok(message)
    })
}

fn space(config: &Config, folder: &Path) -> Finding {
    let reserve = config.storage.reserve;
    match fs4::available_space(folder) {
        Ok(free) if free <= reserve => {
            let message = format!(
                "{} are free, and {} are kept for the database: no upload is taken",
                units::bytes(free),
                units::bytes(reserve)
            );
            Failure::new(Exit::Full, message).hint("make room, or lower storage.reserve").into()
        }
        Ok(free) => Finding::ok(format!(
            "{} are free, of which {} are kept for the database",
            units::bytes(free),
            units::bytes(reserve)
        )),
        Err(error) => unwritable(folder, &error),
    }
}

/// The disk that takes parts which do not fit into memory.
fn spill(config: &Config, folder: &Path) -> Finding {
    let (shown, wanted) = (folder.display(), config.aws.spill_size);
    match Probe::new(folder).and_then(|_| fs4::available_space(folder)) {
        Ok(free) if free < wanted => Finding::warning(
            format!(
                "{} are free in {shown}, fewer than {}",
                units::bytes(free),
                units::bytes(wanted)
            ),
            "make room, name another folder as aws.spill_dir, or lower aws.spill_size",
        ),
        Ok(free) => Finding::ok(format!("{} are free in {shown}", units::bytes(free))),
        Err(error) => Failure::new(Exit::Other, format!("cannot write to {shown}: {error}"))
            .hint("give it to the user that runs the server, or name another as aws.spill_dir")
            .into(),
    }
}

/// A connection takes one, and a stream's file another.
fn descriptors(config: &Config) -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let needed = 2 * config.server.max_connections as u64;
    match limit {
        Some(limit) if limit < needed => Finding::warning(
            format!("{limit} files may be open, fewer than {needed}"),
            "raise the limit (ulimit -n, LimitNOFILE) or lower server.max_connections",
        ),
        Some(limit) => Finding::ok(format!("{limit} files may be open")),
        None => Finding::ok("any number of files may be open"),
    }
}

/// A file that is gone with this.
struct Probe {
    path: PathBuf,
    file: File,
}

impl Probe {
    fn new(folder: &Path) -> io::Result<Self> {
        let path = folder.join(format!(".sluice-doctor-{}", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&path)?;
        Ok(Self { path, file })
    }

    fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
