//! What was acknowledged is there, even if the server is killed in the moment
//! in which it has said so.

use std::time::Duration;

use rand::RngExt;
use sluice_proto::v1::bidi_write_upload_response::Response;
use sluice_tests::{
    BidiStream, Content, Frames, MIB, Seed, Server, in_small_parts, persisted, scale,
};
use tokio::time::timeout;

/// Parts of each upload.
const PARTS: u64 = 3;

/// The range that the next acknowledgement names.
async fn acknowledged(stream: &mut BidiStream) -> (i64, i64) {
    let answer = async {
        loop {
            match stream.next().await.expect("the stream goes on").expect("it has not ended") {
                Response::Persisted(range) => return (range.start, range.end),
                Response::Upload(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    };
    timeout(Duration::from_secs(60), answer).await.expect("a whole part is acknowledged")
}

#[tokio::test]
async fn an_acknowledged_range_survives_a_kill_in_that_moment() {
    let seed = Seed::of("an_acknowledged_range_survives_a_kill_in_that_moment");
    let mut random = seed.rng(0);
    let mut server = Server::start().await;
    for round in 0..scale(100, 1000) as u64 {
        let client = server.client();
        // The last part is short.
        let size = PARTS * MIB - random.random_range(0..MIB);
        let content = Content::new(seed.value().wrapping_add(round), size);
        let name = format!("round {round}");
        let upload = client.create(in_small_parts(&name, size)).await.unwrap();
        let mut stream = client.open_bidi(Frames::to(&upload)).await.unwrap();
        let first = random.random_range(1..=PARTS);
        let frame_size = MIB >> random.random_range(0..4);
        let part =
            |number| Frames::empty().framed(frame_size).part(&content, upload.part_size, number);
        stream.send(part(first)).await;
        // Something else may be on its way at the kill.
        let second = random.random_range(1..=PARTS);
        if second != first {
            stream.send(part(second)).await;
        }
        let (start, end) = acknowledged(&mut stream).await;
        server.kill().await;
        server.restart().await;

        let client = server.client();
        let after = client.upload(&upload.id).await.unwrap();
        let there = persisted(&after);
        assert!(
            there.iter().any(|(from, to)| *from <= start && end <= *to),
            "{start}..{end} was acknowledged, {there:?} is there, round {round}, {seed}"
        );
        let wrote = client.write(Frames::to(&after).all(&content).complete()).await.unwrap();
        client.assert_content(&wrote.file.unwrap().id, &content).await;
    }
}
