//! What whoever watches the server gets to see.

use std::{collections::BTreeMap, time::Duration};

use futures::{StreamExt, stream};
use sluice_domain::Reason;
use sluice_proto::v1::{ReadFileRequest, UploadPart};
use sluice_tests::{
    Body, Client, Content, Frames, MIB, Metrics, Server, Wire, assert_reason, eventually,
    grpc_frame, in_small_parts,
};

const LIMIT: Duration = Duration::from_secs(20);

fn calls(method: &str, status: &str) -> String {
    format!(
        "rpc_server_call_duration_seconds_count{{rpc_system_name=\"grpc\",\
         rpc_method=\"sluice.v1.{method}\",rpc_response_status_code=\"{status}\"}}"
    )
}

/// Waits until the server has counted what a client has seen.
async fn counted(server: &Server, series: &str, expect: f64) {
    eventually(&format!("{series} is {expect}"), LIMIT, async || {
        Metrics::of(server).await.value(series) == expect
    })
    .await;
}

async fn read_all(client: &Client, id: &str) {
    let request = ReadFileRequest { file_id: id.to_owned(), ..Default::default() };
    let mut stream = client.files.clone().read_file(request).await.unwrap().into_inner();
    while stream.next().await.transpose().unwrap().is_some() {}
}

#[tokio::test]
async fn counts_are_exact() {
    let server = Server::start().await;
    let client = server.client();
    let size = 2 * MIB + 5;
    for number in 0..3 {
        let content = Content::new(number, size);
        let upload = client.create(in_small_parts(&format!("file/{number}"), size)).await.unwrap();
        client.write(Frames::to(&upload).all(&content)).await.unwrap();
        let parts: Vec<UploadPart> = client.parts(&upload.id, 10).await.unwrap();
        assert_eq!(parts.len(), 3);
        let file = client.complete(&upload.id).await.unwrap();
        read_all(&client, &file.id).await;
    }
    let upload = client.create(in_small_parts("damaged", size)).await.unwrap();
    let damaged = Frames::to(&upload).damaged_frame(0, vec![1; 100]);
    assert_reason(client.write(damaged).await, Reason::ChecksumMismatch);
    for _ in 0..2 {
        let missing = client.upload("upl_01890a5d-ac96-774b-bcce-b302099a8057").await;
        assert_reason(missing, Reason::UploadNotFound);
    }

    counted(&server, &calls("UploadService/GetUpload", "NOT_FOUND"), 2.0).await;
    counted(&server, &calls("FileService/ReadFile", "OK"), 3.0).await;
    counted(&server, &calls("UploadService/WriteUpload", "OK"), 3.0).await;
    counted(&server, &calls("UploadService/WriteUpload", "ABORTED"), 1.0).await;
    counted(&server, &calls("UploadService/CreateUpload", "OK"), 4.0).await;
    counted(&server, &calls("UploadService/CompleteUpload", "OK"), 3.0).await;
    counted(&server, &calls("UploadService/ListUploadParts", "OK"), 3.0).await;
    let metrics = Metrics::of(&server).await;
    assert_eq!(metrics.sum("rpc_server_call_duration_seconds_count"), 19.0);
    assert_eq!(metrics.value("sluice_refusals_total{reason=\"UPLOAD_NOT_FOUND\"}"), 2.0);
    assert_eq!(metrics.value("sluice_refusals_total{reason=\"CHECKSUM_MISMATCH\"}"), 1.0);
    assert_eq!(metrics.sum("sluice_refusals_total"), 3.0);
    let bytes = 3.0 * size as f64;
    assert_eq!(metrics.value("sluice_content_received_bytes_total"), bytes);
    assert_eq!(metrics.value("sluice_content_sent_bytes_total"), bytes);
    assert_eq!(metrics.value("sluice_persisted_bytes_total"), bytes);
    assert_eq!(metrics.value("sluice_parts_persisted_total"), 9.0);
    assert_eq!(metrics.value("sluice_part_sync_duration_seconds_count"), 9.0);
    assert!(metrics.value("sluice_commit_duration_seconds_count") > 9.0);
    assert!(
        metrics.value("sluice_commit_changes_sum") >= metrics.value("sluice_commit_changes_count")
    );
    assert_eq!(metrics.sum("sluice_calls_active"), 0.0);

    for secret in ["file/", "damaged", "upl_", "file_0", "usr_", &server.key()] {
        assert!(!metrics.text().contains(secret), "{secret} in {}", metrics.text());
    }
}

#[tokio::test]
async fn streams_and_connections_go_up_and_down() {
    let server = Server::start().await;
    let active = "sluice_calls_active{rpc_method=\"sluice.v1.UploadService/WriteUpload\"}";
    let mut open = Vec::new();
    for number in 0..5 {
        // A connection each.
        let client = server.client();
        let size = MIB;
        let upload = client.create(in_small_parts(&number.to_string(), size)).await.unwrap();
        let frames: Vec<_> = Frames::to(&upload).frame(0, vec![1; 1000]).messages().collect();
        let messages = stream::iter(frames).chain(stream::pending());
        open.push(tokio::spawn(async move { client.write_stream(messages).await }));
    }
    counted(&server, active, 5.0).await;
    counted(&server, "sluice_content_received_bytes_total", 5000.0).await;
    // The connection that asks is one of them.
    counted(&server, "sluice_connections_active", 6.0).await;
    // They vanish without a word.
    for stream in open {
        stream.abort();
    }
    counted(&server, active, 0.0).await;
    counted(&server, "sluice_connections_active", 1.0).await;
    counted(&server, &calls("UploadService/WriteUpload", "CANCELLED"), 5.0).await;
}

#[tokio::test]
async fn what_callers_make_up_is_no_label() {
    let server = Server::start().await;
    let wire = Wire::connect(server.address(), &server.key()).await;
    for number in 0..50 {
        for path in [
            format!("/sluice.v1.UploadService/Made{number}Up"),
            format!("/made.up.Service{number}/Method"),
        ] {
            let body = Body::Whole(vec![grpc_frame(0, 0, b"")]);
            let _ = wire.call(&path, &[], body).await;
        }
    }
    let other = "rpc_server_call_duration_seconds_count{rpc_system_name=\"grpc\",\
                 rpc_method=\"_OTHER\",rpc_response_status_code=\"UNIMPLEMENTED\"}";
    counted(&server, other, 100.0).await;
    let metrics = Metrics::of(&server).await;
    assert!(!metrics.text().contains("ade"), "a made-up name in {}", metrics.text());
}

#[tokio::test]
async fn the_documented_metrics_are_those_that_are_shown() {
    let server = Server::start().await;
    let client = server.client();
    client.put("a", &Content::new(1, 100_000)).await.unwrap();
    assert_reason(client.upload("").await, Reason::InvalidField);
    let page = include_str!("../../../docs/metrics.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let cell = |text: &str| text.replace(['`', ' '], "");
    let documented: BTreeMap<_, _> = rows
        .map(|row| {
            let cells: Vec<_> = row.split('|').map(cell).collect();
            let mut labels: Vec<_> = cells[2].split(',').map(str::to_owned).collect();
            labels.retain(|label| !label.is_empty());
            labels.sort();
            (cells[0].clone(), (cells[1].clone(), labels))
        })
        .collect();
    counted(&server, &calls("UploadService/GetUpload", "INVALID_ARGUMENT"), 1.0).await;
    assert_eq!(Metrics::of(&server).await.families(), documented);
}
