//! Input that nobody should send: none of it may be answered with INTERNAL or
//! UNKNOWN, and none of it may hurt the server.

mod framing;
mod generator;

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use prost_reflect::{DescriptorPool, MethodDescriptor};
use rand::RngExt;
use sluice_proto::FILE_DESCRIPTOR_SET;
use sluice_tests::{
    Client, Content, Frames, MIB, Seed, Server, assert_refusal, in_small_parts, is_on_aws, scale,
};
use tokio::time::timeout;
use tonic::Status;

use self::generator::{Generator, KNOWN_SIZE, Known};

/// Calls under way at once.
const CONCURRENCY: usize = 64;

/// Most memory that the server may hold after it all.
const MEMORY_LIMIT: u64 = 400 * MIB;

/// What is only answered to those who know a secret or an id that cannot be
/// guessed.
const NEED_A_SECRET: [&str; 9] = [
    "Register",
    "Login",
    "RefreshSession",
    "Logout",
    "ChangePassword",
    "SetQuota",
    "RevokeApiKey",
    "SuspendAccount",
    "ReinstateAccount",
];

/// Every RPC of the contract.
fn methods() -> Vec<MethodDescriptor> {
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap();
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>()).collect()
}

fn path(method: &MethodDescriptor) -> String {
    format!("/{}/{}", method.parent_service().full_name(), method.name())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_messages_to_every_rpc_get_a_reason_or_an_answer() {
    let seed = Seed::of("ten_thousand_messages_to_every_rpc_get_a_reason_or_an_answer");
    let mut server = Server::start().await;
    let clients: Vec<_> = (0..4).map(|_| server.client()).collect();
    // A local AWS takes some hundred calls in a second.
    let (messages, concurrency) = match is_on_aws() {
        true => (scale(300, 10_000) as u64, CONCURRENCY / 4),
        false => (scale(10_000, 200_000) as u64, CONCURRENCY),
    };
    for (number, method) in methods().into_iter().enumerate() {
        let start = std::time::Instant::now();
        let known = some_records(&clients[0], &format!("known/{number}")).await;
        let calls = (0..messages).map(|call| {
            let client = clients[call as usize % clients.len()].clone();
            let rng = seed.rng((number as u64) << 32 | call);
            let (method, known) = (&method, &known);
            async move {
                let outcome = hostile_call(&client, method, Generator::new(rng, known)).await;
                outcome.map_or_else(|status| assert_refusal(&status).as_str(), |()| "OK")
            }
        });
        let answers = stream::iter(calls).buffer_unordered(concurrency);
        let tally = answers.fold(BTreeMap::<_, u32>::new(), async |mut tally, answer| {
            *tally.entry(answer).or_default() += 1;
            tally
        });
        let tally = tally.await;
        println!("{} in {:?}: {tally:?}", path(&method), start.elapsed());
        assert!(
            tally.contains_key("OK")
                || tally.contains_key("NOT_SUPPORTED")
                || NEED_A_SECRET.contains(&method.name()),
            "no message was good enough to get past the first checks"
        );
        assert!(server.is_alive(), "{} ended the server, {seed}", path(&method));
    }
    let resident = server.resident_bytes();
    assert!(resident < MEMORY_LIMIT, "{resident} bytes resident, {seed}");
    let content = Content::new(1, MIB);
    let file = clients[0].put("after it all", &content).await.unwrap();
    clients[0].assert_content(&file.id, &content).await;
}

/// One call with messages from the generator: one, or several where the
/// client streams.
async fn hostile_call(
    client: &Client,
    method: &MethodDescriptor,
    mut generator: Generator<'_>,
) -> Result<(), Status> {
    let count = if method.is_client_streaming() { generator.rng.random_range(0..5) } else { 1 };
    let messages = (0..count).map(|_| generator.message(&method.input())).collect();
    let path = path(method);
    // A stream of events never ends by itself, and says something at once.
    let most = if method.name() == "WatchEvents" { 1 } else { 20 };
    let call = client.call_raw(&path, messages, most);
    match timeout(Duration::from_secs(30), call).await {
        Ok(outcome) => outcome.map(drop),
        Err(_) => panic!("{path} hangs"),
    }
}

/// A few uploads and files for messages to name.
async fn some_records(client: &Client, prefix: &str) -> Known {
    const SIZE: u64 = KNOWN_SIZE as u64;
    let mut known = Known::default();
    for number in 0..10 {
        let name = format!("{prefix}/upload/{number}");
        let upload = client.create(in_small_parts(&name, SIZE)).await.unwrap();
        if number % 2 == 0 {
            let frames = Frames::to(&upload).all(&Content::new(number, SIZE));
            client.write(frames).await.unwrap();
        }
        known.uploads.push(upload.id);
        let name = format!("{prefix}/file/{number}");
        known.files.push(client.put(&name, &Content::new(number, SIZE)).await.unwrap().id);
    }
    known
}
