//! Promises of [`EventQueue`]. Events enter it through the stores, so these
//! need both, and a queue for themselves.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use sluice_domain::{OnConflict, Timestamp, UploadId};

use crate::ports::{
    Backlog, Delivery, Event, EventQueue, Receipt, UploadStore,
    conformance::fixtures::{NOW, after, created, new_owner, processing},
};

const LEASE: Duration = Duration::from_secs(60);
const ATTEMPTS: u32 = 3;

async fn receive(queue: &dyn EventQueue, now: Timestamp) -> Vec<Delivery> {
    queue.receive(10, now, LEASE, ATTEMPTS).await.expect("an answer")
}

async fn receive_one(queue: &dyn EventQueue, now: Timestamp) -> Delivery {
    let [delivery] = receive(queue, now).await.try_into().expect("one event");
    delivery
}

/// Enqueues so many events, and answers which uploads they are about.
async fn enqueue(uploads: &dyn UploadStore, count: u32) -> HashSet<UploadId> {
    let owner = new_owner();
    let mut ids = HashSet::new();
    for index in 0..count {
        let upload = created(uploads, owner, &format!("file-{index}"), 1).await;
        uploads.cancel(owner, upload.id, NOW).await.expect("it is cancelled");
        ids.insert(upload.id);
    }
    ids
}

fn about(deliveries: &[Delivery]) -> HashSet<UploadId> {
    let about = |delivery: &Delivery| match delivery.event {
        Event::DeleteBlob { upload_id, .. } => upload_id,
        Event::DeleteAccount { .. } | Event::VerifyFile { .. } => {
            panic!("nobody asked for {delivery:?}")
        }
    };
    deliveries.iter().map(about).collect()
}

/// What a change causes is delivered, and says what to do.
pub async fn what_a_change_causes_is_delivered(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    let owner = new_owner();
    let file = processing(uploads, owner, "file", OnConflict::Fail).await;
    let verify = Event::VerifyFile { owner, file_id: file.id };
    let delivery = receive_one(queue, after(1)).await;
    assert_eq!(delivery.event, verify);
    queue.acknowledge(delivery.receipt).await.expect("it is acknowledged");

    let ids = enqueue(uploads, 3).await;
    assert_eq!(about(&receive(queue, after(1)).await), ids);
}

/// An event that somebody holds is hidden until its lease is over.
pub async fn a_delivered_event_is_hidden_for_its_lease(
    uploads: &dyn UploadStore,
    queue: &dyn EventQueue,
) {
    enqueue(uploads, 1).await;
    let first = receive_one(queue, after(1)).await;
    assert!(receive(queue, after(60)).await.is_empty());
    let second = receive_one(queue, after(61)).await;
    assert_eq!(second.event, first.event);
    assert_ne!(second.receipt, first.receipt);
}

/// No event is delivered to two who ask at the same time.
pub async fn an_event_is_held_by_one(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    let ids = enqueue(uploads, 12).await;
    let ask = || queue.receive(3, after(1), LEASE, ATTEMPTS);
    let answers = futures::future::join_all((0..8).map(|_| ask())).await;
    let delivered: Vec<_> =
        answers.into_iter().flat_map(|answer| answer.expect("an answer")).collect();
    assert_eq!(delivered.len(), ids.len());
    assert_eq!(about(&delivered), ids);
}

/// Nobody gets more events than they asked for.
pub async fn at_most_the_limit_is_delivered(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 5).await;
    let two = queue.receive(2, after(1), LEASE, ATTEMPTS).await.expect("an answer");
    assert_eq!(two.len(), 2);
    assert_eq!(receive(queue, after(1)).await.len(), 3);
}

/// An acknowledged event is gone for good.
pub async fn an_acknowledged_event_is_gone(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 1).await;
    let delivery = receive_one(queue, after(1)).await;
    for _ in 0..2 {
        queue.acknowledge(delivery.receipt).await.expect("a repeat is no error");
    }
    assert!(receive(queue, after(1_000_000)).await.is_empty());
    assert_eq!(queue.dead_count().await, Ok(0));
}

/// Who has lost an event to somebody else cannot answer for it any more.
pub async fn an_old_receipt_is_worthless(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 1).await;
    let old = receive_one(queue, after(1)).await.receipt;
    let new = receive_one(queue, after(61)).await.receipt;
    queue.acknowledge(old).await.expect("it changes nothing");
    queue.retry(old, after(62)).await.expect("it changes nothing");
    assert_eq!(queue.extend(old, after(500)).await, Ok(false));
    assert!(receive(queue, after(100)).await.is_empty());
    assert_eq!(queue.extend(new, after(500)).await, Ok(true));
    let unknown = Receipt { event: u128::MAX, attempt: 1 };
    assert_eq!(queue.extend(unknown, after(500)).await, Ok(false));
}

/// Who needs longer keeps the event.
pub async fn an_extended_lease_hides_longer(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 1).await;
    let delivery = receive_one(queue, after(1)).await;
    assert_eq!(queue.extend(delivery.receipt, after(200)).await, Ok(true));
    assert!(receive(queue, after(199)).await.is_empty());
    receive_one(queue, after(200)).await;
}

/// An event that failed comes again when its time has come.
pub async fn a_retried_event_comes_again(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 1).await;
    let delivery = receive_one(queue, after(1)).await;
    queue.retry(delivery.receipt, after(10)).await.expect("it is offered again");
    assert!(receive(queue, after(9)).await.is_empty());
    assert_eq!(receive_one(queue, after(10)).await.event, delivery.event);
}

/// An event that fails again and again is put aside, and not lost from sight.
pub async fn a_hopeless_event_is_put_aside(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    enqueue(uploads, 1).await;
    for attempt in 0..u64::from(ATTEMPTS) {
        assert_eq!(queue.dead_count().await, Ok(0));
        receive_one(queue, after(1 + attempt * 100)).await;
        let held = queue.backlog(after(1 + attempt * 100)).await.expect("it can be counted");
        assert_eq!(held, Backlog { waiting: 1, ..Backlog::default() });
        let overdue = queue.backlog(after(99 + attempt * 100)).await.expect("it can be counted");
        assert!(overdue.waiting == 1 && overdue.overdue > Duration::from_secs(30), "{overdue:?}");
    }
    assert!(receive(queue, after(1_000_000)).await.is_empty());
    assert!(receive(queue, after(2_000_000)).await.is_empty());
    assert_eq!(queue.dead_count().await, Ok(1));
    let aside = Backlog { dead: 1, ..Backlog::default() };
    assert_eq!(queue.backlog(after(3_000_000)).await, Ok(aside));
}

/// Waiting ends early when there is something to do, and in any case.
pub async fn waiting_ends(uploads: &dyn UploadStore, queue: &dyn EventQueue) {
    let start = Instant::now();
    queue.wait(Duration::from_millis(50)).await;
    assert!(start.elapsed() < Duration::from_secs(5), "nobody came, and it waits on");

    let start = Instant::now();
    futures::join!(queue.wait(Duration::from_secs(30)), enqueue(uploads, 1));
    assert!(start.elapsed() < Duration::from_secs(10), "an event came, and it waits on");
}
