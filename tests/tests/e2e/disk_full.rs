//! A full disk refuses bytes, and nothing else.

use std::time::Duration;

use sluice_domain::Reason;
use sluice_tests::{
    Client, Content, Frames, MIB, Server, SmallDisk, assert_reason, eventually, in_small_parts,
    reason,
};
use tonic::Status;

/// Size of the small disk, in MiB.
const DISK_MIB: u64 = 192;

/// A server on a disk that is soon full.
pub(super) async fn small_server() -> Server {
    Server::with().disk(SmallDisk::new(DISK_MIB).await).start().await
}

/// The content of the `number`-th file that fills the disk.
fn filling(number: u64) -> Content {
    Content::new(number, 8 * MIB)
}

/// Uploads files named by number until one is refused; answers the refusal.
pub(super) async fn fill(client: &Client) -> Status {
    for number in 0..DISK_MIB {
        if let Err(status) = client.put(&number.to_string(), &filling(number)).await {
            return status;
        }
    }
    panic!("{} MiB fit on {DISK_MIB} MiB", DISK_MIB * 8);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_refuses_bytes_and_serves_everything_else() {
    let mut server = small_server().await;
    let client = server.client();
    let first = client.put("first", &filling(1000)).await.unwrap();
    let open = client.create(in_small_parts("open", 8 * MIB)).await.unwrap();
    let kept = Frames::to(&open).range(&filling(2000), 0..MIB);
    client.write(kept).await.unwrap();
    assert_reason(Err::<(), _>(fill(&client).await), Reason::StorageFull);

    // Refused uploads stay active, and a repeat is refused in the same way.
    for _ in 0..5 {
        let refused = client.put("one more", &filling(3000)).await;
        assert_reason(refused, Reason::StorageFull);
    }
    // Everything that needs no room for bytes goes on.
    client.assert_content(&first.id, &filling(1000)).await;
    let files = client.list_files(Default::default()).await.unwrap().files;
    assert!(files.len() > 3, "only {} files fit", files.len());
    for file in files.iter().filter(|file| file.name != "first") {
        client.assert_content(&file.id, &filling(file.name.parse().unwrap())).await;
    }
    assert_eq!(client.upload(&open.id).await.unwrap().persisted_bytes, MIB as i64);
    client.create(in_small_parts("a record", MIB)).await.expect("records have their own room");

    // So does a restart.
    server.restart().await;
    let client = server.client();
    client.assert_content(&first.id, &filling(1000)).await;

    // Deleting gives room, and the upload that was open goes on.
    for file in files.iter().filter(|file| file.name != "first") {
        client.delete_file(&file.id).await.unwrap();
    }
    eventually("deleting gives room", Duration::from_secs(20), async || {
        match client.put("with room again", &filling(4000)).await {
            Ok(_) => true,
            Err(status) => {
                assert_eq!(reason(&status), Some(Reason::StorageFull));
                false
            }
        }
    })
    .await;
    let rest = Frames::to(&open).range(&filling(2000), MIB..8 * MIB).complete();
    let file = client.write(rest).await.unwrap().file.unwrap();
    client.assert_content(&file.id, &filling(2000)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_acknowledged_that_did_not_fit() {
    let server = small_server().await;
    let client = server.client();
    // More than fits, on four streams at once, each with parts of its own.
    let content = Content::new(1, DISK_MIB * MIB + MIB);
    let upload = client.create(in_small_parts("too much", content.size())).await.unwrap();
    let count = content.size() / MIB;
    let streams = (0..4).map(|lane| {
        let client = server.client();
        let mut frames = Frames::to(&upload);
        for number in (1..=count).filter(|number| number % 4 == lane) {
            frames = frames.part(&content, upload.part_size, number);
        }
        async move { client.write(frames).await }
    });
    for outcome in futures::future::join_all(streams).await {
        assert_reason(outcome, Reason::StorageFull);
    }
    let after = client.upload(&upload.id).await.unwrap();
    assert!(after.persisted_bytes > 0 && after.persisted_bytes < content.size() as i64);
    for part in client.parts(&upload.id, 0).await.unwrap() {
        let range = part.offset as u64..(part.offset + part.size) as u64;
        let expect = sluice_domain::Crc32c::of(&content.bytes(range)).0;
        assert_eq!(part.crc32c, expect, "part {}", part.part_number);
    }
    client.cancel(&upload.id).await.unwrap();
    eventually("cancelling gives room", Duration::from_secs(20), async || {
        client.put("fits", &filling(1)).await.is_ok()
    })
    .await;
}
