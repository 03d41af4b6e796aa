//! Deleted accounts leave nothing.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use rusqlite::Connection;
use sluice_domain::Reason;
use sluice_proto::v1::{DeleteAccountRequest, Scope};
use sluice_tests::{
    Client, Content, Frames, MIB, PASSWORD, Person, Server, assert_reason, bytes_on_disk,
    eventually, in_small_parts, login_request,
};

const LIMIT: Duration = Duration::from_secs(120);

async fn delete(person: &Person, password: &str) -> Result<(), tonic::Status> {
    let request = DeleteAccountRequest { password: password.into() };
    person.client.accounts.clone().delete_account(request).await.map(drop)
}

/// How many rows name an account in each table that has owners; none are left
/// out.
fn rows_of(server: &Server, account_id: &str) -> BTreeMap<&'static str, u64> {
    const OWNED: [(&str, &str); 8] = [
        ("uploads", "owner"),
        ("files", "owner"),
        ("names", "owner"),
        ("gone_files", "owner"),
        ("usage", "owner"),
        ("accounts", "id"),
        ("sessions", "account_id"),
        ("api_keys", "account_id"),
    ];
    let database = Connection::open(server.data_dir().join("sluice.db")).unwrap();
    let id = uuid::Uuid::parse_str(account_id.strip_prefix("usr_").unwrap()).unwrap();
    let count = |(table, column): (&'static str, &str)| {
        let sql = format!("SELECT count(*) FROM {table} WHERE {column} = ?");
        let count = database.query_row(&sql, [id.as_bytes()], |row| row.get(0)).unwrap();
        (table, count)
    };
    OWNED.into_iter().map(count).collect()
}

fn count(server: &Server, sql: &str) -> u64 {
    let database = Connection::open(server.data_dir().join("sluice.db")).unwrap();
    database.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_kills_do_not_keep_a_deletion_from_its_end() {
    let mut server = Server::with().embedded().open_to_all().start().await;
    let (ada, bob) = (server.person("ada").await, server.person("bob").await);
    let (key, _) = ada.key(&[Scope::FilesRead]).await;
    let kept = bob.client.put("of bob", &Content::new(7, 3 * MIB)).await.unwrap();
    let before = bytes_on_disk(&server.data_dir().join("blobs"));
    let files = (0..1000).map(|n| {
        // A few that are files of their own, most of them rows.
        let size = if n % 100 == 0 { 300_000 } else { 1000 };
        let client = ada.client.clone();
        async move { client.put(&format!("file {n}"), &Content::new(n, size)).await.unwrap() }
    });
    stream::iter(files).buffer_unordered(16).for_each(async |_| {}).await;
    for n in 0..20 {
        let upload =
            ada.client.create(in_small_parts(&format!("open {n}"), 2 * MIB)).await.unwrap();
        let frames = Frames::to(&upload).range(&Content::new(n, 2 * MIB), 0..MIB);
        ada.client.write(frames).await.unwrap();
    }
    assert_reason(delete(&ada, "wrong password").await, Reason::CredentialsInvalid);
    delete(&ada, PASSWORD).await.unwrap();
    let mut left = Vec::new();
    for _ in 0..3 {
        server.kill().await;
        left.push(rows_of(&server, &ada.id).values().sum::<u64>());
        server.restart().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("rows left at the kills: {left:?}");

    let by_key = Client::new(&server.url(), &key);
    assert_reason(by_key.list_files(Default::default()).await, Reason::CredentialsInvalid);
    assert_reason(ada.client.list_files(Default::default()).await, Reason::TokenRevoked);
    let mut auth = Client::anonymous(&server.url()).auth;
    let login = auth.login(login_request(&ada.email, PASSWORD)).await;
    assert_reason(login, Reason::CredentialsInvalid);
    eventually("no row is left", LIMIT, async || {
        rows_of(&server, &ada.id).values().all(|count| *count == 0)
    })
    .await;
    eventually("no byte is left", LIMIT, async || {
        count(&server, "SELECT count(*) FROM events") == 0
            && bytes_on_disk(&server.data_dir().join("blobs")) <= before
    })
    .await;
    let orphans = "SELECT count(*) FROM parts WHERE upload_id NOT IN \
                   (SELECT upload_id FROM files UNION SELECT id FROM uploads)";
    assert_eq!(count(&server, orphans), 0);
    let small = "SELECT count(*) FROM small_contents WHERE upload_id NOT IN \
                 (SELECT upload_id FROM files)";
    assert_eq!(count(&server, small), 0);

    // Others keep what they have, and the address is free.
    bob.client.assert_content(&kept.id, &Content::new(7, 3 * MIB)).await;
    let again = server.person("ada").await;
    assert_ne!(again.id, ada.id);
    assert_eq!(again.client.list_files(Default::default()).await.unwrap().files, []);
}

#[tokio::test]
async fn the_operators_account_stays() {
    let server = Server::start().await;
    let request = DeleteAccountRequest { password: PASSWORD.into() };
    let refused = server.client().accounts.delete_account(request).await;
    assert_reason(refused, Reason::NotSupported);
}
