//! Uploads of what can be read once only: parts are kept until they are
//! acknowledged, whatever the network does, and not longer.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use sluice_sdk::{Source, UploadOptions};
use sluice_tests::{MIB, Proxy, Server, eventually};
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    time::sleep,
};

use crate::{
    client, content,
    gateway::{Bidi, Gateway},
    read, through,
};

/// Counts what is read of it.
struct Counted<R> {
    source: R,
    read: Arc<AtomicU64>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Counted<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.source).poll_read(context, buffer))?;
        self.read.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        Poll::Ready(Ok(()))
    }
}

fn once(bytes: &Bytes) -> Source {
    Source::reader(std::io::Cursor::new(bytes.clone()))
}

/// How many write streams the server was asked for.
fn streams(server: &Server, method: &str) -> usize {
    let log = server.log();
    log.lines().filter(|line| line.contains(&format!("/{method}\""))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_frame_costs_its_part_and_not_the_stream() {
    const MARK: &[u8] = b"sixteen times: it";

    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = through(&server, &proxy.url());
    let mut bytes = content(6 * MIB + 9).to_vec();
    let place = 3 * MIB as usize + 300_000;
    bytes[place..place + 64 * MARK.len()].copy_from_slice(&MARK.repeat(64));
    let bytes = Bytes::from(bytes);

    for times in 1..=2 {
        proxy.damage(MARK);
        let options = UploadOptions::new().name(format!("damaged/{times}"));
        let options = options.part_size(MIB).streams(1);
        let uploaded = client.upload(once(&bytes), options).await.unwrap();
        assert_eq!(proxy.damages(), times);
        assert_eq!(streams(&server, "BidiWriteUpload"), times as usize, "on one stream");
        let resent = uploaded.statistics.resent;
        assert!(resent > 0 && resent <= MIB, "{resent} bytes were sent again");
        assert!(read(&client, &uploaded.file.id).await == bytes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_cost_what_was_not_acknowledged() {
    const STREAMS: usize = 3;
    const PARTS: u64 = 4;
    const CUTS: u64 = 6;

    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = through(&server, &proxy.url());
    let bytes = content(48 * MIB + 1);
    let cutting = async {
        for cut in 1..=CUTS {
            proxy.cut_after(6 * MIB + 123_456);
            eventually("a cut", Duration::from_secs(60), async || proxy.cuts() >= cut).await;
        }
        std::future::pending::<()>().await;
    };
    let options = UploadOptions::new()
        .name("cut")
        .part_size(MIB)
        .streams(STREAMS)
        .parts_in_memory(PARTS as usize);
    let uploaded = tokio::select! {
        uploaded = client.upload(once(&bytes), options) => uploaded.unwrap(),
        () = cutting => unreachable!(),
    };
    assert!(proxy.cuts() >= 3, "{} cuts", proxy.cuts());
    let statistics = uploaded.statistics;
    // What is not in memory cannot be sent again.
    assert!(statistics.resent <= proxy.cuts() * PARTS * MIB, "{statistics:?}");
    assert_eq!(statistics.sent, statistics.size + statistics.resent);
    assert!(read(&client, &uploaded.file.id).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_however_much_there_is_to_read() {
    const PARTS: u64 = 3;
    const PART: u64 = 2 * MIB;
    const SIZE: u64 = 64 * MIB;
    /// The frame after the part, and the one that is being read.
    const AHEAD: u64 = 2 * MIB;

    let server = Server::start().await;
    let gateway = Gateway::to(&server.url(), Bidi::Silent).await;
    let client = through(&server, &gateway.url());
    let bytes = content(SIZE);
    let taken = Arc::<AtomicU64>::default();
    let source = Counted { source: std::io::Cursor::new(bytes.clone()), read: taken.clone() };
    let (sender, mut opened) = tokio::sync::mpsc::unbounded_channel();
    let options = UploadOptions::new()
        .name("endless")
        .part_size(PART)
        .parts_in_memory(PARTS as usize)
        .on_progress(move |progress| drop(sender.send(progress.upload_id.clone())));
    let upload = tokio::spawn({
        let client = client.clone();
        async move { client.upload(Source::reader(source), options).await }
    });
    let upload_id = opened.recv().await.unwrap().unwrap();

    // All that fits is sent and persisted, but nobody has said so.
    eventually("what fits is persisted", Duration::from_secs(60), async || {
        let upload = client.get_upload(&upload_id).await.unwrap();
        upload.persisted_bytes.cast_unsigned() == PARTS * PART
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    let kept = taken.load(Relaxed);
    assert!(kept <= PARTS * PART + AHEAD, "{kept} bytes were read while none was acknowledged");

    gateway.speak();
    let uploaded = upload.await.unwrap().unwrap();
    assert_eq!(uploaded.statistics.resent, 0);
    assert!(read(&client, &uploaded.file.id).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_pauses_keeps_no_stream_open() {
    let server = Server::start().await;
    let client = client(&server);
    let bytes = content(9 * MIB + MIB / 2);
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let writing = async {
        // More than fits into one call, and so the upload begins; then half a part.
        for (range, pause) in [(0..7, 5), (7..15, 5), (15..17, 0), (17..19, 0)] {
            let half = MIB as usize / 2;
            writer.write_all(&bytes[range.start * half..range.end * half]).await.unwrap();
            sleep(Duration::from_secs(pause)).await;
        }
        drop(writer);
    };
    let options = UploadOptions::new().name("slow").part_size(2 * MIB).streams(1);
    let uploading = client.upload(Source::reader(reader), options);
    let (uploaded, ()) = tokio::join!(uploading, writing);
    let uploaded = uploaded.unwrap();
    assert_eq!(uploaded.statistics.resent, 0, "a pause costs nothing");
    // One before and one after each pause, unless the machine is very slow.
    assert!(streams(&server, "BidiWriteUpload") > 1, "one stream was open all the time");
    assert!(read(&client, &uploaded.file.id).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_acknowledgements_gets_them_all_the_same() {
    let server = Server::start().await;
    let bytes = content(9 * MIB + 5);
    for bidi in [Bidi::NotOffered, Bidi::Refused] {
        let gateway = Gateway::to(&server.url(), bidi).await;
        let client = through(&server, &gateway.url());
        let options = UploadOptions::new().name(format!("plain/{bidi:?}"));
        let options = options.part_size(MIB).streams(2).parts_in_memory(3);
        let uploaded = client.upload(once(&bytes), options).await.unwrap();
        assert_eq!(gateway.refusals() > 0, bidi == Bidi::Refused);
        assert!(streams(&server, "WriteUpload") > 0);
        assert_eq!(streams(&server, "BidiWriteUpload"), 0);
        assert!(read(&client, &uploaded.file.id).await == bytes);
    }
}
