//! When the bucket gives up multipart uploads that nobody will complete.

use aws_sdk_s3::types::{
    AbortIncompleteMultipartUpload, BucketLifecycleConfiguration, ExpirationStatus, LifecycleRule,
    LifecycleRuleFilter,
};

use super::{Problem, Setup, State, answers, bucket::unbuilt, is_unsupported, problem, unknown};

/// The rule that is ours among those of a bucket.
const RULE: &str = "sluice-stale-uploads";

/// No upload lives longer than 30 days, and none may be aborted before its end.
pub(super) const DAYS: i32 = 31;

impl Setup {
    pub(super) async fn look_at_lifecycle(&self) -> Result<State, Problem> {
        let Some(rules) = self.lifecycle_rules().await? else { return Ok(unknown()) };
        let aborts = |rule: &LifecycleRule| match rule.status {
            ExpirationStatus::Enabled if self.is_about_us(rule) => {
                rule.abort_incomplete_multipart_upload.as_ref()?.days_after_initiation
            }
            _ => None,
        };
        let early = rules.iter().find(|rule| aborts(rule).is_some_and(|days| days < DAYS));
        if let Some(rule) = early {
            return Err(Problem {
                story: format!(
                    "the rule {:?} aborts multipart uploads before they are {DAYS} days old",
                    rule.id().unwrap_or_default()
                ),
                hint: "remove it, or give it another prefix: uploads may take 30 days".to_owned(),
                passes: false,
            });
        }
        Ok(match rules.iter().find_map(aborts) {
            Some(days) => State::Met(format!("aborts incomplete uploads after {days} days")),
            None => State::Unmet,
        })
    }

    pub(super) async fn add_lifecycle(&self) -> Result<(), Problem> {
        let mut rules = self.lifecycle_rules().await?.unwrap_or_default();
        rules.retain(|rule| rule.id() != Some(RULE));
        let abort = AbortIncompleteMultipartUpload::builder().days_after_initiation(DAYS).build();
        let rule = LifecycleRule::builder()
            .id(RULE)
            .status(ExpirationStatus::Enabled)
            .filter(LifecycleRuleFilter::builder().prefix(&self.key_prefix).build())
            .abort_incomplete_multipart_upload(abort)
            .build();
        rules.push(rule.map_err(|error| unbuilt(&error))?);
        let configuration = BucketLifecycleConfiguration::builder().set_rules(Some(rules)).build();
        let configuration = configuration.map_err(|error| unbuilt(&error))?;
        let put = self.clients.s3.put_bucket_lifecycle_configuration().bucket(&self.bucket);
        let put = put.lifecycle_configuration(configuration).send().await;
        put.map(drop).map_err(|error| problem("s3:PutLifecycleConfiguration", &error))
    }

    /// The bucket's rules, if it can have any.
    async fn lifecycle_rules(&self) -> Result<Option<Vec<LifecycleRule>>, Problem> {
        let get = self.clients.s3.get_bucket_lifecycle_configuration().bucket(&self.bucket);
        match get.send().await {
            Ok(found) => Ok(Some(found.rules.unwrap_or_default())),
            Err(error) if answers(&error, "NoSuchLifecycleConfiguration") => Ok(Some(Vec::new())),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(problem("s3:GetLifecycleConfiguration", &error)),
        }
    }

    /// Whether a rule is about keys of ours.
    fn is_about_us(&self, rule: &LifecycleRule) -> bool {
        #[expect(deprecated, reason = "buckets may have rules of the older kind")]
        let older = rule.prefix();
        let filter = rule.filter.as_ref();
        let prefix = filter
            .and_then(|filter| filter.prefix().or_else(|| filter.and()?.prefix()))
            .or(older)
            .unwrap_or_default();
        prefix.starts_with(&self.key_prefix) || self.key_prefix.starts_with(prefix)
    }
}
