//! Which web pages may send parts to the bucket.

use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use super::{Problem, Setup, State, answers, bucket::unbuilt, is_unsupported, problem, unknown};

/// The rule that is ours among those of a bucket.
const RULE: &str = "sluice";

/// How long browsers remember the answer, in seconds.
const MAX_AGE: i32 = 3600;

impl Setup {
    pub(super) async fn look_at_cors(&self) -> Result<State, Problem> {
        let (rules, wanted) = match self.cors_rules().await? {
            Some(rules) => (rules, self.wanted_rule()?),
            None => return Ok(unknown()),
        };
        let ours = rules.into_iter().find(|rule| rule.id() == Some(RULE));
        Ok(match (ours, wanted) {
            (None, None) => State::Met("closed: there are no pages that need it".to_owned()),
            (Some(_), None) => State::Unmet,
            (Some(found), Some(wanted)) if found == wanted => {
                State::Met(format!("open for {}", self.origins.join(", ")))
            }
            (_, Some(_)) => State::Unmet,
        })
    }

    pub(super) async fn allow_origins(&self) -> Result<(), Problem> {
        let mut rules = self.cors_rules().await?.unwrap_or_default();
        rules.retain(|rule| rule.id() != Some(RULE));
        rules.extend(self.wanted_rule()?);
        if rules.is_empty() {
            let delete = self.clients.s3.delete_bucket_cors().bucket(&self.bucket).send().await;
            return delete.map(drop).map_err(|error| problem("s3:PutBucketCORS", &error));
        }
        let configuration = CorsConfiguration::builder().set_cors_rules(Some(rules)).build();
        let configuration = configuration.map_err(|error| unbuilt(&error))?;
        let put = self.clients.s3.put_bucket_cors().bucket(&self.bucket);
        let put = put.cors_configuration(configuration).send().await;
        put.map(drop).map_err(|error| problem("s3:PutBucketCORS", &error))
    }

    /// The bucket's rules, if it can have any.
    async fn cors_rules(&self) -> Result<Option<Vec<CorsRule>>, Problem> {
        match self.clients.s3.get_bucket_cors().bucket(&self.bucket).send().await {
            Ok(found) => Ok(Some(found.cors_rules.unwrap_or_default())),
            Err(error) if answers(&error, "NoSuchCORSConfiguration") => Ok(Some(Vec::new())),
            Err(error) if is_unsupported(&error) => Ok(None),
            Err(error) => Err(problem("s3:GetBucketCORS", &error)),
        }
    }

    /// What pages of the configured origins may do, if there are any.
    fn wanted_rule(&self) -> Result<Option<CorsRule>, Problem> {
        if self.origins.is_empty() {
            return Ok(None);
        }
        let rule = CorsRule::builder()
            .id(RULE)
            .set_allowed_origins(Some(self.origins.clone()))
            .set_allowed_methods(Some(["GET", "HEAD", "PUT"].map(str::to_owned).into()))
            .allowed_headers("*")
            .set_expose_headers(Some(["ETag", "x-amz-checksum-crc32c"].map(str::to_owned).into()))
            .max_age_seconds(MAX_AGE)
            .build();
        rule.map(Some).map_err(|error| unbuilt(&error))
    }
}
