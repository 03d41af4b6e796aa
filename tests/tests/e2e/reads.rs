//! Reading files: ranges, and bytes that went bad.

use futures::future::join_all;
use rand::RngExt;
use sluice_domain::Reason;
use sluice_proto::v1::ReadFileRequest;
use sluice_tests::{
    Client, Content, Frames, MIB, Seed, Server, Stored, assert_reason, fact, in_small_parts,
    invalid_field, scale,
};

/// A file in parts of 1 MiB, uploaded last part first.
async fn file_of(client: &Client, content: &Content) -> String {
    let upload = client.create(in_small_parts("read", content.size())).await.unwrap();
    let count = content.size().div_ceil(MIB);
    let frames = (1..=count)
        .rev()
        .fold(Frames::to(&upload), |frames, number| frames.part(content, upload.part_size, number));
    client.write(frames.complete()).await.unwrap().file.unwrap().id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_range_can_be_read() {
    let seed = Seed::of("any_range_can_be_read");
    let server = Server::start().await;
    let client = server.client();
    let size = 9 * MIB + 12_345;
    let content = Content::new(seed.value(), size);
    let id = file_of(&client, &content).await;

    let edges = [0, 1, MIB - 1, MIB, MIB + 1, 9 * MIB, size - 1, size];
    for start in edges {
        for end in edges.into_iter().filter(|end| start < *end) {
            client.assert_range(&id, &content, start..end).await;
        }
    }
    let mut rng = seed.rng(0);
    for _ in 0..scale(200, 10_000) {
        let start = rng.random_range(0..size);
        let end = rng.random_range(start + 1..=size);
        client.assert_range(&id, &content, start..end).await;
    }
    // Frames are as large as promised whatever the offset, so nobody waits for
    // thousands of small ones.
    let mut frames = 0;
    client.read_each(&id, 7, 0, |_, _| frames += 1).await.unwrap();
    assert!(frames <= 20, "{frames} frames for {size} bytes");
}

#[tokio::test]
async fn the_ends_of_a_file_are_where_the_contract_says() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 2 * MIB + 10);
    let size = content.size();
    let id = file_of(&client, &content).await;

    assert_eq!(client.read(&id, 0, 0).await.unwrap(), content.all(), "0 means to the end");
    assert_eq!(client.read(&id, size - 1, 0).await.unwrap(), content.bytes(size - 1..size));
    assert!(client.read(&id, size, 0).await.unwrap().is_empty(), "the first message alone");
    assert!(client.read(&id, size, 100).await.unwrap().is_empty());
    let much = client.read(&id, 5, i64::MAX as u64).await.unwrap();
    assert_eq!(much, content.bytes(5..size), "more than there is");

    let read = async |offset, limit| {
        let request = ReadFileRequest { file_id: id.clone(), offset, limit };
        match client.files.clone().read_file(request).await {
            Ok(answer) => answer.into_inner().message().await,
            Err(status) => Err(status),
        }
    };
    assert_eq!(invalid_field(read(size as i64 + 1, 0).await), "offset");
    assert_eq!(invalid_field(read(i64::MAX, i64::MAX).await), "offset");
    assert_eq!(invalid_field(read(-1, 0).await), "offset");
    assert_eq!(invalid_field(read(0, -1).await), "limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_at_once_get_the_same_bytes() {
    let server = Server::start().await;
    let content = Content::new(2, 16 * MIB + 1);
    let id = file_of(&server.client(), &content).await;
    let readers = (0..16).map(|_| {
        let (client, id) = (server.client(), id.clone());
        tokio::spawn(async move { client.assert_content(&id, &content).await })
    });
    for reader in join_all(readers).await {
        reader.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_flipped_bit_is_found() {
    let seed = Seed::of("every_flipped_bit_is_found");
    let server = Server::embedded().await;
    let client = server.client();
    let size = 8 * MIB + 4321;
    let content = Content::new(seed.value(), size);
    let id = file_of(&client, &content).await;
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    let mut rng = seed.rng(0);
    for _ in 0..1000 {
        let (offset, bit) = (rng.random_range(0..size), rng.random_range(0..8));
        stored.flip_bit(offset, bit);
        let start = offset - rng.random_range(0..=offset.min(5000));
        let mut last = start;
        let outcome = client
            .read_each(&id, start, offset + 1 - start, |at, bytes| last = at + bytes.len() as u64)
            .await;
        let status = assert_reason(outcome, Reason::StoredDataCorrupt);
        let block: u64 = fact(&status, "offset").parse().unwrap();
        assert!(last <= offset, "byte {offset} was sent though it is wrong, {seed}");
        assert!(
            block <= offset && offset < block + MIB,
            "byte {offset} is wrong, not block {block}, {seed}"
        );
        stored.flip_bit(offset, bit);
    }
    client.assert_content(&id, &content).await;
}

#[tokio::test]
async fn bytes_that_are_gone_are_found_missing() {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(3, 3 * MIB);
    let id = file_of(&client, &content).await;
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    stored.truncate(2 * MIB + 10);
    client.assert_range(&id, &content, 0..2 * MIB).await;
    let outcome = client.read(&id, 2 * MIB, 0).await;
    assert_reason(outcome, Reason::StoredDataCorrupt);
    std::fs::remove_file(stored.path()).unwrap();
    assert_reason(client.read(&id, 0, 1).await, Reason::StoredDataCorrupt);
}

#[tokio::test]
async fn readers_that_do_not_read_cost_little_memory() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, 64 * MIB);
    let file = client.put("large", &content).await.unwrap();
    let before = server.resident_bytes();
    let mut readers = Vec::new();
    for _ in 0..50 {
        let request = ReadFileRequest { file_id: file.id.clone(), ..Default::default() };
        let mut stream = server.client().files.read_file(request).await.unwrap().into_inner();
        stream.message().await.unwrap().expect("it has begun");
        readers.push(stream);
    }
    // Nobody takes more: the server must not read ahead for them.
    let mut most = 0;
    for _ in 0..20 {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        most = most.max(server.resident_bytes());
    }
    // 4 MiB for each reader, and what the allocator keeps for itself.
    let grown = most.saturating_sub(before);
    assert!(grown < (64 + 50 * 4) * MIB, "{grown} bytes for 50 readers");
    drop(readers);
    client.assert_content(&file.id, &content).await;
}
