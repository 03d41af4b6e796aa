//! What the machine can do without Sluice.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

/// Bytes for each read and write.
const BUFFER: usize = 1024 * 1024;

/// Sends a file over one connection to a reader that throws it away.
pub(crate) fn tcp_discarded(source: &Path) -> Result<Duration> {
    over_tcp(source, |mut connection| {
        let mut buffer = vec![0; BUFFER];
        while connection.read(&mut buffer)? > 0 {}
        connection.write_all(b"k")
    })
}

/// Sends a file over one connection to a reader that writes it to a file, syncs
/// it and then answers: what a durable upload without any check costs.
pub(crate) fn tcp_to_file(source: &Path, target: &Path) -> Result<Duration> {
    let elapsed = over_tcp(source, |mut connection| {
        let mut file = File::create(target)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = connection.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            file.write_all(&buffer[..length])?;
        }
        file.sync_data()?;
        connection.write_all(b"k")
    })?;
    fs::remove_file(target)?;
    Ok(elapsed)
}

fn over_tcp(
    source: &Path,
    serve: impl FnOnce(TcpStream) -> io::Result<()> + Send,
) -> Result<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    thread::scope(|scope| {
        let server = scope.spawn(move || serve(listener.accept()?.0));
        let started = Instant::now();
        let mut connection = TcpStream::connect(address)?;
        let mut file = File::open(source)?;
        let mut buffer = vec![0; BUFFER];
        loop {
            let length = file.read(&mut buffer)?;
            if length == 0 {
                break;
            }
            connection.write_all(&buffer[..length])?;
        }
        connection.shutdown(std::net::Shutdown::Write)?;
        connection.read_exact(&mut [0])?;
        let elapsed = started.elapsed();
        server.join().map_err(|_| anyhow::anyhow!("the reader has panicked"))??;
        Ok(elapsed)
    })
}

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
    fs::remove_file(target)?;
    Ok(elapsed)
}

/// Creates files the safe way, one after the other in each of several threads.
pub(crate) fn small_files(
    folder: &Path,
    count: usize,
    threads: usize,
    size: usize,
) -> Result<Duration> {
    let folder = folder.join("small");
    fs::create_dir(&folder)?;
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
            File::open(&folder)?.sync_all()?;
        }
    };
    let started = Instant::now();
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(create)).collect();
        workers.into_iter().try_for_each(|worker| {
            worker.join().unwrap_or_else(|_| Err(io::Error::other("a thread has panicked")))
        })
    })?;
    let elapsed = started.elapsed();
    fs::remove_dir_all(folder)?;
    Ok(elapsed)
}
