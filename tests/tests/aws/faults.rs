//! S3 as it is on a bad day.

use std::{
    collections::HashMap,
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use http::{Method, request::Parts};
use sluice_domain::{ByteRange, Reason, Result, Upload};
use sluice_server::ports::Sealed;
use sluice_tests::{FaultProxy, LocalAws, RequestFate, eventually};

use crate::{
    account::Account,
    engine::{Engine, PART_SIZE, full_of, try_persist},
};

/// An engine whose S3 is behind a proxy.
async fn behind_a_proxy(lines: &str) -> (Engine, FaultProxy) {
    let account = LocalAws::account().await;
    let upstream = account.endpoint.strip_prefix("http://").expect("it has no TLS");
    let proxy = FaultProxy::start(upstream).await;
    let engine = Engine::of(Account::at(account, &proxy.url(), lines).await);
    (engine, proxy)
}

/// Writes, completes, reads and deletes a file of so many parts.
async fn live(engine: &Engine, parts: u32) -> Result<Upload> {
    let upload = engine.create(u64::from(parts) * PART_SIZE).await;
    for part in 1..=parts {
        let bytes = full_of(u8::try_from(part).expect("few"));
        let (record, _writer) = try_persist(&engine.blobs, &upload, part, bytes).await?;
        engine.record(&upload, record).await;
    }
    let size = u64::from(parts) * PART_SIZE;
    assert_eq!(engine.blobs.seal(upload.id, size).await?, Sealed::Whole);
    let read = engine.blobs.open(upload.id).await?.read(ByteRange { start: 0, end: size }).await?;
    let expected: Vec<_> = (1..=parts).map(|part| full_of(part as u8)).collect();
    assert!(read == expected.concat(), "other bytes than were written");
    Ok(upload)
}

fn is_complete(request: &Parts) -> bool {
    let query = request.uri.query().unwrap_or_default();
    request.method == Method::POST && query.contains("uploadId=")
}

/// With 5 % errors, 5 % SlowDown and completions that fail after they began to
/// succeed, everything succeeds, with few attempts more than calls.
#[tokio::test]
async fn everything_succeeds_on_a_bad_day() {
    const UPLOADS: u32 = 200;
    let (engine, proxy) = behind_a_proxy("").await;
    let (requests, completions) = (AtomicU64::new(0), AtomicU64::new(0));
    let tries = Mutex::new(HashMap::new());
    proxy.decide(move |request| {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        // Nobody is so unlucky that five attempts fail: of a few thousand calls one would be.
        let call = format!("{} {}", request.method, request.uri);
        let mut tries = tries.lock().expect("no holder panics");
        let tries = tries.entry(call).and_modify(|tries| *tries += 1).or_insert(1);
        if *tries % 4 == 0 {
            return RequestFate::Passed;
        }
        if is_complete(request) && completions.fetch_add(1, Ordering::Relaxed) % 10 == 3 {
            return RequestFate::Refused(200, "InternalError");
        }
        match number % 20 {
            7 => RequestFate::Refused(500, "InternalError"),
            16 => RequestFate::Refused(503, "SlowDown"),
            _ => RequestFate::Passed,
        }
    });
    let lives = stream::iter(0..UPLOADS).map(|index| live(&engine, 1 + index % 3));
    let mut lives = lives.buffer_unordered(8);
    while let Some(upload) = lives.next().await {
        engine.blobs.delete(upload.expect("it succeeds").id).await.expect("it is deleted");
    }
    let (sent, answered) = proxy.counted();
    assert!(sent * 10 <= answered * 12, "{sent} requests for {answered} answers");
    assert_eq!((engine.keys().await.len(), engine.multiparts().await), (0, 0));
}

/// A call whose answer is lost is made again, and has happened once.
#[tokio::test]
async fn lost_answers_do_no_harm() {
    let (engine, proxy) = behind_a_proxy("").await;
    let requests = AtomicU64::new(0);
    proxy.decide(move |_| match requests.fetch_add(1, Ordering::Relaxed) % 3 {
        1 => RequestFate::AnswerLost,
        _ => RequestFate::Passed,
    });
    for parts in [1, 2, 1, 3, 1, 4, 1, 5] {
        let upload = live(&engine, parts).await.expect("it succeeds");
        assert_eq!(engine.keys().await.len(), 1, "something else is stored");
        engine.blobs.delete(upload.id).await.expect("it is deleted");
    }
}

/// Where nothing answers, a caller is told so in time and when to come again; it is
/// served soon after storage is back.
#[tokio::test]
async fn a_black_hole_is_told_in_time() {
    let (engine, proxy) = behind_a_proxy("").await;
    live(&engine, 2).await.expect("it is a good day");
    proxy.decide(|_| RequestFate::Swallowed);
    let upload = engine.create(4 * PART_SIZE).await;
    let start = Instant::now();
    let writers = (1..=4).map(|part| try_persist(&engine.blobs, &upload, part, full_of(1)));
    let refused = futures::future::join_all(writers).await;
    assert!(start.elapsed() < Duration::from_secs(30), "it took {:?}", start.elapsed());
    for refused in refused {
        let error = refused.err().expect("nothing answers");
        assert_eq!(error.reason, Reason::DependencyUnavailable);
        assert!(error.retry_after.is_some());
    }
    proxy.decide(|_| RequestFate::Passed);
    let back = async || live(&engine, 1).await.is_ok();
    eventually("it is back", Duration::from_secs(5), back).await;
}

/// While storage is down nobody waits for it, and one user's mistakes are not taken
/// for that.
#[tokio::test]
async fn who_is_held_back_is_told_at_once() {
    let lines = "attempt_timeout = \"200ms\"\noperation_timeout = \"300ms\"";
    let (engine, proxy) = behind_a_proxy(lines).await;
    let gone = live(&engine, 2).await.expect("it is a good day");
    engine.blobs.delete(gone.id).await.expect("it is deleted");
    let range = ByteRange { start: 0, end: 1 };
    for _ in 0..50 {
        let reader = engine.blobs.open(gone.id).await.expect("its records are there");
        let missed = reader.read(range).await.expect_err("the bytes are gone");
        assert_eq!(missed.reason, Reason::StoredDataCorrupt);
    }
    live(&engine, 1).await.expect("misses hold nobody back");

    proxy.decide(|_| RequestFate::Swallowed);
    let upload = engine.create(PART_SIZE).await;
    let mut refusals = Vec::new();
    for _ in 0..20 {
        let start = Instant::now();
        let refused = try_persist(&engine.blobs, &upload, 1, full_of(1)).await.map(drop);
        assert_eq!(refused.map_err(|error| error.reason), Err(Reason::DependencyUnavailable));
        refusals.push(start.elapsed());
    }
    let at_once = refusals.iter().filter(|took| **took < Duration::from_millis(100)).count();
    assert!(at_once >= 8, "they waited: {refusals:?}");
    assert!(engine.blobs.check_health().await.is_err());
    proxy.decide(|_| RequestFate::Passed);
    let back = async || engine.blobs.check_health().await.is_ok();
    eventually("it is back", Duration::from_secs(5), back).await;
}
