//! The bidirectional stream: answers while it is open.

use sluice_domain::Reason;
use sluice_proto::v1::{
    BidiWriteUploadRequest, CreateUploadRequest, bidi_write_upload_response::Response, upload,
};
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, in_small_parts, persisted,
};

/// The ranges that a list of answers acknowledges.
fn acknowledged(answers: &[Response]) -> Vec<(i64, i64)> {
    let mut ranges: Vec<_> = answers
        .iter()
        .filter_map(|answer| match answer {
            Response::Persisted(range) => Some((range.start, range.end)),
            _ => None,
        })
        .collect();
    ranges.sort_unstable();
    ranges
}

async fn first_answer(stream: &mut sluice_tests::BidiStream) -> sluice_proto::v1::Upload {
    match stream.next().await.unwrap() {
        Some(Response::Upload(upload)) => upload,
        other => panic!("the first answer is not the upload but {other:?}"),
    }
}

async fn active(client: &Client, name: &str, size: u64) -> sluice_proto::v1::Upload {
    client.create(in_small_parts(name, size)).await.unwrap()
}

#[tokio::test]
async fn each_part_is_acknowledged_once_it_is_persisted() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(1, 3 * MIB + 5);
    let upload = active(&client, "acknowledged", content.size()).await;
    let mut stream = client.open_bidi(Frames::to(&upload)).await.unwrap();
    assert_eq!(first_answer(&mut stream).await.id, upload.id);

    let mib = MIB as i64;
    for number in [3, 1, 1] {
        stream.send(Frames::empty().part(&content, upload.part_size, number)).await;
        let start = (number as i64 - 1) * mib;
        match stream.next().await.unwrap() {
            Some(Response::Persisted(range)) => {
                assert_eq!((range.start, range.end), (start, start + mib));
            }
            other => panic!("part {number} was not acknowledged but answered with {other:?}"),
        }
        let seen = client.upload(&upload.id).await.unwrap();
        assert!(persisted(&seen).iter().any(|(from, to)| *from <= start && start < *to));
    }
    stream.send(Frames::empty().range(&content, 3 * MIB..content.size())).await;
    stream.close();
    assert_eq!(acknowledged(&stream.rest().await.unwrap()), [(3 * mib, 3 * mib + 5)]);
}

#[tokio::test]
async fn a_stream_can_create_fill_and_complete_its_upload() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(2, 2 * MIB + 1);
    let request = CreateUploadRequest {
        request_id: "bidi".into(),
        ..in_small_parts("in one go", content.size())
    };
    let frames = || Frames::creating(request.clone()).all(&content).complete();
    for _ in 0..2 {
        let mut stream = client.open_bidi(frames()).await.unwrap();
        let upload = first_answer(&mut stream).await;
        assert_eq!(upload.part_size, MIB as i64);
        let answers = stream.rest().await.expect("the server ends the stream");
        let Some(Response::Completed(completed)) = answers.last() else {
            panic!("the last answer is {:?}", answers.last());
        };
        let upload = completed.upload.as_ref().unwrap();
        assert_eq!(upload.state(), upload::State::Completed);
        client.assert_content(&completed.file.as_ref().unwrap().id, &content).await;
    }
}

#[tokio::test]
async fn a_damaged_frame_costs_its_part_and_not_the_stream() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 4 * MIB);
    let upload = active(&client, "damaged", content.size()).await;
    let mut stream = client.open_bidi(Frames::to(&upload)).await.unwrap();
    first_answer(&mut stream).await;

    // Part 1 is whole; part 2 is damaged in its middle, its rest is on the way.
    let half = MIB / 2;
    let frames = Frames::empty()
        .framed(half)
        .range(&content, 0..MIB + half)
        .damaged_frame(MIB + half, content.bytes(MIB + half..2 * MIB - 10))
        .range(&content, 2 * MIB - 10..2 * MIB);
    stream.send(frames).await;
    let (mut persisted_first, mut error) = (false, None);
    while error.is_none() {
        match stream.next().await.unwrap().expect("the stream lives on") {
            Response::Persisted(range) => persisted_first = range.start == 0,
            Response::FrameError(found) => error = Some(found),
            other => panic!("unexpected {other:?}"),
        }
    }
    let error = error.unwrap();
    assert!(persisted_first, "part 1 is not touched");
    assert_eq!(error.offset as u64, MIB + half);
    assert_eq!(error.part_offset as u64, MIB);

    let rest = Frames::empty().framed(half).range(&content, MIB..4 * MIB).complete();
    stream.send(rest).await;
    let answers = stream.rest().await.unwrap();
    assert_eq!(acknowledged(&answers).len(), 3);
    let Some(Response::Completed(completed)) = answers.last() else {
        panic!("not completed but {:?}", answers.last());
    };
    client.assert_content(&completed.file.as_ref().unwrap().id, &content).await;
}

#[tokio::test]
async fn the_state_can_be_asked_for_on_the_open_stream() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, 2 * MIB);
    let upload = active(&client, "asked", content.size()).await;
    let lookup = BidiWriteUploadRequest { state_lookup: true, ..Default::default() };
    let mut stream = client.open_bidi(Frames::to(&upload)).await.unwrap();
    assert!(persisted(&first_answer(&mut stream).await).is_empty());
    stream.send(Frames::empty().range(&content, 0..MIB)).await;
    assert!(matches!(stream.next().await.unwrap(), Some(Response::Persisted(_))));
    for _ in 0..3 {
        stream.send_message(lookup.clone()).await;
        assert_eq!(persisted(&first_answer(&mut stream).await), [(0, MIB as i64)]);
    }
}

#[tokio::test]
async fn every_other_rule_of_write_upload_holds() {
    let server = Server::start().await;
    let client = server.client();
    let upload = active(&client, "ruled", 2 * MIB).await;
    let rules = [
        (Frames::to(&upload).frame(1, "x"), Reason::OffsetMismatch),
        (Frames::to(&upload).frame(2 * MIB, "x"), Reason::SizeExceeded),
        (Frames::to_epoch(&upload.id, 7).frame(0, "x"), Reason::StaleWriter),
        (Frames::to(&upload).complete(), Reason::PartsMissing),
        (Frames::to(&upload).final_size(1), Reason::SizeMismatch),
        (Frames::to_epoch("upl_0", 1), Reason::InvalidField),
        (Frames::empty().frame(0, "x"), Reason::InvalidField),
    ];
    for (frames, expect) in rules {
        let outcome = match client.open_bidi(frames).await {
            Ok(mut stream) => {
                stream.close();
                stream.rest().await
            }
            Err(status) => Err(status),
        };
        assert_reason(outcome, expect);
    }
}
