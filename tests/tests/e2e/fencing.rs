//! Who may write, and what becomes of those who may not.

use std::time::Duration;

use futures::future::join_all;
use rand::RngExt;
use sluice_domain::{Crc32c, Reason};
use sluice_proto::v1::{
    CompleteUploadRequest, CreateUploadRequest, Upload, WriteUploadResponse, upload,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Seed, Server, Stored, assert_reason, eventually, fact,
    in_small_parts, persisted, reason, scale,
};
use tokio::time::timeout;
use tonic::Status;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_completions_at_once_make_one_file() {
    let server = Server::start().await;
    let clients: Vec<_> = (0..8).map(|_| server.client()).collect();
    for round in 0..10 {
        let content = Content::new(round, 2 * MIB + round);
        let name = format!("round {round}");
        let upload = clients[0].create(in_small_parts(&name, content.size())).await.unwrap();
        clients[0].write(Frames::to(&upload).all(&content)).await.unwrap();

        // Every eighth completion comes with a stream that sends all once more.
        let completions = (0..64).map(|n| {
            let (client, upload) = (clients[n % 8].clone(), upload.clone());
            tokio::spawn(async move {
                match n % 8 {
                    0 => match client.write(Frames::to(&upload).all(&content).complete()).await {
                        // A stream that comes too late is told so, or drops all.
                        Err(status) => {
                            assert_reason(Err::<(), _>(status), Reason::UploadNotActive);
                            client.complete(&upload.id).await.unwrap()
                        }
                        Ok(answer) => answer.file.unwrap(),
                    },
                    _ => client.complete(&upload.id).await.unwrap(),
                }
            })
        });
        let files: Vec<_> = join_all(completions).await.into_iter().map(Result::unwrap).collect();
        assert!(files.iter().all(|file| *file == files[0]), "different answers: {files:?}");
        clients[0].assert_content(&files[0].id, &content).await;
    }
    let page = clients[0].list_files(Default::default()).await.unwrap();
    assert_eq!(page.files.len(), 10, "one file for each upload");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_sixteen_writers_with_different_bytes_one_wins_whole() {
    let seed = Seed::of("of_sixteen_writers_with_different_bytes_one_wins_whole");
    let server = Server::start().await;
    let clients: Vec<_> = (0..16).map(|_| server.client()).collect();
    for round in 0..scale(40, 1000) as u64 {
        let size = MIB;
        let name = format!("round {round}");
        let upload = clients[0].create(in_small_parts(&name, size)).await.unwrap();
        let contents: Vec<_> = (0..16)
            .map(|writer| Content::new(seed.value() ^ (round * 16 + writer), size))
            .collect();
        let writers = clients.iter().zip(&contents).map(|(client, content)| {
            let frames = Frames::to(&upload).framed(64 * 1024).all(content);
            let client = client.clone();
            tokio::spawn(async move { client.write(frames).await })
        });
        let outcomes: Vec<_> = join_all(writers).await.into_iter().map(Result::unwrap).collect();

        let part = client_part(&clients[0], &upload).await;
        let winners: Vec<_> =
            (0..16).filter(|writer| Crc32c::of(&contents[*writer].all()).0 == part).collect();
        assert_eq!(winners.len(), 1, "the part is nobody's, {seed}");
        for (writer, outcome) in outcomes.iter().enumerate() {
            match outcome {
                Ok(_) => assert_eq!(writer, winners[0], "a loser was told OK, {seed}"),
                Err(status) => assert!(
                    matches!(reason(status), Some(Reason::ContentConflict | Reason::PartBusy)),
                    "{status:?}"
                ),
            }
        }
        let file = clients[0].complete(&upload.id).await.unwrap();
        clients[0].assert_content(&file.id, &contents[winners[0]]).await;
    }
}

/// The recorded CRC32C of the only part.
async fn client_part(client: &Client, upload: &Upload) -> u32 {
    let parts = client.parts(&upload.id, 0).await.unwrap();
    assert_eq!(parts.len(), 1, "one part was written");
    parts[0].crc32c
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_resume_the_older_epoch_changes_nothing() {
    let seed = Seed::of("after_a_resume_the_older_epoch_changes_nothing");
    let server = Server::start().await;
    for round in 0..scale(30, 1000) as u64 {
        one_takeover(&server, &seed, round).await;
    }
}

/// Two old streams write one content, a new writer takes over at a random
/// moment and writes another. What was persisted before the takeover is old,
/// everything else is new, byte for byte.
async fn one_takeover(server: &Server, seed: &Seed, round: u64) {
    let mut rng = seed.rng(round);
    let client = server.client();
    let size = 12 * MIB;
    let (old, new) = (Content::new(2 * round, size), Content::new(2 * round + 1, size));
    let name = format!("round {round}");
    let upload = client.create(in_small_parts(&name, size)).await.unwrap();

    let old_streams: Vec<_> = [0..6 * MIB, 6 * MIB..12 * MIB]
        .into_iter()
        .map(|range| {
            let frames = Frames::to(&upload).framed(32 * 1024).range(&old, range);
            let client = server.client();
            tokio::spawn(async move { client.write(frames).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_micros(rng.random_range(0..40_000))).await;
    let taken = client.resume(&upload.id).await.unwrap();
    assert_eq!(taken.writer_epoch, 2);

    let late = client.write(Frames::to(&upload).all(&old)).await;
    assert_eq!(fact(&assert_reason(late, Reason::StaleWriter), "writer_epoch"), "2");
    let frames = missing(&taken)
        .fold(Frames::to(&taken), |frames, number| frames.part(&new, taken.part_size, number));
    client.write(frames).await.unwrap();
    for stream in old_streams {
        check_old(stream.await.unwrap());
    }

    let file = client.complete(&upload.id).await.unwrap();
    for number in 0..12 {
        let range = number * MIB..(number + 1) * MIB;
        let was_old = persisted(&taken)
            .iter()
            .any(|(start, end)| *start as u64 <= range.start && range.end <= *end as u64);
        let expect = if was_old { &old } else { &new };
        client.assert_range(&file.id, expect, range).await;
    }
}

/// Numbers of the parts that an upload of twelve lacks.
fn missing(upload: &Upload) -> impl Iterator<Item = u64> {
    let persisted = persisted(upload);
    (1..=12).filter(move |number| {
        let start = ((number - 1) * MIB) as i64;
        !persisted.iter().any(|(from, to)| *from <= start && start < *to)
    })
}

/// An old stream had ended before the takeover, or was ended by it.
fn check_old(outcome: Result<WriteUploadResponse, Status>) {
    if outcome.is_err() {
        assert_reason(outcome, Reason::StaleWriter);
    }
}

#[tokio::test]
async fn open_streams_of_an_older_epoch_end_though_they_are_silent() {
    let server = Server::embedded().await;
    let client = server.client();
    let content = Content::new(1, 12 * MIB);
    let upload = client.create(in_larger_parts("silent", content.size())).await.unwrap();

    let in_part = client.open();
    in_part.send(Frames::to(&upload).range(&content, 0..MIB + 100)).await;
    on_disk(&server, &content).await;
    let between = client.open();
    between.send(Frames::to(&upload).range(&content, 4 * MIB..8 * MIB)).await;
    eventually("the second part is persisted", Duration::from_secs(10), async || {
        client.upload(&upload.id).await.unwrap().persisted_bytes == 4 * MIB as i64
    })
    .await;

    client.resume(&upload.id).await.unwrap();
    for stream in [in_part, between] {
        let outcome = timeout(Duration::from_secs(10), stream.outcome()).await;
        assert_reason(outcome.expect("it ends within seconds"), Reason::StaleWriter);
    }
    let after = client.upload(&upload.id).await.unwrap();
    assert_eq!(after.persisted_bytes, 4 * MIB as i64);
    assert_eq!(after.state(), upload::State::Active);
}

/// A request for an upload in parts that are larger than what the server holds
/// in memory.
fn in_larger_parts(name: &str, size: u64) -> CreateUploadRequest {
    CreateUploadRequest { preferred_part_size: Some(4 * MIB as i64), ..in_small_parts(name, size) }
}

/// Returns once the beginning of this content is on the disk: so the stream
/// that sends it has the part.
async fn on_disk(server: &Server, content: &Content) {
    eventually("the first bytes are on the disk", Duration::from_secs(10), async || {
        Stored::find(&server.data_dir(), content).is_some()
    })
    .await;
}

#[tokio::test]
async fn a_stale_writer_cannot_complete() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 10);
    let upload = client.create(in_small_parts("fenced", 10)).await.unwrap();
    client.write(Frames::to(&upload).all(&content)).await.unwrap();
    client.resume(&upload.id).await.unwrap();

    let at_epoch = |epoch| CompleteUploadRequest {
        upload_id: upload.id.clone(),
        writer_epoch: Some(epoch),
        ..Default::default()
    };
    assert_reason(client.complete_with(at_epoch(1)).await, Reason::StaleWriter);
    assert_reason(client.write(Frames::to(&upload).complete()).await, Reason::StaleWriter);
    client.complete_with(at_epoch(2)).await.unwrap();
}

#[tokio::test]
async fn a_silent_stream_gives_way_to_another_of_its_epoch() {
    let server = Server::embedded().await;
    let client = server.client();
    let (one, other) = (Content::new(1, 4 * MIB), Content::new(2, 4 * MIB));
    let upload = client.create(in_larger_parts("abandoned", one.size())).await.unwrap();
    let silent = client.open();
    silent.send(Frames::to(&upload).range(&one, 0..MIB + 1000)).await;
    on_disk(&server, &one).await;

    // A browser that re-sent its request, say: the first never says more.
    client.write(Frames::to(&upload).all(&other)).await.expect("the silent claim is taken over");
    let file = client.complete(&upload.id).await.unwrap();
    client.assert_content(&file.id, &other).await;
    drop(silent);
}
