//! What tests of this engine rest on.

use aws_sdk_s3::primitives::ByteStream;

use crate::account::Account;

/// An account has a bucket and tables of its own, and nobody else sees them.
#[tokio::test]
async fn accounts_are_apart() {
    let (one, other) = (Account::new().await, Account::new().await);
    for (account, text) in [(&one, "one"), (&other, "other")] {
        assert!(account.config.signs_payloads(), "it has no TLS");
        let put = account.clients.s3.put_object().bucket(&account.bucket).key("key");
        put.body(ByteStream::from_static(text.as_bytes())).send().await.expect("it is put");
    }
    for (account, text) in [(&one, "one"), (&other, "other")] {
        let found = account.clients.s3.get_object().bucket(&account.bucket).key("key").send().await;
        let bytes = found.expect("it is there").body.collect().await.expect("it is read");
        assert_eq!(bytes.into_bytes(), text);
        let tables = account.clients.dynamodb.list_tables().send().await;
        assert_eq!(tables.expect("they are listed").table_names(), [] as [String; 0]);
    }
    let foreign = other.clients.s3.get_object().bucket(&one.bucket).key("key").send().await;
    assert!(foreign.is_err(), "another account reads the bucket");
}
