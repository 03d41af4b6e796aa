//! A server whose storage and database have a bad day.

use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use http::{Method, request::Parts};
use sluice_domain::Reason;
use sluice_proto::v1::CreateUploadRequest;
use sluice_tests::{
    Content, FaultProxy, Frames, Ledger, LocalAws, MIB, RequestFate, Server, Uploader, eventually,
    in_small_parts, reason,
};
use tonic_types::StatusExt;

/// Uploads at the same time.
const LANES: usize = 8;

/// A server, with a proxy in front of S3 and another one in front of DynamoDB.
struct Scene {
    server: Server,
    storage: FaultProxy,
    database: FaultProxy,
}

impl Scene {
    async fn start() -> Self {
        let account = LocalAws::account().await;
        let upstream = account.endpoint.strip_prefix("http://").expect("it has no TLS");
        let storage = FaultProxy::start(upstream).await;
        let database = FaultProxy::start(upstream).await;
        let setup = Server::with()
            .setting("SLUICE__AWS__S3_ENDPOINT", &storage.url())
            .setting("SLUICE__AWS__DYNAMODB_ENDPOINT", &database.url());
        Self { server: setup.account(account).start().await, storage, database }
    }
}

fn is_completion(request: &Parts) -> bool {
    let query = request.uri.query().unwrap_or_default();
    request.method == Method::POST && query.contains("uploadId=")
}

/// With 5 % errors and 5 % SlowDown of storage, completions that fail with a 200 and a
/// database that throttles 5 % of all calls, two hundred uploads succeed, and few
/// calls are made more than once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_uploads_succeed_on_a_bad_day() {
    const UPLOADS: u64 = 200;
    let scene = Scene::start().await;
    let (requests, completions) = (AtomicU64::new(0), AtomicU64::new(0));
    scene.storage.decide(move |request| {
        let number = requests.fetch_add(1, Relaxed);
        if is_completion(request) && completions.fetch_add(1, Relaxed) % 100 == 7 {
            return RequestFate::Refused(200, "InternalError");
        }
        match number % 20 {
            7 => RequestFate::Refused(500, "InternalError"),
            16 => RequestFate::Refused(503, "SlowDown"),
            _ => RequestFate::Passed,
        }
    });
    let calls = AtomicU64::new(0);
    scene.database.decide(move |_| match calls.fetch_add(1, Relaxed) % 20 {
        11 => RequestFate::Throttled,
        _ => RequestFate::Passed,
    });
    let before = (scene.storage.counted(), scene.database.counted());
    let (url, key) = (scene.server.url(), scene.server.key());
    let ledger = Ledger::default();
    let uploads = stream::iter(0..UPLOADS).map(async |index| {
        let size = if index % 4 == 0 { 2 * MIB + index } else { 10_000 + index };
        let (name, content) = (format!("file-{index}"), Content::new(index, size));
        let uploader = Uploader::new(&url, &key, 1, &ledger);
        let request =
            CreateUploadRequest { request_id: name.clone(), ..in_small_parts(&name, size) };
        let file = uploader.upload(request, &content).await;
        assert_eq!(uploader.breaks(), 0, "a caller has seen the bad day");
        assert_eq!(file.checksums.expect("it has some").blake3, content.blake3().as_slice());
        (file.id, content)
    });
    let files: Vec<_> = uploads.buffer_unordered(LANES).collect().await;
    let client = scene.server.client();
    for (id, content) in &files {
        client.assert_content(id, content).await;
    }
    for (name, proxy, before) in
        [("storage", &scene.storage, before.0), ("database", &scene.database, before.1)]
    {
        let (sent, answered) = proxy.counted();
        let (sent, answered) = (sent - before.0, answered - before.1);
        assert!(sent * 10 <= answered * 12, "{name}: {sent} requests for {answered} answers");
    }
}

/// Whichever of the two does not answer any more: callers are told within half a
/// minute and when to come again, and are served soon after it is back.
#[tokio::test]
async fn a_black_hole_is_told_and_left_again() {
    let scene = Scene::start().await;
    let client = scene.server.client();
    let content = Content::new(3, 10_000);
    let put = async |name: &str| {
        let request_id = format!("request-{name}");
        let request = CreateUploadRequest { request_id, ..in_small_parts(name, content.size()) };
        let frames = Frames::creating(request);
        client.write(frames.all(&content).complete()).await
    };
    put("before").await.expect("it is a good day");
    for (name, dependency, proxy) in
        [("storage", "storage", &scene.storage), ("database", "database", &scene.database)]
    {
        proxy.decide(|_| RequestFate::Swallowed);
        let start = Instant::now();
        let refused = put(name).await.expect_err("nothing answers");
        assert!(start.elapsed() < Duration::from_secs(30), "{name}: {:?}", start.elapsed());
        assert_eq!(reason(&refused), Some(Reason::DependencyUnavailable));
        let details = refused.get_error_details();
        let retry = details.retry_info().and_then(|info| info.retry_delay);
        assert!(retry.is_some_and(|delay| !delay.is_zero()), "{name}: {retry:?}");
        let info = details.error_info().expect("it has a reason");
        assert_eq!(info.metadata.get("dependency").map(String::as_str), Some(dependency));
        proxy.decide(|_| RequestFate::Passed);
        let mut attempt = 0;
        let back = async || {
            attempt += 1;
            put(&format!("{name}-{attempt}")).await.is_ok()
        };
        eventually("it is back", Duration::from_secs(5), back).await;
    }
}
