//! Transactions whose answers are lost: they happened, and nobody was told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::retry::RetryConfig;
use futures::future::try_join_all;
use sluice_domain::{Error, FileDigest, Quota, UploadState, Usage};
use sluice_server::{
    adapters::{
        aws::dynamodb::{Records, table},
        system_clock::SystemClock,
    },
    ports::{AccountStore, EventQueue, Freeze, UploadStore},
    tasks::Tasks,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::{
    account::Account,
    record_load::{NOW, PART_SIZE, create, owner, part, record, upload},
};

/// Passes requests on, and loses the answer to every third transaction.
async fn lossy(upstream: String) -> (String, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
    let address = listener.local_addr().expect("it has an address");
    let seen = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (upstream, counter) = (upstream.clone(), Arc::clone(&counter));
            tokio::spawn(async move { pass(client, &upstream, &counter).await });
        }
    });
    (format!("http://{address}"), seen)
}

/// Passes one connection on until somebody closes it.
async fn pass(mut client: TcpStream, upstream: &str, seen: &AtomicU32) -> Option<()> {
    let mut server = TcpStream::connect(upstream).await.ok()?;
    loop {
        let request = message(&mut client).await?;
        server.write_all(&request).await.ok()?;
        let answer = message(&mut server).await?;
        let head = String::from_utf8_lossy(&request).to_lowercase();
        if head.contains(".transactwriteitems") && seen.fetch_add(1, Ordering::Relaxed) % 3 == 2 {
            return None;
        }
        client.write_all(&answer).await.ok()?;
    }
}

/// Reads one message of HTTP/1.1 that says how long it is.
async fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let end = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
    let length: usize = length.expect("a length").trim().parse().expect("a number");
    while bytes.len() < end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(bytes)
}

/// Everything happens once, and whoever asked is told so, whether the SDK tries again
/// or has given up.
#[tokio::test]
async fn what_happened_is_known_though_its_answer_was_lost() {
    for retries in [RetryConfig::standard(), RetryConfig::disabled()] {
        answers_are_lost(retries).await;
    }
}

async fn answers_are_lost(retries: RetryConfig) {
    const UPLOADS: u64 = 8;
    let account = Account::new().await;
    let direct = account.clients.dynamodb;
    let name = table::name("test-");
    table::create(&direct, &name).await.expect("the table is made");
    let upstream = account.config.dynamodb_endpoint.clone().expect("an endpoint");
    let (endpoint, seen) = lossy(upstream.trim_start_matches("http://").to_owned()).await;
    let config = direct.config().to_builder().endpoint_url(endpoint).retry_config(retries).build();
    let client = aws_sdk_dynamodb::Client::from_conf(config);
    let records = Records::new(client, name, Arc::new(SystemClock), Tasks::new());

    let account = records.operator(owner(), NOW).await.expect("it is made").id;
    let one = async |index: u64| {
        let upload = upload(account, &format!("file-{index}"), 3);
        create(&records, &upload).await;
        try_join_all([1, 2, 3].map(|number| record(&records, &upload, number))).await?;
        let read = records.upload(account, upload.id).await?;
        assert_eq!(read.persisted_bytes, 3 * PART_SIZE, "each part counts once");
        if index.is_multiple_of(2) {
            return records.cancel(account, upload.id, NOW).await.map(drop);
        }
        let digest = FileDigest::of(&[part(1), part(2), part(3)]);
        let freeze = Freeze {
            epoch: None,
            digest,
            sha256: None,
            blake3: None,
            name: None,
            on_conflict: None,
        };
        records.freeze(account, upload.id, freeze, NOW).await?;
        records.publish(account, upload.id, NOW).await?;
        let read = records.upload(account, upload.id).await?;
        assert_eq!(read.state, UploadState::Completed);
        Ok::<_, Error>(())
    };
    try_join_all((0..UPLOADS).map(one)).await.expect("nobody hears that it failed");
    assert!(seen.load(Ordering::Relaxed) > 30, "most of it went by way of lost answers");
    let stored_bytes = UPLOADS / 2 * 3 * PART_SIZE;
    let usage = Usage { stored_bytes, ..Usage::default() };
    assert_eq!(records.usage(account).await, Ok((usage, Quota::default())));
    let backlog = records.backlog(NOW.plus(Duration::from_secs(1))).await.expect("a number");
    assert_eq!(backlog.waiting, UPLOADS / 2, "one event for each cancelled upload");
}
