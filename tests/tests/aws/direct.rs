//! Bytes that pass the server: parts that somebody else sends to storage, and
//! objects that somebody else reads there. With curl, which knows nothing of either.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use sluice_domain::{ByteRange, Crc32c, FileDigest, FileState, Part, PartNumber, Upload};
use sluice_server::ports::{
    AnswerHeaders, ForeignPart, Freeze, Persisted, PersistedPart, Recorded, Sealed, SignedRequest,
    StorageTag, StoredPart, UploadStore,
};
use sluice_tests::{Curl, eventually};

use crate::{
    account::Account,
    engine::{Engine, NOW, PART_SIZE, freeze_of, full_of, number, persist},
};

/// Longer than any of these tests takes.
const HOUR: Duration = Duration::from_secs(3600);

fn foreign(part: u32, bytes: &Bytes) -> ForeignPart {
    ForeignPart { number: number(part), size: bytes.len() as u64, crc32c: Crc32c::of(bytes) }
}

fn numbers(numbers: impl IntoIterator<Item = u32>) -> BTreeSet<PartNumber> {
    numbers.into_iter().map(number).collect()
}

impl Engine {
    async fn sign(&self, upload: &Upload, part: ForeignPart, lifetime: Duration) -> SignedRequest {
        let signed = self.blobs.sign_parts(upload.id, vec![part], lifetime).await;
        let signed = signed.expect("it is signed").expect("storage can be reached");
        signed.into_iter().next().expect("one for each part")
    }

    /// Numbers of the parts that storage has received.
    async fn received(&self, upload: &Upload, last: u32) -> Vec<u32> {
        let found = self.blobs.find_parts(upload.id, numbers(1..=last)).await;
        found.expect("they are listed").into_iter().map(|part| part.number.get()).collect()
    }

    async fn record_found(&self, upload: &Upload, found: StoredPart) {
        let StoredPart { number, size, crc32c, tag } = found;
        let record = Part { number, size, crc32c, detail: None };
        let part = PersistedPart { record, bytes: Persisted::Stored(tag) };
        assert_eq!(self.record(upload, part).await, Recorded::New);
    }
}

/// What curl sends, with all headers that it must have or with others.
async fn put(request: &SignedRequest, headers: &[(String, String)], body: &Bytes) -> u16 {
    let mut curl = Curl::put(&request.url, body.clone());
    for (name, value) in headers {
        // It counts bytes by itself.
        if name != "content-length" {
            curl = curl.header(name, value);
        }
    }
    curl.send().await.status.as_u16()
}

/// Parts that curl has sent are found with what they are, and become a file together
/// with one that came through the server.
#[tokio::test]
async fn a_part_that_curl_sends_counts() {
    let engine = Engine::new().await;
    let upload = engine.create(3 * PART_SIZE).await;
    let (through, _writer) = persist(&engine.blobs, &upload, 2, full_of(2)).await;
    assert_eq!(engine.record(&upload, through).await, Recorded::New);
    for (part, byte) in [(1, 1), (3, 3)] {
        let bytes = full_of(byte);
        let request = engine.sign(&upload, foreign(part, &bytes), HOUR).await;
        let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
        for signed in ["content-length", "x-amz-checksum-crc32c"] {
            assert!(names.contains(&signed), "{signed} is not among {names:?}");
            let query = request.url.split("X-Amz-SignedHeaders=").nth(1).expect("a signature");
            let covered = query.split('&').next().expect("a value").to_lowercase();
            assert!(covered.contains(signed), "{signed} is not among {covered}");
        }
        assert_eq!(put(&request, &request.headers, &bytes).await, 200);
        // Sending it again does no harm.
        assert_eq!(put(&request, &request.headers, &bytes).await, 200);
    }
    let found = engine.blobs.find_parts(upload.id, numbers([1, 3])).await.expect("an answer");
    assert_eq!(found.len(), 2);
    for (found, byte) in found.into_iter().zip([1, 3]) {
        assert_eq!((found.size, found.crc32c), (PART_SIZE, Crc32c::of(&full_of(byte))));
        engine.record_found(&upload, found).await;
    }
    assert_eq!(engine.blobs.is_sealed(upload.id, 3 * PART_SIZE).await, Ok(false));
    assert_eq!(engine.blobs.seal(upload.id, 3 * PART_SIZE).await, Ok(Sealed::Whole));
    let reader = engine.blobs.open(upload.id).await.expect("it is there");
    let whole = reader.read(ByteRange { start: 0, end: 3 * PART_SIZE }).await;
    assert!(whole.expect("it is read") == [full_of(1), full_of(2), full_of(3)].concat());
    assert_eq!(engine.multiparts().await, 0);
}

/// A part that somebody sends again after it was recorded is kept, if its bytes are
/// the same: it gets its new tag, though nobody has read it yet.
#[tokio::test]
async fn a_part_that_is_sent_again_is_kept() {
    let engine = Engine::new().await;
    let upload = engine.create(PART_SIZE).await;
    let bytes = full_of(7);
    let request = engine.sign(&upload, foreign(1, &bytes), HOUR).await;
    assert_eq!(put(&request, &request.headers, &bytes).await, 200);
    let found = engine.blobs.find_parts(upload.id, numbers([1])).await.expect("an answer");
    let found = found.into_iter().next().expect("it is there");
    let tag = found.tag.clone().expect("it has a tag");
    // Storage that encrypts with keys of its own gives every write another ETag.
    let stale = StorageTag(tag.0.replace('"', "\"0"));
    engine.record_found(&upload, StoredPart { tag: Some(stale), ..found }).await;
    let digest = FileDigest { blake3: None, ..freeze_of(&[7]).digest };
    let freeze = Freeze { digest, ..freeze_of(&[7]) };
    let (owner, id) = (upload.owner, upload.id);
    engine.database.freeze(owner, id, freeze, NOW).await.expect("it is frozen");
    let changed = vec![(number(1), tag)];
    let sealed = engine.blobs.seal(id, PART_SIZE).await;
    assert_eq!(sealed, Ok(Sealed::Changed(changed.clone())));
    engine.database.retag_parts(owner, id, changed).await.expect("they are kept");
    assert_eq!(engine.blobs.seal(id, PART_SIZE).await, Ok(Sealed::Whole));
    let file = engine.database.publish(owner, id, NOW).await.expect("it is published");
    assert_eq!(file.state, FileState::Processing);
}

/// A file of one part that curl has sent is a file like any other.
#[tokio::test]
async fn a_lone_part_is_a_file() {
    let engine = Engine::new().await;
    let upload = engine.create(100).await;
    let bytes = full_of(7).slice(..100);
    let request = engine.sign(&upload, foreign(1, &bytes), HOUR).await;
    assert_eq!(put(&request, &request.headers, &bytes).await, 200);
    let found = engine.blobs.find_parts(upload.id, numbers([1])).await.expect("an answer");
    engine.record_found(&upload, found.into_iter().next().expect("it is there")).await;
    assert_eq!(engine.blobs.is_sealed(upload.id, 100).await, Ok(false));
    assert_eq!(engine.blobs.seal(upload.id, 100).await, Ok(Sealed::Whole));
    let reader = engine.blobs.open(upload.id).await.expect("it is there");
    assert!(reader.read(ByteRange { start: 0, end: 100 }).await.expect("it is read") == bytes);
}

/// Nothing but what was signed is taken: not other bytes, nor more or fewer of them,
/// nor for another part, upload or time.
#[tokio::test]
async fn what_was_not_signed_does_not_count() {
    let engine = Engine::new().await;
    let upload = engine.create(2 * PART_SIZE).await;
    let bytes = full_of(1);
    let request = engine.sign(&upload, foreign(1, &bytes), HOUR).await;

    let other = full_of(2);
    assert_eq!(put(&request, &request.headers, &other).await, 400, "other bytes");
    for wrong in [bytes.slice(1..), [full_of(1), full_of(1)].concat().into(), Bytes::new()] {
        assert_eq!(put(&request, &request.headers, &wrong).await, 403, "{} bytes", wrong.len());
    }
    let checksum = foreign(2, &other).crc32c.0.to_be_bytes();
    let checksum = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, checksum);
    let renamed = [("x-amz-checksum-crc32c".to_owned(), checksum)];
    assert_eq!(put(&request, &renamed, &other).await, 403, "with their checksum");
    assert_eq!(put(&request, &[], &other).await, 403, "without a checksum");

    let changed = |from: &str, to: &str| {
        assert!(request.url.contains(from), "{} has no {from}", request.url);
        SignedRequest { url: request.url.replacen(from, to, 1), ..request.clone() }
    };
    let signature = request.url.split("X-Amz-Signature=").nth(1).expect("a signature");
    let signature = format!("X-Amz-Signature={}", &signature[..1]);
    let flipped = if signature.ends_with('0') { '1' } else { '0' };
    let flipped = format!("X-Amz-Signature={flipped}");
    let key = upload.id.as_uuid().simple().to_string();
    for (what, changed) in [
        ("another part", changed("partNumber=1", "partNumber=2")),
        ("a longer time", changed("X-Amz-Expires=3600", "X-Amz-Expires=36000")),
        ("another upload", changed("uploadId=", "uploadId=0")),
        ("another key", changed(&key, &key.replace('0', "1"))),
        ("another signature", changed(&signature, &flipped)),
    ] {
        assert_eq!(put(&changed, &request.headers, &bytes).await, 403, "{what}");
    }
    assert_eq!(engine.received(&upload, 2).await, [] as [u32; 0]);

    assert_eq!(put(&request, &request.headers, &bytes).await, 200);
    assert_eq!(engine.received(&upload, 2).await, [1]);
}

/// A URL ends with its time, and with its upload.
#[tokio::test]
async fn a_url_ends() {
    let engine = Engine::new().await;
    let bytes = full_of(1);
    let [late, sealed, deleted] =
        [engine.create(PART_SIZE).await, engine.create(PART_SIZE).await, engine.create(1).await];

    let request = engine.sign(&late, foreign(1, &bytes), Duration::from_secs(1)).await;
    let expired = async || put(&request, &request.headers, &bytes).await == 403;
    eventually("the URL expires", Duration::from_secs(30), expired).await;

    let request = engine.sign(&sealed, foreign(1, &bytes), HOUR).await;
    assert_eq!(put(&request, &request.headers, &bytes).await, 200);
    let found = engine.blobs.find_parts(sealed.id, numbers([1])).await.expect("an answer");
    engine.record_found(&sealed, found.into_iter().next().expect("it is there")).await;
    assert_eq!(engine.blobs.seal(sealed.id, PART_SIZE).await, Ok(Sealed::Whole));
    assert_eq!(put(&request, &request.headers, &bytes).await, 404);
    assert_eq!(engine.received(&sealed, 1).await, [] as [u32; 0]);

    let one = bytes.slice(..1);
    let request = engine.sign(&deleted, foreign(1, &one), HOUR).await;
    engine.blobs.delete(deleted.id).await.expect("it is deleted");
    assert_eq!(put(&request, &request.headers, &one).await, 404);
    assert_eq!(engine.received(&deleted, 1).await, [] as [u32; 0]);
}

/// Of many parts those are found that are asked for, however far apart they are.
#[tokio::test]
async fn parts_are_found_among_many() {
    const LAST: u32 = 2100;
    let engine = Engine::new().await;
    let upload = engine.create(u64::from(LAST) * PART_SIZE).await;
    let numbers_of_all: Vec<_> = (1..=LAST).filter(|part| part % 3 != 0).collect();
    for several in numbers_of_all.chunks(16) {
        let writes = several
            .iter()
            .map(|part| persist(&engine.blobs, &upload, *part, full_of((part % 251) as u8)));
        futures::future::join_all(writes).await;
    }
    for wanted in [
        vec![],
        vec![1],
        vec![LAST - 1],
        vec![3, 1500, LAST],
        vec![2, 998, 1000, 1001, 1003, 2000, 2099, LAST, 9000],
        (1..=LAST).collect(),
    ] {
        let found = engine.blobs.find_parts(upload.id, numbers(wanted.clone())).await;
        let found: Vec<_> = found
            .expect("they are listed")
            .into_iter()
            .map(|part| (part.number.get(), part.crc32c))
            .collect();
        let expected: Vec<_> = wanted
            .into_iter()
            .filter(|part| part % 3 != 0 && *part <= LAST)
            .map(|part| (part, Crc32c::of(&full_of((part % 251) as u8))))
            .collect();
        assert_eq!(found, expected);
    }
}

fn headers() -> AnswerHeaders {
    AnswerHeaders {
        content_type: "text/plain; charset=utf-8".to_owned(),
        disposition: "attachment; filename=\"a_b\"; filename*=UTF-8''a%C3%AFb".to_owned(),
    }
}

/// An object is read with the headers that it is to have, whole or a range of it,
/// as long as the URL is as it was signed.
#[tokio::test]
async fn curl_reads_a_file() {
    let engine = Engine::new().await;
    let [small, large] = [engine.create(PART_SIZE).await, engine.create(2 * PART_SIZE).await];
    let (record, _writer) = persist(&engine.blobs, &small, 1, full_of(1)).await;
    assert_eq!(engine.record(&small, record).await, Recorded::New);
    for part in [1, 2] {
        let (record, _writer) = persist(&engine.blobs, &large, part, full_of(1)).await;
        assert_eq!(engine.record(&large, record).await, Recorded::New);
    }
    assert_eq!(engine.blobs.seal(large.id, 2 * PART_SIZE).await, Ok(Sealed::Whole));
    for (upload, size) in [(&small, PART_SIZE), (&large, 2 * PART_SIZE)] {
        let url = engine.blobs.sign_read(upload.id, HOUR, headers()).await;
        let url = url.expect("it is signed").expect("storage can be reached");
        let answer = Curl::get(&url).send().await;
        assert_eq!((answer.status.as_u16(), answer.body.len() as u64), (200, size));
        assert!(answer.body.iter().all(|byte| *byte == 1));
        assert_eq!(answer.header("content-type"), headers().content_type);
        assert_eq!(answer.header("content-disposition"), headers().disposition);
        assert_eq!(answer.header("cache-control"), "private, no-store");
        let range = Curl::get(&url).header("range", "bytes=5-9").send().await;
        assert_eq!((range.status.as_u16(), &range.body[..]), (206, &[1; 5][..]));
        let shown = url.replacen("attachment", "inline", 1);
        assert_ne!(shown, url);
        assert_eq!(Curl::get(&shown).send().await.status, 403);
        assert_eq!(Curl::put(&url, full_of(2)).send().await.status, 403);
    }
    let url = engine.blobs.sign_read(small.id, Duration::from_secs(1), headers()).await;
    let url = url.expect("it is signed").expect("storage can be reached");
    let expired = async || Curl::get(&url).send().await.status == 403;
    eventually("the URL expires", Duration::from_secs(30), expired).await;
    let empty = engine.create(0).await;
    assert_eq!(engine.blobs.sign_read(empty.id, HOUR, headers()).await, Ok(None));
}

/// URLs begin as the operator says, and where nobody may pass the server, or storage
/// could not tell what it was sent, there are none.
#[tokio::test]
async fn the_operator_decides_who_is_sent_where() {
    let public = "https://files.example.com/storage";
    let line = format!("public_s3_endpoint = {public:?}");
    let engine = Engine::of(Account::with(&line).await);
    let upload = engine.create(PART_SIZE).await;
    let request = engine.sign(&upload, foreign(1, &full_of(1)), HOUR).await;
    let beginning = format!("{public}/{}/", engine.account.bucket);
    assert!(request.url.starts_with(&beginning), "{} is elsewhere", request.url);
    let (record, _writer) = persist(&engine.blobs, &upload, 1, full_of(1)).await;
    assert_eq!(engine.record(&upload, record).await, Recorded::New);
    let url = engine.blobs.sign_read(upload.id, HOUR, headers()).await;
    assert!(url.expect("it is signed").expect("it is reached").starts_with(public));

    for (lines, reads) in [("direct_transfers = false", false), ("checksums = \"off\"", true)] {
        let engine = Engine::with(lines).await;
        let upload = engine.create(PART_SIZE).await;
        let part = foreign(1, &full_of(1));
        assert_eq!(engine.blobs.sign_parts(upload.id, vec![part], HOUR).await, Ok(None));
        assert_eq!(engine.multiparts().await, 0, "something was begun for nothing");
        let (record, _writer) = persist(&engine.blobs, &upload, 1, full_of(1)).await;
        assert_eq!(engine.record(&upload, record).await, Recorded::New);
        let url = engine.blobs.sign_read(upload.id, HOUR, headers()).await;
        assert_eq!(url.expect("an answer").is_some(), reads, "{lines}");
    }
}
