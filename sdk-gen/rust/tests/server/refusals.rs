//! Streams that the server ends or refuses for the time being.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use sluice_sdk::{Progress, Source, UploadOptions};
use sluice_tests::{MIB, Proxy, Server, eventually};
use tokio::{io::AsyncWriteExt, time::sleep};

use crate::{client, content, read, through};

/// Whether progress told of this trouble.
#[derive(Clone, Default)]
struct Told(Arc<AtomicBool>);

impl Told {
    fn of(&self, words: &'static str) -> impl Fn(&Progress) + Send + Sync + 'static {
        let told = self.0.clone();
        move |progress| {
            if progress.trouble.as_ref().is_some_and(|trouble| trouble.contains(words)) {
                told.store(true, Relaxed);
            }
        }
    }

    fn yes(&self) -> bool {
        self.0.load(Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_is_too_slow_for_a_while_is_ridden_out() {
    let server = Server::with()
        .setting("SLUICE__LIMITS__STREAM_IDLE", "1s")
        .setting("SLUICE__LIMITS__STREAM_MIN_RATE", "512KiB")
        .start()
        .await;
    let proxy = Proxy::to(server.address()).await;
    let bytes = content(10 * MIB);
    for (name, source) in [
        ("seekable", Source::bytes(bytes.clone())),
        ("once", Source::reader(std::io::Cursor::new(bytes.clone()))),
    ] {
        let client = through(&server, &proxy.url());
        let told = Told::default();
        proxy.slow_down(100 * 1024);
        let options = UploadOptions::new()
            .name(name)
            .part_size(MIB)
            .streams(1)
            .on_progress(told.of("bytes a second"));
        let upload = tokio::spawn(async move { client.upload(source, options).await });
        eventually("STREAM_TOO_SLOW", Duration::from_secs(60), async || told.yes()).await;
        proxy.slow_down(0);
        let uploaded = upload.await.unwrap().unwrap();
        assert!(read(&through(&server, &server.url()), &uploaded.file.id).await == bytes, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_pauses_longer_than_the_server_waits_goes_on() {
    let server = Server::with().setting("SLUICE__LIMITS__STREAM_IDLE", "1s").start().await;
    let client = client(&server);
    let bytes = content(5 * MIB);
    let (mut writer, reader) = tokio::io::duplex(64 * 1024);
    let writing = async {
        for piece in bytes.chunks(MIB as usize / 2 * 3) {
            writer.write_all(piece).await.unwrap();
            // Longer than the server waits, shorter than the SDK does.
            sleep(Duration::from_millis(1800)).await;
        }
        drop(writer);
    };
    let options = UploadOptions::new().name("paused").part_size(MIB).streams(1);
    let (uploaded, ()) = tokio::join!(client.upload(Source::reader(reader), options), writing);
    let uploaded = uploaded.unwrap();
    // At most the part that was begun in the moment in which the stream was ended.
    let resent = uploaded.statistics.resent;
    assert!(resent <= 4 * MIB, "{resent} bytes were sent again");
    assert!(read(&client, &uploaded.file.id).await == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_room_for_one_stream_gets_everything() {
    let server = Server::with().setting("SLUICE__LIMITS__MAX_STREAMS", "1").start().await;
    let proxy = Proxy::to(server.address()).await;
    let bytes = content(24 * MIB);
    for (name, source) in [
        ("seekable", Source::bytes(bytes.clone())),
        ("once", Source::reader(std::io::Cursor::new(bytes.clone()))),
    ] {
        let client = through(&server, &proxy.url());
        let told = Told::default();
        proxy.slow_down(8 * MIB);
        let options = UploadOptions::new()
            .name(name)
            .part_size(MIB)
            .streams(4)
            .on_progress(told.of("more to do than it can"));
        let uploaded = client.upload(source, options).await.unwrap();
        assert!(told.yes(), "{name}: nothing was refused");
        proxy.slow_down(0);
        assert!(read(&client, &uploaded.file.id).await == bytes, "{name}");
    }
}
