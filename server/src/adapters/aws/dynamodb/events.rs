//! The event queue: items that enter it in the transaction that causes them.
//!
//! An event's id begins with the time from which on it can be received, and is
//! its key, so that looking for work reads nothing whose time has not come. A
//! lease is an attribute: only the few events that are held come in between.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    error::ProvideErrorMetadata,
    types::{AttributeValue, ReturnConsumedCapacity, Select},
};
use futures::future::{join_all, try_join_all};
use sluice_domain::{Result, Timestamp};
use uuid::Uuid;

use super::{
    Records,
    call::{Consumed, Range, failed, unavailable},
    item::{Item, unreadable},
    key::{self, Key, QUEUE_SHARDS},
    pause::Pause,
    transaction::{Before, Tag, Transaction},
};
use crate::ports::{Backlog, Delivery, Event, EventQueue, Receipt};

/// Counting ends here.
const MOST_COUNTED: u64 = 10_000;

const VERIFY_FILE: &str = "verify_file";
const DELETE_BLOB: &str = "delete_blob";
const DELETE_ACCOUNT: &str = "delete_account";

/// A new event: its place, and what is there.
pub(super) fn item(event: &Event, at: Timestamp) -> (Key, Item) {
    let item = Item::default().with("attempts", 0_u32).with("held_until", 0_i64);
    let item = match event {
        Event::VerifyFile { owner, file_id } => {
            item.with("kind", VERIFY_FILE.to_owned()).with("owner", *owner).with("file", *file_id)
        }
        Event::DeleteBlob { owner, upload_id } => item
            .with("kind", DELETE_BLOB.to_owned())
            .with("owner", *owner)
            .with("upload", *upload_id),
        Event::DeleteAccount { account } => {
            item.with("kind", DELETE_ACCOUNT.to_owned()).with("owner", *account)
        }
    };
    (key::event(new_id(at)), item)
}

fn read(item: &Item) -> Result<Event> {
    let owner = item.get("owner")?;
    Ok(match item.get::<String>("kind")?.as_str() {
        VERIFY_FILE => Event::VerifyFile { owner, file_id: item.get("file")? },
        DELETE_BLOB => Event::DeleteBlob { owner, upload_id: item.get("upload")? },
        DELETE_ACCOUNT => Event::DeleteAccount { account: owner },
        _ => return Err(unreadable("kind")),
    })
}

/// An id of an event that can be received from `at` on.
fn new_id(at: Timestamp) -> u128 {
    let (_, random) = Uuid::new_v4().as_u64_pair();
    u128::from(sortable(at)) << 64 | u128::from(random)
}

fn sortable(at: Timestamp) -> u64 {
    at.as_micros().cast_unsigned() ^ (1 << 63)
}

/// An event that may be taken.
struct Candidate {
    id: u128,
    attempts: u32,
    held_until: Timestamp,
    item: Item,
}

impl Candidate {
    fn read(item: Item) -> Result<Self> {
        let id = u128::from_str_radix(&item.key()?.sk, 16).map_err(|_| unreadable("sk"))?;
        let held_until = item.get("held_until")?;
        Ok(Self { id, attempts: item.get("attempts")?, held_until, item })
    }

    /// From when on it can be received.
    fn from(&self) -> Timestamp {
        let at = (self.id >> 64) as u64 ^ (1 << 63);
        Timestamp::from_micros(at.cast_signed()).max(self.held_until)
    }
}

#[async_trait]
impl EventQueue for Records {
    async fn receive(
        &self,
        limit: u32,
        now: Timestamp,
        lease: Duration,
        max_attempts: u32,
    ) -> Result<Vec<Delivery>> {
        let limit = limit as usize;
        let mut received = Vec::new();
        // Whoever loses an event to somebody else looks for another one.
        while received.len() < limit {
            let mut candidates = self.candidates(now, limit - received.len()).await?;
            if candidates.is_empty() {
                break;
            }
            // The oldest first.
            candidates.sort_by_key(|candidate| candidate.id);
            candidates.truncate(limit - received.len());
            let taken = candidates.into_iter().map(|candidate| async move {
                if candidate.attempts >= max_attempts {
                    return self.put_aside(candidate).await.map(|()| None);
                }
                self.take(candidate, now, lease).await
            });
            received.extend(try_join_all(taken).await?.into_iter().flatten());
        }
        Ok(received)
    }

    async fn extend(&self, receipt: Receipt, until: Timestamp) -> Result<bool> {
        self.hold(receipt.event, receipt.attempt, receipt.attempt, None, until).await
    }

    async fn acknowledge(&self, receipt: Receipt) -> Result<()> {
        let mut pause = Pause::new();
        loop {
            let call = self
                .client
                .delete_item()
                .table_name(&*self.table)
                .set_key(Some(key::event(receipt.event).attributes()))
                .condition_expression("attempts = :attempt")
                .expression_attribute_values(
                    ":attempt",
                    AttributeValue::N(receipt.attempt.to_string()),
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            let error = match call.send().await {
                Ok(answer) => {
                    Consumed::count(&self.consumed.write, answer.consumed_capacity());
                    return Ok(());
                }
                Err(error) => error,
            };
            match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("ConditionalCheckFailedException") => return Ok(()),
                Some("TransactionConflictException") => {
                    pause.wait("an event cannot be removed").await?;
                }
                _ => return Err(failed("DeleteItem", &error)),
            }
        }
    }

    async fn retry(&self, receipt: Receipt, at: Timestamp) -> Result<()> {
        let key = key::event(receipt.event);
        let mut pause = Pause::new();
        loop {
            let Some(item) = self.get(&key).await? else { return Ok(()) };
            if item.get::<u32>("attempts")? != receipt.attempt {
                return Ok(());
            }
            let mut transaction = Transaction::new();
            let tag = Some(Tag::of(&item)?);
            transaction.delete(key.clone(), tag);
            let item = item.with("held_until", 0_i64);
            transaction.put(key::event(new_id(at)), Before::Absent, item);
            if let super::transaction::Outcome::Committed = self.commit(&transaction).await? {
                return Ok(());
            }
            pause.wait("an event cannot be offered again").await?;
        }
    }

    async fn wait(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.events.notified()).await;
    }

    async fn backlog(&self, now: Timestamp) -> Result<Backlog> {
        let counted = (0..QUEUE_SHARDS).map(|shard| self.count(key::queue(shard)));
        let waiting = try_join_all(counted).await?.into_iter().sum();
        let first = (0..QUEUE_SHARDS).map(|shard| async move {
            // Those that are held come first and are few.
            let page = self.query(&Range::all(key::queue(shard)), 64).await?;
            let from = page.into_iter().map(|item| Ok(Candidate::read(item)?.from()));
            from.collect::<Result<Vec<_>>>()
        });
        let first = try_join_all(first).await?.into_iter().flatten().min();
        let overdue = first.map_or(0, |first| now.as_micros().saturating_sub(first.as_micros()));
        Ok(Backlog {
            waiting,
            overdue: Duration::from_micros(u64::try_from(overdue).unwrap_or(0)),
            dead: self.dead_count().await?,
        })
    }

    async fn dead_count(&self) -> Result<u64> {
        self.count(key::DEAD_EVENTS.to_owned()).await
    }
}

impl Records {
    /// Events whose time has come and that nobody holds.
    async fn candidates(&self, now: Timestamp, limit: usize) -> Result<Vec<Candidate>> {
        let last = key::event_sort(u128::from(sortable(now)) << 64 | u128::from(u64::MAX));
        let free = ("held_until <= :now", Some(now.as_micros()));
        let read = (0..QUEUE_SHARDS).map(|shard| {
            let range = Range::all(key::queue(shard)).to(last.clone());
            async move { self.query_where(&range, limit, Some(free)).await }
        });
        // One part of the queue that fails does not hide the others.
        let mut candidates = Vec::new();
        let mut failure = None;
        for page in join_all(read).await {
            match page {
                Ok(page) => {
                    for item in page {
                        candidates.push(Candidate::read(item)?);
                    }
                }
                Err(error) => failure = Some(error),
            }
        }
        match failure {
            Some(error) if candidates.is_empty() => Err(error),
            _ => Ok(candidates),
        }
    }

    async fn take(
        &self,
        candidate: Candidate,
        now: Timestamp,
        lease: Duration,
    ) -> Result<Option<Delivery>> {
        let Candidate { id, attempts, held_until, item } = candidate;
        let attempt = attempts + 1;
        if !self.hold(id, attempts, attempt, Some(held_until), now.plus(lease)).await? {
            return Ok(None);
        }
        match read(&item) {
            Ok(event) => Ok(Some(Delivery { event, receipt: Receipt { event: id, attempt } })),
            Err(error) => {
                tracing::error!(event = %id, %error, "an unreadable event");
                Ok(None)
            }
        }
    }

    /// Holds an event until a time, as this attempt, if it is at another one and
    /// was held until then. Answers whether it was.
    async fn hold(
        &self,
        id: u128,
        attempts: u32,
        attempt: u32,
        held_until: Option<Timestamp>,
        until: Timestamp,
    ) -> Result<bool> {
        let mut pause = Pause::new();
        let tag = Transaction::new().tag();
        loop {
            let mut call = self
                .client
                .update_item()
                .table_name(&*self.table)
                .set_key(Some(key::event(id).attributes()))
                .update_expression("SET attempts = :attempt, held_until = :until, #tag = :tag")
                .expression_attribute_names("#tag", "tag")
                .expression_attribute_values(":tag", super::transaction::tag_attribute(tag))
                .expression_attribute_values(":attempts", AttributeValue::N(attempts.to_string()))
                .expression_attribute_values(":attempt", AttributeValue::N(attempt.to_string()))
                .expression_attribute_values(
                    ":until",
                    AttributeValue::N(until.as_micros().to_string()),
                )
                .return_consumed_capacity(ReturnConsumedCapacity::Total);
            call = match held_until {
                None => call.condition_expression("attempts = :attempts"),
                Some(before) => call
                    // Or it was this very call, whose answer was lost.
                    .condition_expression(
                        "(attempts = :attempts AND held_until = :before) OR #tag = :tag",
                    )
                    .expression_attribute_values(
                        ":before",
                        AttributeValue::N(before.as_micros().to_string()),
                    ),
            };
            let error = match call.send().await {
                Ok(answer) => {
                    Consumed::count(&self.consumed.write, answer.consumed_capacity());
                    return Ok(true);
                }
                Err(error) => error,
            };
            match error.as_service_error().and_then(ProvideErrorMetadata::code) {
                Some("ConditionalCheckFailedException") => return Ok(false),
                Some("TransactionConflictException") => {
                    pause.wait("an event cannot be held").await?;
                }
                _ => return Err(failed("UpdateItem", &error)),
            }
        }
    }

    /// An event that nobody could handle is kept where nobody looks for work.
    async fn put_aside(&self, candidate: Candidate) -> Result<()> {
        let tag = Some(Tag::of(&candidate.item)?);
        let mut transaction = Transaction::new();
        transaction.delete(key::event(candidate.id), tag);
        transaction.put(key::dead_event(candidate.id), Before::Any, candidate.item);
        // If it has changed, somebody else has seen to it.
        self.commit(&transaction).await.map(drop)
    }

    async fn count(&self, partition: String) -> Result<u64> {
        let mut counted = 0;
        let mut start = None;
        loop {
            let call = self
                .client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .select(Select::Count)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", AttributeValue::S(partition.clone()))
                .set_exclusive_start_key(start.take());
            let answer = call.send().await.map_err(|error| failed("Query", &error))?;
            counted += u64::try_from(answer.count).map_err(|_| unavailable())?;
            start = answer.last_evaluated_key;
            if start.is_none() || counted >= MOST_COUNTED {
                return Ok(counted);
            }
        }
    }
}
