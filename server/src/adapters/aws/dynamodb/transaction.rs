//! Changes of several items, all or none, each under the condition that the item
//! is as it was when the change was decided.
//!
//! Every item that somebody decides by carries a tag: the id of the attempt that
//! wrote it last. So the condition is one comparison, and who does not know
//! what became of an attempt finds its own tag.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::{
    error::SdkError,
    operation::transact_write_items::TransactWriteItemsError,
    types::{
        AttributeValue, Delete, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure,
        TransactWriteItem,
    },
};
use sluice_domain::Result;
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Records,
    call::{Consumed, failed},
    item::{Item, Value},
    key::{Key, PARTITION},
    pause::Pause,
};
use crate::metrics;

/// The attribute with the tag.
const TAG: &str = "tag";

/// The attempt that wrote an item last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Tag([u8; 16]);

impl Tag {
    fn new() -> Self {
        Self(*Uuid::new_v4().as_bytes())
    }

    /// The tag of an item.
    pub(super) fn of(item: &Item) -> Result<Self> {
        item.get(TAG).map(Self)
    }
}

/// What an item must be like for a change to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Before {
    /// There is no such item.
    Absent,
    /// It was not written since.
    Tagged(Tag),
    /// Whatever it is: the item follows another one of the transaction.
    Any,
}

impl From<Option<Tag>> for Before {
    fn from(tag: Option<Tag>) -> Self {
        tag.map_or(Self::Absent, Self::Tagged)
    }
}

#[derive(Debug, Clone)]
enum Action {
    Put(Item),
    Delete,
}

#[derive(Debug, Clone)]
struct Write {
    key: Key,
    before: Before,
    action: Action,
}

/// Changes that are made together.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    attempt: Tag,
    writes: Vec<Write>,
}

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It was made.
    Committed,
    /// Nothing has happened: these items, by the order in which they were added,
    /// are not as they should be.
    Stale(BTreeMap<usize, Option<Item>>),
}

impl Transaction {
    pub(super) fn new() -> Self {
        Self { attempt: Tag::new(), writes: Vec::new() }
    }

    /// Which tag its items get.
    pub(super) fn tag(&self) -> Tag {
        self.attempt
    }

    pub(super) fn len(&self) -> usize {
        self.writes.len()
    }

    pub(super) fn put(&mut self, key: Key, before: impl Into<Before>, item: Item) {
        self.add(key, before.into(), Action::Put(item));
    }

    pub(super) fn delete(&mut self, key: Key, before: impl Into<Before>) {
        self.add(key, before.into(), Action::Delete);
    }

    fn add(&mut self, key: Key, before: Before, action: Action) {
        debug_assert!(self.writes.iter().all(|write| write.key != key), "{key:?} twice");
        self.writes.push(Write { key, before, action });
    }

    fn items(&self, table: &str) -> Result<Vec<TransactWriteItem>> {
        self.writes.iter().map(|write| self.item(table, write)).collect()
    }

    fn item(&self, table: &str, write: &Write) -> Result<TransactWriteItem> {
        let invalid = |error| failed("TransactWriteItems", &error);
        let (condition, values) = match write.before {
            Before::Any => (None, None),
            Before::Absent => (Some(format!("attribute_not_exists({PARTITION})")), None),
            Before::Tagged(tag) => {
                let tag = tag.0.into_attribute().map(|tag| (":tag".to_owned(), tag));
                (Some("#tag = :tag".to_owned()), Some(tag.into_iter().collect()))
            }
        };
        let names = values.is_some().then(|| [("#tag".to_owned(), TAG.to_owned())].into());
        let old = ReturnValuesOnConditionCheckFailure::AllOld;
        let item = TransactWriteItem::builder();
        Ok(match &write.action {
            Action::Put(attributes) => {
                let attributes = match write.before {
                    Before::Any => attributes.clone(),
                    Before::Absent | Before::Tagged(_) => {
                        attributes.clone().with(TAG, self.attempt.0)
                    }
                };
                let put = Put::builder()
                    .table_name(table)
                    .set_item(Some(attributes.at(&write.key)))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(old);
                item.put(put.build().map_err(invalid)?).build()
            }
            Action::Delete => {
                let delete = Delete::builder()
                    .table_name(table)
                    .set_key(Some(write.key.attributes()))
                    .set_condition_expression(condition)
                    .set_expression_attribute_names(names)
                    .set_expression_attribute_values(values)
                    .return_values_on_condition_check_failure(old);
                item.delete(delete.build().map_err(invalid)?).build()
            }
        })
    }
}

/// What an error says about the transaction.
enum Verdict {
    /// It was not made: items have changed.
    Stale(BTreeMap<usize, Option<Item>>),
    /// It was not made, and may be at another time.
    Later,
    /// Nobody knows.
    Unknown,
    /// It cannot be made.
    Never,
}

impl Records {
    /// Makes all changes or none.
    ///
    /// An attempt whose answer was lost is repeated under the same token, so
    /// that it is made once and its outcome is known. DynamoDB remembers tokens
    /// for ten minutes, far longer than anybody waits here.
    pub(super) async fn commit(&self, transaction: &Transaction) -> Result<Outcome> {
        let items = transaction.items(&self.table)?;
        let mut pause = Pause::new();
        let mut token = Uuid::new_v4();
        loop {
            let call = self.client.transact_write_items();
            let call = call.set_transact_items(Some(items.clone()));
            let call = call.return_consumed_capacity(ReturnConsumedCapacity::Total);
            let began = Instant::now();
            let error = match call.client_request_token(token.to_string()).send().await {
                Ok(answer) => {
                    metrics::committed(items.len(), began.elapsed());
                    Consumed::count(&self.consumed.write, answer.consumed_capacity());
                    return Ok(Outcome::Committed);
                }
                Err(error) => error,
            };
            match verdict(&error) {
                Verdict::Stale(stale)
                    if stale
                        .values()
                        .flatten()
                        .any(|item| Tag::of(item) == Ok(transaction.attempt)) =>
                {
                    return Ok(Outcome::Committed);
                }
                Verdict::Stale(stale) => return Ok(Outcome::Stale(stale)),
                Verdict::Later => token = Uuid::new_v4(),
                Verdict::Unknown => {}
                Verdict::Never => return Err(failed("TransactWriteItems", &error)),
            }
            tracing::debug!(%error, "a transaction is tried again");
            pause.wait("transactions get in each other's way").await?;
        }
    }
}

fn verdict(error: &SdkError<TransactWriteItemsError>) -> Verdict {
    let Some(refusal) = error.as_service_error() else {
        return match error {
            SdkError::ConstructionFailure(_) => Verdict::Never,
            _ => Verdict::Unknown,
        };
    };
    match refusal {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            let reasons = cancelled.cancellation_reasons().iter().enumerate();
            let codes = || reasons.clone().map(|(_, reason)| reason.code().unwrap_or("None"));
            if codes().any(|code| code == "ConditionalCheckFailed") {
                let stale = reasons
                    .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
                    .map(|(index, reason)| (index, reason.item().cloned().map(Item::from_sdk)));
                return Verdict::Stale(stale.collect());
            }
            let passes = |code| {
                matches!(
                    code,
                    "None"
                        | "TransactionConflict"
                        | "ThrottlingError"
                        | "ProvisionedThroughputExceeded"
                )
            };
            if codes().all(passes) { Verdict::Later } else { Verdict::Never }
        }
        TransactWriteItemsError::TransactionInProgressException(_)
        | TransactWriteItemsError::InternalServerError(_) => Verdict::Unknown,
        TransactWriteItemsError::ProvisionedThroughputExceededException(_)
        | TransactWriteItemsError::RequestLimitExceeded(_)
        | TransactWriteItemsError::ThrottlingException(_) => Verdict::Later,
        other => match super::call::code(error) {
            Some("ThrottlingException" | "ServiceUnavailable" | "InternalFailure") => {
                tracing::debug!(error = %other, "DynamoDB is busy");
                Verdict::Unknown
            }
            _ => Verdict::Never,
        },
    }
}

/// What an item was when it was read: its tag, or that it was not there.
pub(super) fn tag_of(item: Option<&Item>) -> Result<Option<Tag>> {
    item.map(Tag::of).transpose()
}

/// The attribute of a tag, for conditions of single writes.
pub(super) fn tag_attribute(tag: Tag) -> AttributeValue {
    AttributeValue::B(aws_sdk_dynamodb::primitives::Blob::new(tag.0.to_vec()))
}
