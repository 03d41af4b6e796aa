//! An upload of as many parts as S3 allows. The local AWS takes parts of any size, so
//! they are small; nothing else is different.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sluice_domain::{
    ByteRange, Checksums, ContentType, Crc32c, FileName, Metadata, OnConflict, PartNumber,
    PartSizeLimits, Scopes,
};
use sluice_server::{
    adapters::aws::dynamodb::table,
    app,
    service::{
        Caller, Context, Credential, Limits, completion, ingest, reading,
        signing::link::PartGrant,
        uploads::{self, CreateUpload},
    },
};
use sluice_tests::Content;
use uuid::Uuid;

use crate::{account::Account, engine::TTL};

/// As many as S3 allows.
const PARTS: u32 = 10_000;

/// Small, but a whole BLAKE3 subtree.
const PART_SIZE: u64 = 1024;

/// Parts that are under way at a time.
const LANES: usize = 64;

/// The services over S3 and DynamoDB, with small parts.
async fn services(account: &Account) -> Context {
    let name = table::name(&account.config.table_prefix);
    table::create(&account.clients.dynamodb, &name).await.expect("the table is made");
    let made = app::aws(&account.server, account.clients.clone(), "http://sluice.test");
    let mut context = made.expect("the configuration is good");
    context.limits = Arc::new(Limits {
        max_file_size: u64::from(PARTS) * PART_SIZE,
        part_sizes: PartSizeLimits { min: PART_SIZE, max: PART_SIZE },
        upload_ttl: TTL,
        allowed_content_types: Vec::new(),
    });
    context
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_parts_are_listed_resumed_completed_and_read() {
    let account = Account::new().await;
    let context = services(&account).await;
    let new = sluice_domain::AccountId::from_uuid(Uuid::now_v7());
    let owner = context.identity.accounts.operator(new, context.clock.now()).await;
    let owner = owner.expect("the account is made").id;
    let credential = Credential::Link;
    let caller = Caller { owner, scopes: Scopes::ALL, credential };

    let content = Content::new(10, u64::from(PARTS) * PART_SIZE - 100);
    let request = CreateUpload {
        request: None,
        name: FileName::parse("large", "name").expect("a name"),
        content_type: ContentType::parse("text/plain", "content_type").expect("a type"),
        size: Some(content.size()),
        max_size: None,
        preferred_part_size: None,
        declared: Checksums::default(),
        metadata: Metadata::parse([].into(), "metadata").expect("metadata"),
        on_conflict: OnConflict::Fail,
    };
    let upload = uploads::create(&context, caller, request).await.expect("it is created").upload;
    let epoch = upload.epoch;

    let put = async |number: u32, epoch| {
        let part = PartNumber::new(number).expect("a part");
        let range = upload.plan.range(part);
        let bytes: Bytes = content.bytes(range.start..range.end);
        let grant = PartGrant {
            owner,
            upload: upload.id,
            part,
            epoch,
            size: range.len(),
            crc32c: Crc32c::of(&bytes),
        };
        ingest::put(&context, grant, stream::iter([Ok(bytes)])).await
    };
    // The last part stays for whoever resumes.
    let written = stream::iter(1..PARTS).map(|number| put(number, epoch)).buffer_unordered(LANES);
    written.try_collect::<()>().await.expect("all are written");

    let mut listed = Vec::new();
    loop {
        let after = listed.last().copied();
        let page = uploads::parts(&context, caller, upload.id, after, 1000).await;
        let (_, page) = page.expect("they are listed");
        if page.is_empty() {
            break;
        }
        listed.extend(page.iter().map(|part| part.number));
    }
    let numbers: Vec<_> = listed.iter().map(|number| number.get()).collect();
    assert_eq!(numbers, (1..PARTS).collect::<Vec<_>>());

    let resumed = uploads::resume(&context, caller, upload.id).await.expect("it is resumed");
    let persisted = resumed.persisted.ranges();
    let end = u64::from(PARTS - 1) * PART_SIZE;
    assert_eq!(persisted, [ByteRange { start: 0, end }]);
    put(PARTS, resumed.upload.epoch).await.expect("it is written");

    let file = completion::complete(&context, caller, upload.id, Default::default()).await;
    let file = file.expect("it is complete");
    assert_eq!(file.checksums.blake3, Some(content.blake3()));
    let limit = 100 * PART_SIZE;
    for offset in [0, 5_000 * PART_SIZE + 7, content.size() - limit] {
        let (_, chunks) =
            reading::read(&context, caller, file.id, offset, limit).await.expect("it is read");
        let read: Vec<_> = chunks.try_collect().await.expect("its bytes are right");
        let read: Vec<u8> = read.iter().flat_map(|chunk| chunk.data.to_vec()).collect();
        assert!(content.matches(offset, &read) && read.len() as u64 == limit, "at {offset}");
    }
    context.stopping.cancel();
}
