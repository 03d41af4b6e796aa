//! Processes that are killed and networks that break, again and again.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use rand::RngExt;
use sha2::{Digest, Sha256};
use sluice_proto::v1::{CreateUploadRequest, ListFilesRequest, ObjectChecksums, file};
use sluice_tests::{
    Client, Content, Frames, Ledger, MIB, Proxy, Seed, Server, Uploader, eventually,
    in_small_parts, insist, scale,
};

/// Connections of one large upload.
const LANES: usize = 4;

/// Most that a connection has under way beyond what the server has read: its
/// receive window, and what the part before still waits for.
const WINDOW: u64 = 2 * MIB;

/// What all tasks of a test share.
struct Scene {
    url: String,
    key: String,
    ledger: Ledger,
    /// The content that each name must have.
    contents: Mutex<HashMap<String, Content>>,
    stop: AtomicBool,
    /// Bytes of content that were uploaded.
    content_bytes: AtomicU64,
    /// Streams that broke and were opened again.
    breaks: AtomicU64,
    /// Bytes that may have been sent in vain because of that.
    forgiven: AtomicU64,
}

impl Scene {
    fn new(server: &Server, proxy: &Proxy) -> Self {
        Self {
            url: proxy.url(),
            key: server.key(),
            ledger: Ledger::default(),
            contents: Mutex::default(),
            stop: AtomicBool::new(false),
            content_bytes: AtomicU64::new(0),
            breaks: AtomicU64::new(0),
            forgiven: AtomicU64::new(0),
        }
    }

    fn announce(&self, name: &str, content: Content) {
        self.contents.lock().unwrap().insert(name.to_owned(), content);
    }

    /// Uploads large files one after the other until told to stop.
    async fn upload_large_files(&self, seed: &Seed) -> usize {
        let mut rng = seed.rng(1);
        let uploader = Uploader::new(&self.url, &self.key, LANES, &self.ledger);
        let mut count = 0;
        while !self.stop.load(Relaxed) {
            let name = format!("large/{count}");
            let content = Content::new(rng.random(), rng.random_range(1..32 * MIB));
            self.announce(&name, content);
            let part_size = MIB << rng.random_range(0..3);
            let request = CreateUploadRequest {
                request_id: format!("large-{count}"),
                preferred_part_size: Some(part_size as i64),
                ..in_small_parts(&name, content.size())
            };
            let breaks_before = uploader.breaks();
            let file = uploader.upload(request, &content).await;
            let breaks = uploader.breaks() - breaks_before;
            self.breaks.fetch_add(breaks, Relaxed);
            self.forgiven.fetch_add(breaks * (part_size + WINDOW), Relaxed);
            assert_eq!(file.checksums.unwrap().blake3, content.blake3().as_slice(), "{seed}");
            self.content_bytes.fetch_add(content.size(), Relaxed);
            count += 1;
        }
        count
    }

    /// Uploads small files, each in one call that is replayed until answered.
    async fn upload_small_files(&self, url: &str, seed: &Seed) -> usize {
        let mut rng = seed.rng(2);
        let client = Client::new(url, &self.key);
        let mut count = 0;
        while !self.stop.load(Relaxed) {
            let name = format!("small/{count}");
            let content = Content::new(rng.random(), rng.random_range(0..100_000));
            self.announce(&name, content);
            let sha256 = Sha256::digest(content.all()).to_vec().into();
            let request = CreateUploadRequest {
                request_id: format!("small-{count}"),
                // Some files are still examined when the process dies.
                expected_checksums: (count % 3 == 0)
                    .then(|| ObjectChecksums { sha256, ..Default::default() }),
                ..in_small_parts(&name, content.size())
            };
            let put = async || {
                client.write(Frames::creating(request.clone()).all(&content).complete()).await
            };
            let file = insist(put).await.file.expect("it is complete");
            assert_eq!(file.size as u64, content.size(), "{seed}");
            count += 1;
        }
        count
    }

    /// Asserts that every file that can be read and that `seen` does not have
    /// is whole and right, and adds it there.
    async fn check_files(&self, client: &Client, seen: &mut HashSet<String>) {
        let mut page_token = String::new();
        loop {
            let request = ListFilesRequest { page_token, ..Default::default() };
            let page = client.list_files(request).await.unwrap();
            for file in page.files {
                if file.state() == file::State::Processing {
                    continue;
                }
                assert_eq!(file.state(), file::State::Ready, "{}", file.name);
                if seen.insert(file.id.clone()) {
                    let content = self.contents.lock().unwrap()[&file.name];
                    client.assert_content(&file.id, &content).await;
                }
            }
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return;
            }
        }
    }

    /// The same for all files at the end, which must be so many.
    async fn check_all_files(&self, client: &Client, count: usize) {
        let mut seen = HashSet::new();
        eventually("every upload is a file", Duration::from_secs(60), async || {
            self.check_files(client, &mut seen).await;
            seen.len() >= count
        })
        .await;
        assert_eq!(seen.len(), count, "one file for each upload");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_an_acknowledged_part_or_shows_a_torn_file() {
    let seed = Seed::of("no_kill_loses_an_acknowledged_part_or_shows_a_torn_file");
    let mut server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    proxy.slow_down(24 * MIB);
    let scene = Scene::new(&server, &proxy);
    let url = server.url();
    let kills = scale(50, 1000);
    let killing = async {
        let (mut rng, mut seen) = (seed.rng(0), HashSet::new());
        for _ in 0..kills {
            tokio::time::sleep(Duration::from_millis(rng.random_range(0..500))).await;
            server.kill().await;
            let ready = server.restart().await;
            assert!(ready <= Duration::from_secs(2), "ready after {ready:?}, {seed}");
            scene.check_files(&server.client(), &mut seen).await;
        }
        scene.stop.store(true, Relaxed);
    };
    let large = scene.upload_large_files(&seed);
    let small = scene.upload_small_files(&url, &seed);
    let ((), large, small) = tokio::join!(killing, large, small);

    scene.check_all_files(&server.client(), large + small).await;
    assert_little_sent_twice(&proxy, &scene, kills as u64, &seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_cuts_cost_a_part_and_a_window_each() {
    let seed = Seed::of("a_hundred_cuts_cost_a_part_and_a_window_each");
    let server = Server::start().await;
    let proxy = Proxy::to(server.address()).await;
    let scene = Scene::new(&server, &proxy);
    let cuts = scale(100, 2000) as u64;
    let cutting = async {
        let mut rng = seed.rng(0);
        for cut in 1..=cuts {
            proxy.cut_after(rng.random_range(1..16 * MIB));
            eventually("the connections are cut", Duration::from_secs(60), async || {
                proxy.cuts() >= cut
            })
            .await;
        }
        scene.stop.store(true, Relaxed);
    };
    let ((), large) = tokio::join!(cutting, scene.upload_large_files(&seed));

    scene.check_all_files(&server.client(), large).await;
    assert_little_sent_twice(&proxy, &scene, cuts, &seed);
}

/// Asserts that streams broke no more often than somebody broke them, and that
/// for each of them no more was sent again than a part and a window.
fn assert_little_sent_twice(proxy: &Proxy, scene: &Scene, failures: u64, seed: &Seed) {
    let content = scene.content_bytes.load(Relaxed);
    let breaks = scene.breaks.load(Relaxed);
    let twice = proxy.sent().saturating_sub(content);
    println!("{twice} bytes sent twice in {breaks} breaks, for {content} bytes of content");
    let framing = proxy.sent() / 500 + 100 * 1024;
    let allowed = scene.forgiven.load(Relaxed) + framing;
    assert!(twice <= allowed, "{twice} bytes sent twice, {allowed} allowed, {seed}");
    // A lane breaks under its stream, and may find its connection dead when it
    // opens the next one.
    assert!(
        breaks <= failures * 2 * LANES as u64,
        "{breaks} streams broke by {failures} failures, {seed}"
    );
}
