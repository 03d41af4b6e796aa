//! More work than the server takes on.

use std::time::Duration;

use futures::future::join_all;
use sluice_domain::Reason;
use sluice_proto::v1::ReadFileRequest;
use sluice_tests::{
    Client, Content, Frames, MIB, Server, assert_reason, eventually, in_small_parts, named,
};
use tokio::time::Instant;
use tonic::Status;

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_at_once_and_a_place_is_free_again_later() {
    let server = Server::with().setting("SLUICE__LIMITS__MAX_STREAMS", "8").start().await;
    let client = server.client();
    let content = Content::new(1, MIB);
    let mut uploads = Vec::new();
    for number in 0..9 {
        let request = in_small_parts(&format!("load/{number}"), content.size());
        uploads.push(client.create(request).await.unwrap());
    }
    let streams: Vec<_> = uploads[..8].iter().map(|_| client.open()).collect();
    for (stream, upload) in streams.iter().zip(&uploads) {
        assert!(stream.send(Frames::to(upload).range(&content, 0..MIB / 2)).await);
    }
    let full = async || client.write(Frames::to(&uploads[8]).all(&content)).await.is_err();
    eventually("all places are taken", Duration::from_secs(10), full).await;

    let mut took: Vec<Duration> = Vec::new();
    for _ in 0..101 {
        let began = Instant::now();
        let refused = client.write(Frames::to(&uploads[8])).await;
        took.push(began.elapsed());
        assert_reason(refused, Reason::Overloaded);
    }
    took.sort();
    assert!(took[50] < Duration::from_millis(10), "the median refusal took {:?}", took[50]);
    // Short calls have places of their own.
    client.create(named("short")).await.unwrap();

    for stream in streams {
        stream.finish().await.unwrap();
    }
    let free = async || client.write(Frames::to(&uploads[8]).all(&content)).await.is_ok();
    eventually("a place is free", Duration::from_secs(10), free).await;
}

#[tokio::test]
async fn a_caller_who_vanishes_gives_the_place_back() {
    let server = Server::with().setting("SLUICE__LIMITS__MAX_STREAMS", "2").start().await;
    let content = Content::new(2, MIB);
    let client = server.client();
    let upload = client.create(in_small_parts("vanishing", content.size())).await.unwrap();
    for _ in 0..10 {
        let (one, two) = (server.client(), server.client());
        let streams = join_all([&one, &two].map(async |client| {
            let stream = client.open();
            stream.send(Frames::to(&upload)).await;
            stream
        }))
        .await;
        for stream in streams {
            stream.abort();
        }
        drop((one, two));
        let free = async || client.write(Frames::to(&upload)).await.is_ok();
        eventually("a place is free", Duration::from_secs(10), free).await;
    }
}

#[tokio::test]
async fn a_reader_holds_its_place_until_it_has_read_everything() {
    let server = Server::with().setting("SLUICE__LIMITS__MAX_STREAMS", "2").start().await;
    let client = server.client();
    let content = Content::new(3, 32 * MIB);
    let file = client.put("read", &content).await.unwrap();
    let read = async |client: &Client| {
        let request = ReadFileRequest { file_id: file.id.clone(), ..Default::default() };
        let mut reader = client.files.clone().read_file(request).await?.into_inner();
        // More is there than the connection takes at once.
        assert!(reader.message().await?.is_some());
        Ok::<_, Status>(reader)
    };
    let (one, two, three) = (server.client(), server.client(), server.client());
    let mut readers = [read(&one).await.unwrap(), read(&two).await.unwrap()];
    assert_reason(read(&three).await.map(drop), Reason::Overloaded);

    while readers[0].message().await.unwrap().is_some() {}
    let free = async || read(&three).await.is_ok();
    eventually("a place is free", Duration::from_secs(10), free).await;
}
