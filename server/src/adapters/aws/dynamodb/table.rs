//! The table.

use aws_sdk_dynamodb::{
    Client,
    config::http::HttpResponse,
    error::{DisplayErrorContext, ProvideErrorMetadata, SdkError},
    operation::update_time_to_live::UpdateTimeToLiveError,
    types::{
        AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
        TableStatus, TimeToLiveSpecification,
    },
};
use std::time::Duration;

use super::key::{PARTITION, SORT};

/// The attribute with the time, in seconds since 1970, after which DynamoDB may
/// remove an item. Nothing depends on when it does.
const TIME_TO_LIVE: &str = "ttl";

/// The names of its partition key and its sort key.
pub const KEYS: [&str; 2] = [PARTITION, SORT];

/// How long a new table may take until it can be used.
const LOOKS: u32 = 120;
const PAUSE: Duration = Duration::from_millis(500);

/// The table's name where tables begin with this prefix.
pub fn name(prefix: &str) -> String {
    format!("{prefix}records")
}

/// Makes the table unless it is there; answers whether it was made. Idempotent.
/// An error is what to tell the operator.
pub async fn create(client: &Client, name: &str) -> Result<bool, String> {
    let told =
        |error: &dyn std::error::Error| format!("table {name}: {}", DisplayErrorContext(error));
    let key = |name: &str, kind: KeyType| {
        KeySchemaElement::builder().attribute_name(name).key_type(kind).build()
    };
    let text = |name: &str| {
        let text = ScalarAttributeType::S;
        AttributeDefinition::builder().attribute_name(name).attribute_type(text).build()
    };
    let call = client
        .create_table()
        .table_name(name)
        .billing_mode(BillingMode::PayPerRequest)
        .key_schema(key(PARTITION, KeyType::Hash).map_err(|error| told(&error))?)
        .key_schema(key(SORT, KeyType::Range).map_err(|error| told(&error))?)
        .attribute_definitions(text(PARTITION).map_err(|error| told(&error))?)
        .attribute_definitions(text(SORT).map_err(|error| told(&error))?);
    let is_new = match call.send().await {
        Ok(_) => true,
        Err(error) if error.code() == Some("ResourceInUseException") => false,
        Err(error) => return Err(told(&error)),
    };
    wait_until_active(client, name).await?;
    Ok(is_new)
}

/// Lets DynamoDB remove what has expired.
pub async fn expire(
    client: &Client,
    name: &str,
) -> Result<(), SdkError<UpdateTimeToLiveError, HttpResponse>> {
    let spec = TimeToLiveSpecification::builder().enabled(true).attribute_name(TIME_TO_LIVE);
    let call = client.update_time_to_live().table_name(name);
    call.time_to_live_specification(spec.build()?).send().await.map(drop)
}

async fn wait_until_active(client: &Client, name: &str) -> Result<(), String> {
    for _ in 0..LOOKS {
        let described = client.describe_table().table_name(name).send().await;
        let described =
            described.map_err(|error| format!("table {name}: {}", DisplayErrorContext(&error)))?;
        let status = described.table.and_then(|table| table.table_status);
        if status == Some(TableStatus::Active) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("table {name} does not become active"))
}
