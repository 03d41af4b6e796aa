//! Parts that somebody without a key sends to an open upload, by requests that
//! the command line prints.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde_json::Value;
use sluice_tests::{
    Answer, Content, Ended, MIB, Protocol, Server, Terminal, http, http_body, in_small_parts,
};

const SIZE: u64 = 3 * MIB + 5;

/// Somebody with a file and an open upload for it, in parts of 1 MiB.
struct Person {
    server: Server,
    terminal: Terminal,
    content: Content,
    upload_id: String,
}

impl Person {
    async fn new() -> Self {
        let server = Server::start().await;
        let terminal = Terminal::of(&server, &server.url());
        let content = Content::new(7, SIZE);
        content.write_to(&terminal.path("big"));
        let upload = server.client().create(in_small_parts("big", SIZE)).await.unwrap();
        Self { server, terminal, content, upload_id: upload.id }
    }

    async fn run(&self, command: &str, more: &[&str]) -> Ended {
        let arguments = ["uploads", command, &self.upload_id, "--from", "big"];
        self.terminal.run(&[&arguments[..], more].concat()).await
    }

    async fn sign(&self, more: &[&str]) -> Vec<Value> {
        self.run("sign", &[more, &["--json"]].concat()).await.assert_code(0).events()
    }

    /// Sends what an event of `signed_part` says, with these bytes.
    async fn send(&self, request: &Value, body: Bytes) -> Answer {
        let headers = request["headers"].as_object().unwrap();
        let headers: Vec<_> =
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str().unwrap())).collect();
        let method = Method::from_bytes(request["method"].as_str().unwrap().as_bytes()).unwrap();
        let url = request["url"].as_str().unwrap();
        http(Protocol::Http1, method, url, &headers, http_body(body)).await.unwrap()
    }

    /// The bytes that a request is for.
    fn body(&self, request: &Value) -> Bytes {
        let start = request["offset"].as_u64().unwrap();
        self.content.bytes(start..start + request["size"].as_u64().unwrap())
    }
}

fn numbers(requests: &[Value]) -> Vec<u64> {
    requests.iter().map(|it| it["part_number"].as_u64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_are_sent_by_printed_requests_and_become_a_file() {
    let person = Person::new().await;
    let all = person.sign(&[]).await;
    assert_eq!(numbers(&all), [1, 2, 3, 4]);
    assert_eq!(all[3]["size"], 5);
    let third = person.sign(&["--part", "3"]).await;
    assert_eq!(numbers(&third), [3]);
    for request in [&all[0], &third[0], &all[3]] {
        let answer = person.send(request, person.body(request)).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    }
    // Other bytes than those that were signed for are not taken.
    let other = Content::new(8, MIB).all();
    assert_eq!(person.send(&all[1], other).await.reason(), "CHECKSUM_MISMATCH");

    let early = person.run("complete", &[]).await;
    assert!(early.assert_code(6).stderr.contains("lacks part 2\n"), "{}", early.stderr);
    let missing = person.sign(&[]).await;
    assert_eq!(numbers(&missing), [2]);

    // For people: the request as it is sent.
    let shown = person.run("sign", &["--part", "2"]).await;
    let shown = shown.assert_code(0);
    let lines = shown.lines();
    assert!(lines[0].starts_with("# part 2: 1048576 bytes from 1048576 on, until 20"), "{shown:?}");
    assert!(lines[1].starts_with("PUT http://"), "{shown:?}");
    let headers = missing[0]["headers"].as_object().unwrap();
    let expect = headers.iter().map(|(name, value)| format!("{name}: {}", value.as_str().unwrap()));
    assert_eq!(lines[2..lines.len() - 1], expect.collect::<Vec<_>>());

    let answer = person.send(&missing[0], person.body(&missing[0])).await;
    assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
    let file = person.run("complete", &["--json"]).await.assert_code(0).event("file");
    let id = file["file_id"].as_str().unwrap();
    person.server.client().assert_content(id, &person.content).await;
    // Nothing changes by saying it again.
    let again = person.run("complete", &["--json"]).await.assert_code(0).event("file");
    assert_eq!(again["file_id"], file["file_id"]);
    person.run("sign", &["--part", "1"]).await.assert_code(6);
}

#[tokio::test]
async fn a_file_of_other_bytes_signs_and_completes_nothing() {
    let person = Person::new().await;
    for wrong in ["0", "5"] {
        person.run("sign", &["--part", wrong]).await.assert_code(2);
    }
    let request = person.sign(&["--part", "1"]).await.remove(0);
    person.send(&request, person.body(&request)).await;

    Content::new(9, SIZE).write_to(&person.terminal.path("big"));
    person.run("sign", &["--part", "1"]).await.assert_code(12);
    person.run("complete", &[]).await.assert_code(12);
    Content::new(7, SIZE + 1).write_to(&person.terminal.path("big"));
    let longer = person.run("sign", &[]).await;
    assert!(longer.assert_code(12).stderr.contains("3145733"), "{}", longer.stderr);
    let unknown = ["uploads", "sign", "upl_01900000-0000-7000-8000-000000000000", "--from", "big"];
    person.terminal.run(&unknown).await.assert_code(4);
    let nothing = ["uploads", "complete", &person.upload_id, "--from", "nothing"];
    person.terminal.run(&nothing).await.assert_code(4);
}
