//! Memory is bounded by configuration, not by load.

use std::time::Duration;

use futures::{
    StreamExt,
    future::{join_all, select},
    stream,
};
use sluice_tests::{Content, Frames, LocalAws, MIB, Server, eventually, in_small_parts};
use tokio::time::{sleep, timeout};

use crate::{
    alone,
    slow::{Slow, SlowCaller},
};

/// The budget of messages that have not arrived whole.
const BUDGET: u64 = 256 * MIB;

/// 256 streams, each slow, with parts that are eight times the budget together.
#[tokio::test]
async fn many_slow_streams_finish_within_the_memory() {
    let _alone = alone().await;
    const STREAMS: u64 = 256;
    let server = Server::embedded().await;
    let peak = peak_of_slow_streams(&server, STREAMS).await;
    let most = BUDGET + 64 * MIB + STREAMS * 4 * MIB;
    assert!(peak <= most, "{} MiB, more than {} MiB", peak / MIB, most / MIB);
}

/// The same on S3, which takes parts whole: what does not fit into the budget for them
/// waits on a disk.
#[tokio::test]
async fn slow_streams_to_s3_finish_within_the_memory() {
    let _alone = alone().await;
    const STREAMS: u64 = 64;
    const MESSAGES: u64 = 32 * MIB;
    const PARTS: u64 = 64 * MIB;
    let server = Server::with()
        .setting("SLUICE__LIMITS__MESSAGE_MEMORY", &MESSAGES.to_string())
        .setting("SLUICE__AWS__PART_MEMORY", &PARTS.to_string())
        .account(LocalAws::account().await)
        .start()
        .await;
    let peak = peak_of_slow_streams(&server, STREAMS).await;
    let most = MESSAGES + PARTS + 64 * MIB + STREAMS * 4 * MIB;
    assert!(peak <= most, "{} MiB, more than {} MiB", peak / MIB, most / MIB);
}

/// So many streams, each with a part of 8 MiB and slow, all of which finish. Answers
/// the most memory that the server has used.
async fn peak_of_slow_streams(server: &Server, streams: u64) -> u64 {
    let content = Content::new(1, 8 * MIB);
    let clients: Vec<_> = (0..streams / 16).map(|_| server.client()).collect();
    let writing = (0..streams).map(|number| {
        let client = clients[(number / 16) as usize].clone();
        async move {
            let mut request = in_small_parts(&format!("slow/{number}"), content.size());
            request.preferred_part_size = Some(content.size() as i64);
            let upload = client.create(request).await?;
            let slow = stream::iter(Frames::to(&upload).all(&content).complete().messages());
            let slow = slow.then(async |message| {
                sleep(Duration::from_millis(500)).await;
                message
            });
            client.write_stream(slow).await
        }
    });
    let mut peak = 0;
    let sampling = async {
        loop {
            peak = peak.max(server.resident_bytes());
            sleep(Duration::from_millis(100)).await;
        }
    };
    let writing = std::pin::pin!(join_all(writing));
    let ended = match select(writing, std::pin::pin!(sampling)).await {
        futures::future::Either::Left((ended, _)) => ended,
        futures::future::Either::Right(((), _)) => unreachable!("it samples until it is dropped"),
    };
    for wrote in ended {
        let file = wrote.unwrap().file.expect("the upload is complete");
        assert_eq!(file.size, content.size() as i64);
    }
    println!("peak: {} MiB", peak / MIB);
    peak
}

/// The budget, and nothing else, makes a stream wait; and it ends when others
/// give theirs back.
#[tokio::test]
async fn streams_wait_while_others_hold_the_memory() {
    let _alone = alone().await;
    // One for the budget, and those that may go on without it.
    const HOLDERS: usize = 9;
    let content = Content::new(2, MIB);
    for (budget, waits) in [("1MiB", true), ("64MiB", false)] {
        let server = Server::with().setting("SLUICE__LIMITS__MESSAGE_MEMORY", budget).start().await;
        let client = server.client();
        let upload = client.create(in_small_parts("waiting", content.size())).await.unwrap();
        let mut holders: Vec<Slow> = Vec::new();
        for _ in 0..HOLDERS {
            let mut holder = SlowCaller::connect(&server).await.begin(2 * MIB).await;
            holder.send(3 * MIB / 2).await;
            holders.push(holder);
        }
        let write = || client.write(Frames::to(&upload).all(&content));
        let blocked = async || timeout(Duration::from_secs(1), write()).await.is_err();
        if !waits {
            sleep(Duration::from_secs(3)).await;
            assert!(!blocked().await, "with a budget of {budget}");
            continue;
        }
        eventually("a stream waits", Duration::from_secs(20), blocked).await;
        drop(holders);
        let wrote = timeout(Duration::from_secs(5), write()).await.expect("there is room again");
        assert_eq!(wrote.unwrap().upload.unwrap().persisted_bytes, MIB as i64);
    }
}

/// Whoever keeps a place beyond the budget loses it, so that the others go on.
#[tokio::test]
async fn nobody_holds_the_memory_for_ever() {
    let _alone = alone().await;
    let server = Server::with()
        .setting("SLUICE__LIMITS__MESSAGE_MEMORY", "1MiB")
        .setting("SLUICE__LIMITS__STREAM_IDLE", "3s")
        .start()
        .await;
    let client = server.client();
    let content = Content::new(3, 4 * MIB);
    let caller = SlowCaller::connect(&server).await;
    let mut holders: Vec<Slow> = Vec::new();
    for _ in 0..20 {
        let mut holder = caller.begin(2 * MIB).await;
        holder.send(MIB).await;
        holders.push(holder);
    }
    // Just enough not to be silent or below the rate.
    let trickle = async {
        loop {
            for holder in &mut holders {
                holder.send(4096).await;
            }
            sleep(Duration::from_secs(1)).await;
        }
    };
    let upload = client.create(in_small_parts("patient", content.size())).await.unwrap();
    let write = async {
        let done = async || client.write(Frames::to(&upload).all(&content)).await.is_ok();
        eventually("an honest stream ends", Duration::from_secs(60), done).await;
    };
    tokio::select! {
        () = write => {}
        () = trickle => {}
    }
}
