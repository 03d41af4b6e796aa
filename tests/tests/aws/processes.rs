//! Several server processes on one bucket and one table.

use std::{collections::HashMap, time::Duration};

use aws_sdk_s3::primitives::ByteStream;
use bytes::Bytes;
use futures::future::join;
use rand::{RngExt, rngs::SmallRng};
use sluice_domain::Reason;
use sluice_proto::v1::{CreateUploadRequest, ListFilesRequest, file};
use sluice_tests::{
    Client, Content, Frames, Ledger, LocalAws, MIB, Seed, Server, Uploader, assert_reason,
    eventually, in_small_parts, scale,
};
use tokio::time::{Instant, sleep};

use crate::account::Account;

/// What must be done so long after a process was killed.
const TERMINAL: Duration = Duration::from_secs(60);

/// Two servers, and another way to what they store.
struct Pair {
    account: Account,
    servers: [Server; 2],
}

impl Pair {
    async fn start() -> Self {
        let aws = LocalAws::account().await;
        let account = Account::at(aws.clone(), &aws.endpoint, "").await;
        let server = || {
            let setup = Server::with().setting("SLUICE__WORKER__SWEEP_INTERVAL", "1s");
            setup.account(aws.clone())
        };
        let first = server().start().await;
        let second = server().start().await;
        Self { account, servers: [first, second] }
    }

    /// The operator's key, which the first bootstrap has made.
    fn key(&self) -> String {
        self.servers[0].key()
    }

    /// A client of one of them.
    fn client(&self, server: usize) -> Client {
        Client::new(&self.servers[server].url(), &self.key())
    }

    /// How many objects are stored, and how many multipart uploads are open.
    async fn stored(&self) -> (usize, usize) {
        let (s3, bucket) = (&self.account.clients.s3, &self.account.bucket);
        let objects = s3.list_objects_v2().bucket(bucket).send().await.expect("it is listed");
        let multiparts = s3.list_multipart_uploads().bucket(bucket).send().await;
        (objects.contents().len(), multiparts.expect("it is listed").uploads().len())
    }
}

/// When a process is killed: so long after the upload began, in hundredths of the
/// time that an upload takes.
fn moment(rng: &mut SmallRng, usual: Duration) -> Duration {
    // Completion is short, and what matters most: half of all kills meet it.
    let hundredths = if rng.random() { rng.random_range(0..90) } else { rng.random_range(90..110) };
    usual.mul_f64(f64::from(hundredths) / 100.0)
}

/// Whichever process dies, and whenever: no acknowledged part is lost, and there is
/// one file with the right bytes within a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_of_either_process_loses_a_part_or_a_file() {
    let seed = Seed::of("no_kill_of_either_process_loses_a_part_or_a_file");
    let mut rng = seed.rng(0);
    let mut pair = Pair::start().await;
    let urls: Vec<_> = pair.servers.iter().map(Server::url).collect();
    let (key, ledger) = (pair.key(), Ledger::default());
    let mut usual = Duration::from_millis(400);
    let mut contents = HashMap::new();
    for round in 0..scale(50, 500) {
        // Completion goes through one, or the other.
        let turned: Vec<_> = urls.iter().cycle().skip(round % 2).take(2).cloned().collect();
        let uploader = Uploader::over(&turned, &key, 4, &ledger);
        let name = format!("round-{round}");
        let content = Content::new(rng.random(), rng.random_range(4 * MIB..9 * MIB));
        let request = CreateUploadRequest {
            request_id: name.clone(),
            ..in_small_parts(&name, content.size())
        };
        let (victim, after) = (rng.random_range(0..2), moment(&mut rng, usual));
        let server = &mut pair.servers[victim];
        let killing = async {
            sleep(after).await;
            server.kill().await;
            let killed = Instant::now();
            server.restart().await;
            killed
        };
        let uploading = async {
            let start = Instant::now();
            let file = uploader.upload(request, &content).await;
            (file, start.elapsed(), Instant::now())
        };
        let (killed, (file, took, ended)) = join(killing, uploading).await;
        assert!(ended.duration_since(killed) < TERMINAL, "{took:?}, {seed}");
        let blake3 = file.checksums.expect("it has checksums").blake3;
        assert_eq!(blake3, content.blake3().as_slice(), "{name}, {seed}");
        if took < after {
            // It was over before the kill: aim better.
            usual = usual.mul_f64(0.5) + took.mul_f64(0.5);
        } else {
            usual = usual.mul_f64(0.9) + took.min(2 * usual).mul_f64(0.1);
        }
        contents.insert(name, content);
    }
    let client = pair.client(1);
    let mut page_token = String::new();
    loop {
        let request = ListFilesRequest { page_token, ..Default::default() };
        let page = client.list_files(request).await.expect("files are listed");
        for file in page.files {
            assert_eq!(file.state(), file::State::Ready, "{}", file.name);
            let content = contents.remove(&file.name);
            let content = content.unwrap_or_else(|| panic!("{} twice, {seed}", file.name));
            client.assert_content(&file.id, &content).await;
        }
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert!(contents.is_empty(), "without a file: {:?}, {seed}", contents.keys());
    let tidy = async || pair.stored().await == (scale(50, 500), 0);
    eventually("nothing else is stored", TERMINAL, tidy).await;
}

/// What one process has begun another one ends, and both say the same of it.
#[tokio::test]
async fn an_upload_is_not_bound_to_a_process() {
    let pair = Pair::start().await;
    let (first, second) = (pair.client(0), pair.client(1));
    let content = Content::new(1, 3 * MIB + 17);
    let upload = first.create(in_small_parts("a", content.size())).await.expect("it is created");
    let frames = Frames::to(&upload).part(&content, upload.part_size, 1);
    first.write(frames).await.expect("it is written");
    let resumed = second.resume(&upload.id).await.expect("it is resumed");
    assert_eq!(resumed.persisted_bytes, MIB as i64);
    let late = Frames::to(&upload).part(&content, upload.part_size, 2);
    let refused = first.write(late).await;
    assert_reason(refused, Reason::StaleWriter);
    let rest = (2..=4)
        .fold(Frames::to(&resumed), |frames, part| frames.part(&content, resumed.part_size, part));
    second.write(rest).await.expect("it is written");
    let file = first.complete(&upload.id).await.expect("it is complete");
    second.assert_content(&file.id, &content).await;
    first.delete_file(&file.id).await.expect("it is deleted");
    let gone = async || pair.stored().await == (0, 0);
    eventually("its bytes are gone", TERMINAL, gone).await;
}

/// Somebody overwrites a stored part after it was acknowledged: the file is not
/// published with other bytes, the part is sent again, and the file is right.
#[tokio::test]
async fn a_part_that_was_overwritten_is_sent_again() {
    let pair = Pair::start().await;
    let client = pair.client(0);
    let content = Content::new(7, 3 * MIB);
    let upload = client.create(in_small_parts("a", content.size())).await.expect("it is created");
    client.write(Frames::to(&upload).all(&content)).await.expect("it is written");

    let (s3, bucket) = (&pair.account.clients.s3, &pair.account.bucket);
    let multiparts = s3.list_multipart_uploads().bucket(bucket).send().await.expect("it is listed");
    let [multipart] = multiparts.uploads() else { panic!("{multiparts:?}") };
    let overwrite = async |bytes: Bytes| {
        let put = s3.upload_part().bucket(bucket).part_number(2);
        let put = put.set_key(multipart.key.clone()).set_upload_id(multipart.upload_id.clone());
        put.body(ByteStream::from(bytes)).send().await.expect("it is stored");
    };
    let of_part = |part: u64| content.bytes((part - 1) * MIB..part * MIB);
    overwrite(of_part(3)).await;
    let refused = client.complete(&upload.id).await;
    assert_reason(refused, Reason::PartsMissing);
    let state = client.upload(&upload.id).await.expect("it is there");
    let ranges: Vec<_> = state.persisted_ranges.iter().map(|it| (it.start, it.end)).collect();
    assert_eq!(ranges, [(0, MIB as i64), (2 * MIB as i64, 3 * MIB as i64)]);
    let again = Frames::to(&state).part(&content, state.part_size, 2);
    client.write(again).await.expect("it is written");
    // The same bytes once more do no harm.
    overwrite(of_part(2)).await;
    let file = client.complete(&upload.id).await.expect("it is complete");
    let ready = async || {
        let file = client.file(&file.id).await.expect("it is there");
        file.state() == file::State::Ready
    };
    eventually("it is ready", TERMINAL, ready).await;
    client.assert_content(&file.id, &content).await;
}

/// What has changed in the bucket behind the server's back is never handed out.
#[tokio::test]
async fn bytes_that_were_changed_in_the_bucket_are_found() {
    let pair = Pair::start().await;
    let client = pair.client(0);
    let (s3, bucket) = (&pair.account.clients.s3, &pair.account.bucket);
    for (name, size) in [("of one part", 900_000), ("of several parts", 3 * MIB)] {
        let content = Content::new(size, size);
        let file = client.put(name, &content).await.expect("it is stored");
        let listed = s3.list_objects_v2().bucket(bucket).send().await.expect("it is listed");
        let sized = |it: &&aws_sdk_s3::types::Object| it.size() == Some(size as i64);
        let object = listed.contents().iter().find(sized).expect("it is there");
        let key = object.key().expect("it has a key");
        let mut rotten = content.all().to_vec();
        rotten[size as usize / 2] ^= 1;
        let put = s3.put_object().bucket(bucket).key(key).body(ByteStream::from(rotten));
        put.send().await.expect("it is overwritten");
        let refused = client.read(&file.id, 0, 0).await;
        assert_reason(refused, Reason::StoredDataCorrupt);
        s3.delete_object().bucket(bucket).key(key).send().await.expect("it is removed");
        assert_reason(client.read(&file.id, 0, 0).await, Reason::StoredDataCorrupt);
    }
}
