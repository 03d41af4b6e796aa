//! What a watch tells, whatever the moment at which it breaks.

use std::{collections::HashMap, time::Duration};

use futures::{Stream, StreamExt};
use sluice_domain::{
    Crc32c, OnConflict, PartHasher, PartNumber, PartPlan, Result, UploadId, UploadState,
};
use sluice_server::{
    ports::{FeedPosition, UploadQuery},
    service::{
        uploads,
        watch::{self, Message, Selection, WatchEvent},
    },
};
use sluice_tests::Content;
use tokio::time::timeout;

use crate::{
    clock::ManualClock,
    ledger::{Declared, Entry},
    server::{CALLER, Server},
    simulation::{Loss, SimulatedDisk},
};

const PART: u64 = 4096;

/// Every message of these tests comes sooner.
const LIMIT: Duration = Duration::from_secs(20);

fn boot() -> Server {
    Server::boot(&SimulatedDisk::new(), &ManualClock::new()).expect("a new disk boots")
}

async fn create(server: &Server, number: u64) -> UploadId {
    let (content, name) = (Content::new(number, 100 * PART), format!("file-{number}"));
    let declared = Declared::Nothing;
    let entry = Entry::new(number as usize, &name, OnConflict::Fail, content, PART, declared);
    let created = uploads::create(&server.context, CALLER, entry.request).await;
    created.expect("it is created").upload.id
}

/// Records a part as if its bytes were there.
async fn record(server: &Server, id: UploadId, number: u32) {
    let number = PartNumber::new(number).expect("a number");
    let bytes = vec![1; PART as usize];
    let plan = PartPlan { part_size: PART, size: None };
    let mut hasher = PartHasher::new(number, plan.start(number));
    assert!(hasher.fold(&bytes, Crc32c::of(&bytes)));
    let part = hasher.finish().into();
    let context = &server.context;
    let epoch = context.uploads.upload(CALLER.owner, id).await.expect("it is there").epoch;
    let (now, ttl) = (context.clock.now(), context.limits.upload_ttl);
    let recorded = context.uploads.commit_part(CALLER.owner, id, epoch, part, now, ttl).await;
    recorded.expect("the part is recorded");
}

/// What somebody who watches believes of the uploads.
type Picture = HashMap<UploadId, (UploadState, u64)>;

fn see(picture: &mut Picture, message: &Message) {
    if let Some(WatchEvent::Upload(upload)) = &message.event {
        picture.insert(upload.id, (upload.state, upload.persisted_bytes));
    }
}

async fn truth(server: &Server) -> Picture {
    let query = UploadQuery { states: Vec::new(), after: None, limit: 1000 };
    let page = uploads::list(&server.context, CALLER, query).await.expect("a list");
    page.uploads.iter().map(|it| (it.id, (it.state, it.persisted_bytes))).collect()
}

async fn open(
    server: &Server,
    after: Option<FeedPosition>,
) -> impl Stream<Item = Result<Message>> + Unpin {
    let opened = watch::watch(&server.context, CALLER, Selection::default(), after).await;
    Box::pin(opened.expect("the watch opens"))
}

async fn next(stream: &mut (impl Stream<Item = Result<Message>> + Unpin)) -> Message {
    let message = timeout(LIMIT, stream.next()).await.expect("a message comes in time");
    message.expect("it goes on").expect("nothing is wrong")
}

#[tokio::test]
async fn a_change_during_the_snapshot_is_told_after_it() {
    let server = boot();
    let mut ids = Vec::new();
    for number in 0..200 {
        ids.push(create(&server, number).await);
    }
    let mut stream = open(&server, None).await;
    let first = next(&mut stream).await;
    let Some(WatchEvent::Upload(first)) = first.event else { panic!("{first:?}") };
    uploads::cancel(&server.context, CALLER, first.id).await.expect("it is cancelled");
    let mut count = 1;
    while !matches!(next(&mut stream).await.event, Some(WatchEvent::SnapshotEnd)) {
        count += 1;
    }
    assert_eq!(count, ids.len());
    let told = next(&mut stream).await;
    let Some(WatchEvent::Upload(told)) = told.event else { panic!("{told:?}") };
    assert_eq!((told.id, told.state), (first.id, UploadState::Cancelled));
}

#[tokio::test]
async fn a_watch_can_break_after_any_message() {
    let server = boot();
    let mut stream = open(&server, None).await;
    let start = next(&mut stream).await;
    assert!(matches!(start.event, Some(WatchEvent::SnapshotEnd)), "{start:?}");
    let mut ids = Vec::new();
    for number in 0..6 {
        ids.push(create(&server, number).await);
    }
    // Uploads that go on, some of which are held back when others end.
    let mut messages = vec![start];
    let watching = async {
        loop {
            messages.push(next(&mut stream).await);
        }
    };
    let changing = async {
        for round in 1..=8 {
            for id in &ids[..4] {
                record(&server, *id, round).await;
            }
            if round == 4 {
                uploads::cancel(&server.context, CALLER, ids[4]).await.expect("it is cancelled");
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
        uploads::cancel(&server.context, CALLER, ids[5]).await.expect("it is cancelled");
        // So that this is told, while the progress before it is not yet.
        tokio::time::sleep(Duration::from_millis(300)).await;
    };
    tokio::select! {
        () = changing => {}
        () = watching => {}
    }
    drop(stream);
    let truth = truth(&server).await;
    let mut before = Picture::default();
    for (index, message) in messages.iter().enumerate() {
        see(&mut before, message);
        let place = message.position.clone().expect("the snapshot is whole");
        let (mut picture, mut stream) = (before.clone(), open(&server, Some(place)).await);
        while picture != truth {
            let told = timeout(Duration::from_secs(5), next(&mut stream)).await;
            let told = told.unwrap_or_else(|_| {
                panic!("broken after message {index} it ends with {picture:?}, not {truth:?}")
            });
            see(&mut picture, &told);
        }
    }
}

#[tokio::test]
async fn what_is_acknowledged_is_told_after_the_power_has_failed() {
    for loss in (0..10).map(Loss::Power).chain([Loss::Process]) {
        let (disk, clock) = (SimulatedDisk::new(), ManualClock::new());
        let server = Server::boot(&disk, &clock).expect("a new disk boots");
        let mut stream = open(&server, None).await;
        let place = next(&mut stream).await.position.expect("the snapshot is whole");
        drop(stream);
        let kept = create(&server, 1).await;
        record(&server, kept, 1).await;
        let ended = create(&server, 2).await;
        uploads::cancel(&server.context, CALLER, ended).await.expect("it is cancelled");
        let disk = disk.crash(loss);
        server.stop().await;

        let server = Server::boot(&disk, &clock).expect("it boots again");
        let mut stream = open(&server, Some(place)).await;
        let mut picture = Picture::default();
        while picture.len() < 2 {
            see(&mut picture, &next(&mut stream).await);
        }
        assert_eq!(picture, truth(&server).await);
        assert_eq!(picture[&kept], (UploadState::Active, PART));
        assert_eq!(picture[&ended], (UploadState::Cancelled, 0));
    }
}
