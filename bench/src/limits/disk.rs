//! The disk alone.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

/// Copies a file with dd, synced at the end.
pub(crate) fn dd(source: &Path, target: &Path) -> Result<Duration> {
    let started = Instant::now();
    let status = Command::new("dd")
        .arg(format!("if={}", source.display()))
        .arg(format!("of={}", target.display()))
        .args(["bs=1M", "conv=fsync"])
        .stderr(Stdio::null())
        .status()?;
    let elapsed = started.elapsed();
    ensure!(status.success(), "dd has failed");
    Ok(elapsed)
}

/// Creates `count` files of `size` bytes in a new folder the safe way (create,
/// fsync, rename, sync of the folder), one after the other in each thread.
pub(crate) fn create_safely(
    folder: &Path,
    count: usize,
    size: usize,
    threads: usize,
) -> Result<Duration> {
    fs::create_dir(folder)?;
    let content = vec![7; size];
    let next = AtomicUsize::new(0);
    let create = || -> io::Result<()> {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index >= count {
                return Ok(());
            }
            let temporary = folder.join(format!("{index}.new"));
            let mut file = File::create(&temporary)?;
            file.write_all(&content)?;
            file.sync_all()?;
            fs::rename(&temporary, folder.join(index.to_string()))?;
            File::open(folder)?.sync_all()?;
        }
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(create)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
        })
    })?;
    Ok(started.elapsed())
}
