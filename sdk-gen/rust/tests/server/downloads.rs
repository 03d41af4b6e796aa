//! Downloads: whole, resumed and verified.

use std::{fs, time::Duration};

use sluice_sdk::{CancellationToken, DownloadOptions, Kind, Reason, UploadOptions};
use sluice_tests::{MIB, Proxy, Server, eventually};

use crate::{client, content, read, through};

const SIZE: u64 = 24 * MIB + 5;

#[tokio::test(flavor = "multi_thread")]
async fn a_download_goes_on_from_its_partial_file() {
    let server = Server::start().await;
    let client = client(&server);
    let bytes = content(SIZE);
    let file = client.upload(bytes.clone(), UploadOptions::new().name("d")).await.unwrap().file;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");
    let partial = folder.path().join("d.part");

    for (there, resumed, resent) in [
        (&[][..], 0, 0),
        (&bytes[..7], 7, 0),
        (&bytes[..], SIZE, 0),
        // What is not of this file is found out and fetched again.
        (&[0; 100][..], 0, SIZE - 100),
        (&vec![0; SIZE as usize + 1][..], 0, 0),
    ] {
        fs::write(&partial, there).unwrap();
        let downloaded = client.download(&file.id, &path, DownloadOptions::new()).await.unwrap();
        assert!(fs::read(&path).unwrap() == bytes, "from {} bytes", there.len());
        let statistics = downloaded.statistics;
        assert_eq!((statistics.resumed, statistics.resent), (resumed, resent));
        assert_eq!(statistics.sent, SIZE - resumed + resent);
        assert!(!partial.exists());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cuts_are_ridden_out_and_a_stop_keeps_what_came() {
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let client = through(&server, &proxy.url());
    let bytes = content(SIZE);
    let file = client.upload(bytes.clone(), UploadOptions::new().name("d")).await.unwrap().file;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("d");

    proxy.slow_down(8 * MIB);
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    let options = DownloadOptions::new().cancel(stop).on_progress(move |progress| {
        if progress.persisted > 4 * MIB {
            stopping.cancel();
        }
    });
    let error = client.download(&file.id, &path, options).await.unwrap_err();
    assert_eq!(error.kind(), Kind::Cancelled);
    assert!(!path.exists(), "nothing half is under its name");

    let cutting = async {
        for cut in 1.. {
            tokio::time::sleep(Duration::from_millis(700)).await;
            proxy.cut();
            eventually("a cut", Duration::from_secs(10), async || proxy.cuts() >= cut).await;
        }
    };
    let downloaded = tokio::select! {
        downloaded = client.download(&file.id, &path, DownloadOptions::new()) => downloaded,
        () = cutting => unreachable!(),
    };
    let statistics = downloaded.unwrap().statistics;
    assert!(statistics.resumed > 4 * MIB);
    assert_eq!((statistics.resumed + statistics.sent, statistics.resent), (SIZE, 0));
    assert!(proxy.cuts() > 0);
    assert!(fs::read(&path).unwrap() == bytes);
}

#[tokio::test(flavor = "multi_thread")]
async fn ranges_are_exact() {
    let server = Server::start().await;
    let client = client(&server);
    let bytes = content(3 * MIB + 5);
    let file = client.upload(bytes.clone(), UploadOptions::new().name("r")).await.unwrap().file;
    let size = bytes.len() as u64;
    for (start, end) in [(0, 0), (0, 1), (MIB - 1, MIB + 1), (5, size), (size, size), (7, size + 9)]
    {
        let mut reader = client.read(&file.id, start..end);
        let mut got = Vec::new();
        while let Some(chunk) = reader.chunk().await.unwrap() {
            got.extend_from_slice(&chunk);
        }
        let expect = &bytes[start as usize..end.min(size) as usize];
        assert!(got == expect, "{start}..{end}");
    }
    assert!(read(&client, &file.id).await == bytes);
    let error = client.read("file_01920000-0000-7000-8000-000000000001", ..).chunk().await;
    assert_eq!(error.unwrap_err().reason(), Some(Reason::FileNotFound));
}
