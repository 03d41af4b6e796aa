//! What a server needs, made and looked at from the command line.

use serde_json::Value;
use sluice_tests::{AwsAccount, Ended, LocalAws, Server, Terminal, argument};

use crate::account::Account;

/// A machine that may use an account.
fn machine(account: &AwsAccount) -> Terminal {
    let settings = account.settings();
    settings.into_iter().fold(Terminal::without_server(), |terminal, (variable, value)| {
        terminal.set(variable, &value)
    })
}

fn steps(ended: &Ended) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let steps = ended.events().into_iter().filter(|event| event["event"] == "step");
    steps.map(|step| (text(&step["name"]), text(&step["status"]))).collect()
}

async fn bootstrap(terminal: &Terminal, more: &[&str]) -> Ended {
    let folder = argument(&terminal.path("data"));
    let mut arguments = vec!["admin", "bootstrap", "--json", "--data-dir", &folder];
    arguments.extend(more);
    terminal.run(&arguments).await
}

/// A dry run changes nothing, a run makes everything, and another one finds that all
/// is there.
#[tokio::test]
async fn bootstrap_makes_what_is_missing_and_nothing_else() {
    let aws = LocalAws::account().await;
    let terminal = machine(&aws);
    for _ in 0..2 {
        let dry = bootstrap(&terminal, &["--dry-run"]).await;
        dry.assert_code(0);
        assert!(steps(&dry).iter().all(|(_, status)| status == "to_do"), "{dry:?}");
        assert_eq!(dry.event("bootstrap")["to_do"], 8, "{dry:?}");
    }
    assert!(!terminal.path("data").exists(), "a dry run leaves a folder");

    let first = bootstrap(&terminal, &[]).await;
    first.assert_code(0);
    assert!(steps(&first).iter().all(|(_, status)| status == "done" || status == "ok"));
    assert_eq!(first.event("bootstrap")["failed"], 0);
    let key = std::fs::read_to_string(terminal.path("data").join("api-key")).expect("a key");
    let token = first.event("bootstrap")["setup_token"].clone();
    assert!(token.as_str().is_some_and(|token| token.starts_with("sluice_setup_")), "{token}");

    let second = bootstrap(&terminal, &[]).await;
    second.assert_code(0);
    assert!(steps(&second).iter().all(|(_, status)| status == "ok"), "{second:?}");
    assert_eq!(second.event("bootstrap")["setup_token"], token);
    let same = std::fs::read_to_string(terminal.path("data").join("api-key")).expect("a key");
    assert_eq!(key, same);

    // Storage itself says so, too.
    let account = Account::at(aws.clone(), &aws.endpoint, "").await;
    let (s3, bucket) = (&account.clients.s3, &account.bucket);
    let block = s3.get_public_access_block().bucket(bucket).send().await.expect("it is blocked");
    let block = block.public_access_block_configuration.expect("it is blocked");
    assert_eq!(block.restrict_public_buckets, Some(true));
    let lifecycle = s3.get_bucket_lifecycle_configuration().bucket(bucket).send().await;
    let rules = lifecycle.expect("there are rules").rules.unwrap_or_default();
    let abort = rules.iter().find_map(|rule| rule.abort_incomplete_multipart_upload.as_ref());
    assert_eq!(abort.and_then(|abort| abort.days_after_initiation), Some(31));
    assert!(s3.get_bucket_encryption().bucket(bucket).send().await.is_ok());
}

/// Pages of the configured origins may use the bucket, and those of others no more.
#[tokio::test]
async fn the_bucket_is_open_for_pages_of_configured_origins() {
    let aws = LocalAws::account().await;
    let origins = r#"["https://app.example.com"]"#;
    let terminal = machine(&aws)
        .set("SLUICE__SERVER__ALLOWED_ORIGINS", origins)
        .set("SLUICE__SERVER__PUBLIC_URL", "https://Files.example.com:443/sluice");
    bootstrap(&terminal, &[]).await.assert_code(0);
    let account = Account::at(aws.clone(), &aws.endpoint, "").await;
    let cors = account.clients.s3.get_bucket_cors().bucket(&account.bucket).send().await;
    let rules = cors.expect("there are rules").cors_rules.unwrap_or_default();
    let [rule] = &rules[..] else { panic!("{rules:?}") };
    assert_eq!(rule.allowed_origins(), ["https://app.example.com"], "nobody is sent to storage");

    let direct = terminal.set("SLUICE__AWS__DIRECT_TRANSFERS", "true");
    bootstrap(&direct, &[]).await.assert_code(0);
    let cors = account.clients.s3.get_bucket_cors().bucket(&account.bucket).send().await;
    let rules = cors.expect("there are rules").cors_rules.unwrap_or_default();
    let [rule] = &rules[..] else { panic!("{rules:?}") };
    let own = "https://files.example.com";
    assert_eq!(rule.allowed_origins(), ["https://app.example.com", own]);

    let closed = direct
        .set("SLUICE__AWS__DIRECT_TRANSFERS", "false")
        .set("SLUICE__SERVER__ALLOWED_ORIGINS", "[]");
    let ended = bootstrap(&closed, &[]).await;
    assert!(steps(&ended).contains(&("cors".to_owned(), "done".to_owned())), "{ended:?}");
    let cors = account.clients.s3.get_bucket_cors().bucket(&account.bucket).send().await;
    assert!(cors.map_or(true, |cors| cors.cors_rules().is_empty()));
}

/// The operator's key is on one machine. Another one gets it only if asked to, and
/// then it is the only one.
#[tokio::test]
async fn the_operators_key_is_on_one_machine() {
    let aws = LocalAws::account().await;
    let server = Server::with().account(aws.clone()).start().await;
    let (first, other) = (server.key(), machine(&aws));
    let ended = bootstrap(&other, &[]).await;
    ended.assert_code(0);
    assert!(steps(&ended).contains(&("operator".to_owned(), "skipped".to_owned())), "{ended:?}");
    assert!(!other.path("data").join("api-key").exists());
    server.client().capabilities().await.expect("the key works");
    server.client().list_files(Default::default()).await.expect("the key works");

    bootstrap(&other, &["--new-key"]).await.assert_code(0);
    let second = std::fs::read_to_string(other.path("data").join("api-key")).expect("a key");
    let with = async |key: &str| {
        let client = sluice_tests::Client::new(&server.url(), key);
        client.list_files(Default::default()).await.is_ok()
    };
    assert!(with(second.trim()).await);
    let ended = async || !with(&first).await;
    sluice_tests::eventually("the first key ends", std::time::Duration::from_secs(5), ended).await;
}

/// A server does not start without its bucket and its table, and says what to do.
/// Doctor says the same before, and that all is well after.
#[tokio::test]
async fn what_is_missing_is_said_with_what_to_do() {
    let aws = LocalAws::account().await;
    let terminal = machine(&aws);
    let refused = terminal.run(&["serve", "--listen", "127.0.0.1:0"]).await;
    refused.assert_code(1);
    assert!(refused.stderr.contains("sluice admin bootstrap"), "{refused:?}");

    let looked = terminal.run(&["doctor", "--serve", "--json"]).await;
    looked.assert_code(1);
    assert_eq!(looked.event("diagnosis")["failed"], 2, "{looked:?}");
    bootstrap(&terminal, &[]).await.assert_code(0);
    let looked = terminal.run(&["doctor", "--serve", "--json"]).await;
    looked.assert_code(0);
    assert_eq!(looked.event("diagnosis")["failed"], 0, "{looked:?}");

    // Somebody has set up the bucket so that it forgets uploads too early.
    let account = Account::at(aws.clone(), &aws.endpoint, "").await;
    let s3 = &account.clients.s3;
    let abort = aws_sdk_s3::types::AbortIncompleteMultipartUpload::builder();
    let rule = aws_sdk_s3::types::LifecycleRule::builder()
        .id("theirs")
        .status(aws_sdk_s3::types::ExpirationStatus::Enabled)
        .filter(aws_sdk_s3::types::LifecycleRuleFilter::builder().prefix("").build())
        .abort_incomplete_multipart_upload(abort.days_after_initiation(1).build())
        .build()
        .expect("a rule");
    let rules = aws_sdk_s3::types::BucketLifecycleConfiguration::builder().rules(rule).build();
    let put = s3.put_bucket_lifecycle_configuration().bucket(&account.bucket);
    put.lifecycle_configuration(rules.expect("rules")).send().await.expect("it is set");
    let looked = terminal.run(&["doctor", "--serve", "--json"]).await;
    assert!(looked.text().contains("theirs"), "{looked:?}");
    assert_eq!(looked.event("diagnosis")["failed"], 1, "{looked:?}");

    // Nobody answers where the configuration leads.
    let nowhere = terminal.set("SLUICE__AWS__DYNAMODB_ENDPOINT", "http://127.0.0.1:1");
    let looked = nowhere.run(&["doctor", "--serve", "--json"]).await;
    looked.assert_code(1);
    let table = looked.events().into_iter().find(|event| event["name"] == "table");
    let table = table.expect("the table was looked at");
    assert_eq!(table["status"], "failed", "{looked:?}");
    assert!(table["hint"].as_str().is_some_and(|hint| hint.contains("endpoints")), "{table}");
}
