//! Commands that go on by themselves while the server is stopped and started
//! again.

use std::{fs, time::Duration};

use sluice_tests::{
    Content, Ended, MIB, Proxy, Seed, Server, Terminal, argument, ended, eventually,
};
use tokio::{io::AsyncWriteExt, process::Child};

const SIZE: u64 = 64 * MIB;
const PART: u64 = MIB;
const STREAMS: u64 = 4;

/// What may be sent in vain: for each stream a part, and what its connection
/// has under way.
const IN_FLIGHT: u64 = STREAMS * (PART + 2 * MIB);

/// Room for headers, settings and questions about the state.
const SLACK: u64 = MIB;

/// Stops the server, as an operator does, when half of the bytes went by;
/// answers how the command ended that was under way.
async fn through_a_restart(
    command: Child,
    server: &mut Server,
    proxy: &Proxy,
    passed: impl Fn() -> u64,
) -> Ended {
    let before = passed();
    eventually("half of it", Duration::from_secs(60), async || passed() >= before + SIZE / 2).await;
    let status = server.stop().await;
    assert!(status.success(), "the server ended with {status}");
    // Long enough for somebody to find nobody there.
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.restart().await;
    proxy.switch(server.address());
    proxy.slow_down(0);
    let ended = ended(command).await;
    ended.assert_code(0);
    ended
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transfers_survive_a_restart_by_themselves() {
    let seed = Seed::of("transfers_survive_a_restart_by_themselves");
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let terminal = Terminal::of(&server, &proxy.url());
    let content = Content::new(seed.value(), SIZE);
    content.write_to(&terminal.path("big"));

    for input in ["big", "-"] {
        let name = format!("restarted {input}");
        let command =
            ["upload", input, "--name", &name, "--part-size=1MiB", "--streams=4", "--json"];
        let (before, sent) = (proxy.sent(), || proxy.sent());
        proxy.slow_down(4 * MIB);
        let mut upload = terminal.start_piped(&command);
        let mut stdin = upload.stdin.take().unwrap();
        if input == "-" {
            let bytes = content.all();
            tokio::spawn(async move { stdin.write_all(&bytes).await });
        }
        let uploaded = through_a_restart(upload, &mut server, &proxy, sent).await;
        let event = uploaded.event("uploaded");
        assert_eq!(event["blake3"], hex::encode(content.blake3()));
        let resent = event["bytes_resent"].as_u64().unwrap();
        assert!(resent <= IN_FLIGHT, "{input}: {resent} bytes were sent again, {seed}");
        let sent = proxy.sent() - before;
        let most = SIZE + IN_FLIGHT + SLACK;
        assert!(sent <= most, "{input}: {sent} bytes for a file of {SIZE}, {seed}");

        let back = terminal.path("back");
        let command = ["download", &name, "-o", &argument(&back), "--json"];
        let received = || proxy.received();
        proxy.slow_down(16 * MIB);
        let download = terminal.start(&command);
        let downloaded = through_a_restart(download, &mut server, &proxy, received).await;
        let event = downloaded.event("downloaded");
        assert_eq!((&event["bytes_sent"], &event["bytes_resent"]), (&SIZE.into(), &0.into()));
        assert!(content.is_in(&back), "other bytes came back");
        fs::remove_file(back).unwrap();
    }
}

/// The most memory that a process has had, in bytes.
fn peak_memory(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipe_costs_little_memory_however_much_comes() {
    const PIPED: u64 = 256 * MIB;
    /// Three parts of 2 MiB, two frames, and the program itself.
    const MOST: u64 = 64 * MIB;

    let server = Server::start().await;
    let terminal = Terminal::of(&server, &server.url());
    let content = Content::new(7, PIPED);
    let command =
        ["upload", "-", "--name", "piped", "--part-size", "2MiB", "--streams", "2", "--json"];
    let mut upload = terminal.start_piped(&command);
    let (pid, mut stdin) = (upload.id().unwrap(), upload.stdin.take().unwrap());
    let mut peak = 0;
    for start in (0..PIPED).step_by(MIB as usize) {
        stdin.write_all(&content.bytes(start..start + MIB)).await.unwrap();
        peak = peak_memory(pid).map_or(peak, |now| now.max(peak));
    }
    drop(stdin);
    let uploaded = ended(upload).await;
    assert_eq!(uploaded.assert_code(0).event("uploaded")["size"], PIPED);
    assert!(peak > 0 && peak <= MOST, "{} MiB for {} MiB", peak / MIB, PIPED / MIB);
}
