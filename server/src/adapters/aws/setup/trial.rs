//! Whether the server may do what it has to: each kind of call, once.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_s3::{
    primitives::ByteStream,
    types::{ChecksumAlgorithm, ChecksumType},
};
use uuid::Uuid;

use super::{Problem, Setup, problem};
use crate::{adapters::aws::dynamodb::table, config::StorageChecksums};

/// What is stored for a moment.
const CONTENT: &[u8] = b"sluice doctor";

impl Setup {
    /// Stores an object, reads and removes it, and begins a multipart upload and
    /// aborts it. Answers what was found.
    pub async fn try_storage(&self) -> Result<String, Problem> {
        let (s3, bucket) = (&self.clients.s3, &self.bucket);
        let key = format!("{}doctor/{}", self.key_prefix, Uuid::new_v4().simple());
        let algorithm = match self.checksums {
            StorageChecksums::FullObject => Some(ChecksumAlgorithm::Crc32C),
            StorageChecksums::Off => None,
        };
        let put = s3.put_object().bucket(bucket).key(&key).if_none_match("*");
        let put = put.set_checksum_algorithm(algorithm.clone());
        let put = put.body(ByteStream::from_static(CONTENT)).send().await;
        put.map_err(|error| problem("s3:PutObject", &error))?;
        let got = s3.get_object().bucket(bucket).key(&key).send().await;
        let got = got.map_err(|error| problem("s3:GetObject", &error))?;
        let body = got.body.collect().await;
        let deleted = s3.delete_object().bucket(bucket).key(&key).send().await;
        deleted.map_err(|error| problem("s3:DeleteObject", &error))?;
        if body.is_ok_and(|body| body.into_bytes() != CONTENT) {
            return Err(Problem {
                story: "storage answers other bytes than were stored".to_owned(),
                hint: "do not trust it; ask its operator".to_owned(),
                passes: false,
            });
        }
        let begun = s3.create_multipart_upload().bucket(bucket).key(&key);
        let begun = begun.set_checksum_type(algorithm.as_ref().map(|_| ChecksumType::FullObject));
        let begun = begun.set_checksum_algorithm(algorithm).send().await;
        let begun = begun.map_err(|error| problem("s3:PutObject", &error))?;
        let abort = s3.abort_multipart_upload().bucket(bucket).key(&key);
        let aborted = abort.set_upload_id(begun.upload_id).send().await;
        aborted.map_err(|error| problem("s3:AbortMultipartUpload", &error))?;
        let listed = s3.list_multipart_uploads().bucket(bucket).prefix(&key).send().await;
        listed.map_err(|error| problem("s3:ListBucketMultipartUploads", &error))?;
        let listed = s3.list_objects_v2().bucket(bucket).prefix(&key).send().await;
        listed.map_err(|error| problem("s3:ListBucket", &error))?;
        Ok("stored, read, listed and removed an object".to_owned())
    }

    /// Stores an item, reads and removes it. Answers what was found.
    pub async fn try_database(&self) -> Result<String, Problem> {
        let (database, name) = (&self.clients.dynamodb, &self.table);
        let key = AttributeValue::S(format!("doctor/{}", Uuid::new_v4().simple()));
        let [partition, sort] = table::KEYS;
        let put = database.put_item().table_name(name).item(partition, key.clone());
        let put = put.item(sort, key.clone()).send().await;
        put.map_err(|error| problem("dynamodb:PutItem", &error))?;
        let get = database.get_item().table_name(name).consistent_read(true);
        let got = get.key(partition, key.clone()).key(sort, key.clone()).send().await;
        let got = got.map_err(|error| problem("dynamodb:GetItem", &error))?;
        let delete = database.delete_item().table_name(name);
        let deleted = delete.key(partition, key.clone()).key(sort, key.clone()).send().await;
        deleted.map_err(|error| problem("dynamodb:DeleteItem", &error))?;
        let query = database.query().table_name(name).key_condition_expression("#pk = :pk");
        let query = query.expression_attribute_names("#pk", partition);
        let left = query.expression_attribute_values(":pk", key).send().await;
        let left = left.map_err(|error| problem("dynamodb:Query", &error))?;
        if got.item.is_none() || left.count > 0 {
            return Err(Problem {
                story: "the database forgets items, or keeps them".to_owned(),
                hint: "it must answer consistent reads: is this DynamoDB?".to_owned(),
                passes: false,
            });
        }
        Ok("stored, read, listed and removed an item".to_owned())
    }
}
