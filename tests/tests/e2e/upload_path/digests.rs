//! The digest of a whole file, whatever order its parts came in.

use futures::future::join_all;
use rand::seq::SliceRandom;
use sluice_proto::v1::CreateUploadRequest;
use sluice_tests::{Content, Frames, MIB, Seed, Server, in_small_parts};

/// Uploads content over four streams in random order and asserts that the
/// server's BLAKE3 and CRC32C are those of one pass over the content.
async fn check(server: &Server, seed: &Seed, size: u64, part_size: u64) {
    let client = server.client();
    let content = Content::new(seed.value() ^ size, size);
    let request = CreateUploadRequest {
        preferred_part_size: Some(part_size as i64),
        ..in_small_parts(&format!("{size} bytes in parts of {part_size}"), size)
    };
    let upload = client.create(request).await.unwrap();
    let mut numbers: Vec<u64> = (1..=size.div_ceil(part_size)).collect();
    numbers.shuffle(&mut seed.rng(size));

    let streams = numbers.chunks(numbers.len().div_ceil(4).max(1)).map(|numbers| {
        let client = server.client();
        let frames = numbers.iter().fold(Frames::to(&upload), |frames, number| {
            frames.part(&content, upload.part_size, *number)
        });
        async move { client.write(frames).await.map(drop) }
    });
    for outcome in join_all(streams).await {
        outcome.unwrap();
    }
    let file = client.complete(&upload.id).await.unwrap();
    let checksums = file.checksums.unwrap();
    assert_eq!(checksums.blake3, content.blake3().as_slice(), "{size} bytes, {seed}");
    assert_eq!(checksums.crc32c, Some(content.crc32c()), "{size} bytes, {seed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_digest_is_right_around_every_part_boundary() {
    let seed = Seed::of("the_digest_is_right_around_every_part_boundary");
    let server = Server::start().await;
    for part in [MIB, 2 * MIB, 8 * MIB] {
        for size in [0, 1, part - 1, part, part + 1, 3 * part + 1, 7 * part + 1] {
            check(&server, &seed, size, part).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_digest_is_right_for_more_than_a_gibibyte() {
    let seed = Seed::of("the_digest_is_right_for_more_than_a_gibibyte");
    let server = Server::start().await;
    check(&server, &seed, 1024 * MIB + 7, 8 * MIB).await;
}
