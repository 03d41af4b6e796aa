//! Calls of DynamoDB that are not transactions. Reads see every write that was
//! answered; what is not answered in one call is asked for again.

use std::{
    collections::HashMap,
    error::Error as StdError,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use aws_sdk_dynamodb::{
    error::{DisplayErrorContext, SdkError},
    types::{
        AttributeValue, ConsumedCapacity, DeleteRequest, KeysAndAttributes, ReturnConsumedCapacity,
        WriteRequest,
    },
};
use futures::{StreamExt, TryStreamExt, stream};
use sluice_domain::{Error, Reason, Result};

use super::{
    Records,
    item::Item,
    key::{Key, PARTITION, SORT},
    pause::Pause,
};

/// Most items that one call reads.
const MOST_READS: usize = 100;

/// Most items that one call deletes without a transaction.
const MOST_DELETES: usize = 25;

/// Items that are looked at in one call at least, where a condition leaves some
/// out.
const FEWEST_FILTERED: usize = 64;

/// Calls of one batch that are under way at a time.
const PARALLEL: usize = 8;

/// Sorts after every sort key.
pub(super) const LAST: &str = "\u{10ffff}";

/// Where a query begins and ends, and which way it goes.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) pk: String,
    /// Smallest sort key.
    pub(super) first: String,
    /// Largest sort key.
    pub(super) last: String,
    pub(super) descending: bool,
}

impl Range {
    /// All of a partition.
    pub(super) fn all(pk: String) -> Self {
        Self { pk, first: " ".into(), last: LAST.into(), descending: false }
    }

    /// From this sort key on.
    pub(super) fn from(self, first: impl Into<String>) -> Self {
        Self { first: first.into(), ..self }
    }

    /// Up to this sort key.
    pub(super) fn to(self, last: impl Into<String>) -> Self {
        Self { last: last.into(), ..self }
    }

    /// The last ones first.
    pub(super) fn descending(self) -> Self {
        Self { descending: true, ..self }
    }
}

/// How much reading and writing was paid for, in tenths of a unit.
#[derive(Debug, Default)]
pub(super) struct Consumed {
    pub(super) read: AtomicU64,
    pub(super) write: AtomicU64,
}

impl Consumed {
    pub(super) fn count<'a>(
        counter: &AtomicU64,
        capacity: impl IntoIterator<Item = &'a ConsumedCapacity>,
    ) {
        let units: f64 = capacity.into_iter().filter_map(ConsumedCapacity::capacity_units).sum();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is small")]
        counter.fetch_add((units * 10.0).round() as u64, Ordering::Relaxed);
    }
}

impl Records {
    /// Reads an item.
    pub(super) async fn get(&self, key: &Key) -> Result<Option<Item>> {
        let call = self.client.get_item().table_name(&*self.table).consistent_read(true);
        let call = call.set_key(Some(key.attributes()));
        let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = call.send().await.map_err(|error| failed("GetItem", &error))?;
        Consumed::count(&self.consumed.read, answer.consumed_capacity());
        Ok(answer.item.map(Item::from_sdk))
    }

    /// Reads items, in any order; leaves out those that are not there. Keys are
    /// different from each other.
    pub(super) async fn get_all(&self, keys: Vec<Key>) -> Result<HashMap<Key, Item>> {
        let chunks: Vec<_> = keys.chunks(MOST_READS).map(<[Key]>::to_vec).collect();
        let read = stream::iter(chunks).map(|chunk| self.get_chunk(chunk));
        let items: Vec<_> = read.buffer_unordered(PARALLEL).try_collect().await?;
        Ok(items.into_iter().flatten().collect())
    }

    async fn get_chunk(&self, keys: Vec<Key>) -> Result<Vec<(Key, Item)>> {
        let mut found = Vec::with_capacity(keys.len());
        let mut pause = Pause::new();
        let mut left: Vec<_> = keys.iter().map(Key::attributes).collect();
        while !left.is_empty() {
            let asked = KeysAndAttributes::builder().set_keys(Some(left)).consistent_read(true);
            let asked = asked.build().map_err(|error| failed("BatchGetItem", &error))?;
            let call = self.client.batch_get_item().request_items(&*self.table, asked);
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = call.send().await.map_err(|error| failed("BatchGetItem", &error))?;
            Consumed::count(&self.consumed.read, answer.consumed_capacity());
            let items = answer.responses.unwrap_or_default().remove(&*self.table);
            for item in items.unwrap_or_default() {
                let item = Item::from_sdk(item);
                found.push((item.key()?, item));
            }
            let more = answer.unprocessed_keys.unwrap_or_default().remove(&*self.table);
            left = more.map(|more| more.keys).unwrap_or_default();
            if !left.is_empty() {
                pause.wait("reads are throttled").await?;
            }
        }
        Ok(found)
    }

    /// Reads up to `limit` items of a range, in its order: fewer only if there
    /// are no more.
    pub(super) async fn query(&self, range: &Range, limit: usize) -> Result<Vec<Item>> {
        self.query_where(range, limit, None).await
    }

    /// The same for items on which a condition holds; `now` is a value in it.
    pub(super) async fn query_where(
        &self,
        range: &Range,
        limit: usize,
        condition: Option<(&str, Option<i64>)>,
    ) -> Result<Vec<Item>> {
        let mut found = Vec::new();
        if range.first > range.last {
            return Ok(found);
        }
        let mut start = None;
        loop {
            let left = limit - found.len();
            // Some of what is looked at is left out.
            let looked_at = if condition.is_some() { left.max(FEWEST_FILTERED) } else { left };
            let mut call = self
                .client
                .query()
                .table_name(&*self.table)
                .consistent_read(true)
                .key_condition_expression("#pk = :pk AND #sk BETWEEN :first AND :last")
                .expression_attribute_names("#pk", PARTITION)
                .expression_attribute_names("#sk", SORT)
                .expression_attribute_values(":pk", AttributeValue::S(range.pk.clone()))
                .expression_attribute_values(":first", AttributeValue::S(range.first.clone()))
                .expression_attribute_values(":last", AttributeValue::S(range.last.clone()))
                .scan_index_forward(!range.descending)
                .return_consumed_capacity(ReturnConsumedCapacity::Total)
                .set_exclusive_start_key(start.take());
            call = call.limit(i32::try_from(looked_at).unwrap_or(i32::MAX));
            if let Some((condition, now)) = condition {
                call = call.filter_expression(condition);
                if let Some(now) = now {
                    let now = AttributeValue::N(now.to_string());
                    call = call.expression_attribute_values(":now", now);
                }
            }
            let answer = call.send().await.map_err(|error| failed("Query", &error))?;
            Consumed::count(&self.consumed.read, answer.consumed_capacity());
            found.extend(answer.items.unwrap_or_default().into_iter().map(Item::from_sdk));
            found.truncate(limit);
            start = answer.last_evaluated_key;
            if start.is_none() || found.len() == limit {
                return Ok(found);
            }
        }
    }

    /// Deletes items, whatever is in them. Not atomic.
    pub(super) async fn delete_all(&self, keys: Vec<Key>) -> Result<()> {
        let chunks: Vec<_> = keys.chunks(MOST_DELETES).map(<[Key]>::to_vec).collect();
        let deleted = stream::iter(chunks).map(|chunk| self.delete_chunk(chunk));
        deleted.buffer_unordered(PARALLEL).try_collect().await
    }

    async fn delete_chunk(&self, keys: Vec<Key>) -> Result<()> {
        let mut pause = Pause::new();
        let delete = |key: &Key| {
            let delete = DeleteRequest::builder().set_key(Some(key.attributes())).build();
            let delete = delete.map_err(|error| failed("BatchWriteItem", &error))?;
            Ok(WriteRequest::builder().delete_request(delete).build())
        };
        let mut left = keys.iter().map(delete).collect::<Result<Vec<_>>>()?;
        while !left.is_empty() {
            let call = self.client.batch_write_item().request_items(&*self.table, left);
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let answer = call.send().await.map_err(|error| failed("BatchWriteItem", &error))?;
            Consumed::count(&self.consumed.write, answer.consumed_capacity());
            let more = answer.unprocessed_items.unwrap_or_default().remove(&*self.table);
            left = more.unwrap_or_default();
            if !left.is_empty() {
                pause.wait("deletions are throttled").await?;
            }
        }
        Ok(())
    }

    /// Deletes everything in a partition, page by page, and answers how much
    /// that was.
    pub(super) async fn delete_range(&self, range: &Range) -> Result<usize> {
        const PAGE: usize = 1000;
        let mut deleted = 0;
        loop {
            let page = self.query(range, PAGE).await?;
            let keys = page.iter().map(Item::key).collect::<Result<Vec<_>>>()?;
            let count = keys.len();
            self.delete_all(keys).await?;
            deleted += count;
            if count < PAGE {
                return Ok(deleted);
            }
        }
    }
}

/// Turns an error of the SDK into what the caller may know, and logs the rest.
pub(super) fn failed(operation: &'static str, error: &(impl StdError + 'static)) -> Error {
    tracing::warn!(operation, error = %DisplayErrorContext(error), "a call of DynamoDB has failed");
    unavailable()
}

/// The refusal where DynamoDB does not do its work.
pub(super) fn unavailable() -> Error {
    Error::new(Reason::DependencyUnavailable, "the server's database does not answer; try again")
        .with("dependency", "database")
        .retry_after(Duration::from_secs(1))
}

/// Whether the service itself has refused, so that nothing has happened.
pub(super) fn code<E, R>(error: &SdkError<E, R>) -> Option<&str>
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    error.as_service_error().and_then(aws_sdk_dynamodb::error::ProvideErrorMetadata::code)
}
