//! Bare TCP: a process that reads, and maybe stores, and then answers.

use std::{
    fs::File,
    io::{self, Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use tokio::process::Command;

use crate::{process::Process, usage::Usage};

/// Bytes for each read and write.
const BUFFER: usize = 1024 * 1024;

/// The running process.
pub(crate) struct TcpServer {
    process: Process,
    address: SocketAddr,
}

impl TcpServer {
    /// Starts it; with a file it stores what it reads.
    pub(crate) async fn start(file: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["serve", "tcp"]).args(file);
        let mut process = Process::start(&mut command)?;
        let address = process.said("listening on ").await?.parse()?;
        Ok(Self { process, address })
    }

    /// Sends a file over so many connections, the same share over each, and
    /// waits for the answers.
    pub(crate) fn send(&self, source: &Path, connections: u64) -> Result<Duration> {
        let file = File::open(source)?;
        let share = file.metadata()?.len().div_ceil(connections);
        let started = Instant::now();
        thread::scope(|scope| {
            let lanes: Vec<_> = (0..connections)
                .map(|lane| {
                    let (address, file) = (self.address, &file);
                    scope.spawn(move || send(address, file, lane * share, share))
                })
                .collect();
            lanes.into_iter().try_for_each(|lane| {
                lane.join().map_err(|_| anyhow!("a sender has panicked"))?.context("cannot send")
            })
        })?;
        Ok(started.elapsed())
    }

    /// What the process has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.process.usage()
    }

    /// Ends it.
    pub(crate) async fn stop(self) -> Result<()> {
        self.process.stop().await
    }
}

fn send(address: SocketAddr, file: &File, start: u64, length: u64) -> io::Result<()> {
    let mut connection = TcpStream::connect(address)?;
    let mut buffer = vec![0; BUFFER];
    let (mut offset, end) = (start, start + length);
    while offset < end {
        let most = usize::try_from(end - offset).unwrap_or(BUFFER).min(BUFFER);
        let length = file.read_at(&mut buffer[..most], offset)?;
        if length == 0 {
            break;
        }
        connection.write_all(&buffer[..length])?;
        offset += length as u64;
    }
    connection.shutdown(Shutdown::Write)?;
    connection.read_exact(&mut [0])
}

/// The process: takes connections until it is killed.
pub(crate) fn serve(file: Option<PathBuf>) -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (connection, _) = listener.accept()?;
        let file = file.clone();
        thread::spawn(move || {
            let taken = match file {
                None => discard(connection),
                Some(file) => store(connection, &file),
            };
            if let Err(error) = taken {
                eprintln!("a connection has failed: {error}");
            }
        });
    }
}

fn discard(mut connection: TcpStream) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER];
    while connection.read(&mut buffer)? > 0 {}
    connection.write_all(b"k")
}

/// What a durable upload costs without any check.
fn store(mut connection: TcpStream, file: &Path) -> io::Result<()> {
    let mut file = File::create(file)?;
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
}
