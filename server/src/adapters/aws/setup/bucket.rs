//! The bucket, who can see what is in it, and how it is encrypted.

use aws_sdk_s3::{
    error::BuildError,
    types::{
        BucketLocationConstraint, CreateBucketConfiguration, PublicAccessBlockConfiguration,
        ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration,
        ServerSideEncryptionRule,
    },
};

use super::{Problem, Setup, State, answers, is_unsupported, problem, unknown};

/// The region in which buckets are created that name none
/// (<https://docs.aws.amazon.com/AmazonS3/latest/API/API_CreateBucket.html>).
pub(super) const FIRST_REGION: &str = "us-east-1";

impl Setup {
    pub(super) async fn look_at_bucket(&self) -> Result<State, Problem> {
        let name = &self.bucket;
        match self.clients.s3.head_bucket().bucket(name).send().await {
            Ok(_) => Ok(State::Met(format!("{name} is there"))),
            Err(error) if answers(&error, "NotFound") || answers(&error, "NoSuchBucket") => {
                Ok(State::Unmet)
            }
            Err(error) => Err(problem("s3:HeadBucket", &error)),
        }
    }

    pub(super) async fn create_bucket(&self) -> Result<(), Problem> {
        let elsewhere = self.region.as_deref().filter(|region| *region != FIRST_REGION);
        let configuration = elsewhere.map(|region| {
            let constraint = BucketLocationConstraint::from(region);
            CreateBucketConfiguration::builder().location_constraint(constraint).build()
        });
        let create = self.clients.s3.create_bucket().bucket(&self.bucket);
        let created = create.set_create_bucket_configuration(configuration).send().await;
        match created {
            Err(error) if !answers(&error, "BucketAlreadyOwnedByYou") => {
                let taken = answers(&error, "BucketAlreadyExists");
                let problem = problem("s3:CreateBucket", &error);
                Err(match taken {
                    true => Problem {
                        hint: "somebody else's bucket has this name: choose another as aws.bucket"
                            .to_owned(),
                        ..problem
                    },
                    false => problem,
                })
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn look_at_public_access(&self) -> Result<State, Problem> {
        match self.clients.s3.get_public_access_block().bucket(&self.bucket).send().await {
            Ok(found) => match found.public_access_block_configuration {
                Some(block)
                    if block.block_public_acls == Some(true)
                        && block.ignore_public_acls == Some(true)
                        && block.block_public_policy == Some(true)
                        && block.restrict_public_buckets == Some(true) =>
                {
                    Ok(State::Met("all of it is blocked".to_owned()))
                }
                _ => Ok(State::Unmet),
            },
            Err(error) if answers(&error, "NoSuchPublicAccessBlockConfiguration") => {
                Ok(State::Unmet)
            }
            Err(error) if is_unsupported(&error) => Ok(unknown()),
            Err(error) => Err(problem("s3:GetBucketPublicAccessBlock", &error)),
        }
    }

    pub(super) async fn block_public_access(&self) -> Result<(), Problem> {
        let block = PublicAccessBlockConfiguration::builder()
            .block_public_acls(true)
            .ignore_public_acls(true)
            .block_public_policy(true)
            .restrict_public_buckets(true)
            .build();
        let put = self.clients.s3.put_public_access_block().bucket(&self.bucket);
        let put = put.public_access_block_configuration(block).send().await;
        put.map(drop).map_err(|error| problem("s3:PutBucketPublicAccessBlock", &error))
    }

    pub(super) async fn look_at_encryption(&self) -> Result<State, Problem> {
        match self.clients.s3.get_bucket_encryption().bucket(&self.bucket).send().await {
            Ok(found) => {
                let rules = found.server_side_encryption_configuration;
                let rules = rules.map(|configuration| configuration.rules).unwrap_or_default();
                let default = rules
                    .first()
                    .and_then(|rule| rule.apply_server_side_encryption_by_default.as_ref());
                match (default, &self.kms_key) {
                    (Some(default), Some(key)) if default.kms_master_key_id() != Some(key) => {
                        Ok(State::Unmet)
                    }
                    (Some(default), _) => {
                        Ok(State::Met(format!("with {}", default.sse_algorithm().as_str())))
                    }
                    (None, _) => Ok(State::Unmet),
                }
            }
            Err(error) if answers(&error, "ServerSideEncryptionConfigurationNotFoundError") => {
                Ok(State::Unmet)
            }
            Err(error) if is_unsupported(&error) => Ok(unknown()),
            Err(error) => Err(problem("s3:GetEncryptionConfiguration", &error)),
        }
    }

    pub(super) async fn encrypt(&self) -> Result<(), Problem> {
        let algorithm = match self.kms_key {
            Some(_) => ServerSideEncryption::AwsKms,
            None => ServerSideEncryption::Aes256,
        };
        let default = ServerSideEncryptionByDefault::builder()
            .sse_algorithm(algorithm)
            .set_kms_master_key_id(self.kms_key.clone())
            .build()
            .map_err(|error| unbuilt(&error))?;
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .bucket_key_enabled(self.kms_key.is_some())
            .build();
        let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build();
        let configuration = configuration.map_err(|error| unbuilt(&error))?;
        let put = self.clients.s3.put_bucket_encryption().bucket(&self.bucket);
        let put = put.server_side_encryption_configuration(configuration).send().await;
        put.map(drop).map_err(|error| problem("s3:PutEncryptionConfiguration", &error))
    }
}

/// A request that lacks something.
pub(super) fn unbuilt(error: &BuildError) -> Problem {
    Problem { story: error.to_string(), hint: "please report this".to_owned(), passes: false }
}
