//! A client in another language, made from the contract alone.

use std::{path::Path, process::Stdio, time::Duration};

use serde_json::Value;
use sluice_domain::Crc32c;
use sluice_tests::{Seed, Server};
use tokio::{process::Command, time::timeout};

/// Includes the installation of what the client needs, at its first run.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs a program of `tests/foreign`; answers the lines that it prints.
async fn python(program: &str, arguments: &[&str]) -> Vec<Value> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let child = Command::new(project.join("tools/python/run"))
        .arg(project.join("tests/foreign").join(program))
        .args(arguments)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(LIMIT, child).await.expect("it ends").expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_foreign_client_loses_a_part_and_not_its_stream() {
    let seed = Seed::of("a_foreign_client_loses_a_part_and_not_its_stream");
    let server = Server::start().await;
    let (url, key, seed) = (server.url(), server.key(), seed.value().to_string());
    let said = python("bidi.py", &[&url, &key, "foreign", &seed]).await;
    let of_kind = |kind: &str| -> Vec<&Value> {
        said.iter().filter(|answer| answer["said"] == kind).collect()
    };

    assert_eq!(said[0]["said"], "upload", "the first answer is the upload: {said:?}");
    let [error] = of_kind("frame_error")[..] else { panic!("not one frame_error: {said:?}") };
    let (part, frame) = (1024 * 1024, 256 * 1024);
    assert_eq!(
        (&error["part_offset"], &error["offset"]),
        (&(2 * part).into(), &(2 * part + frame).into())
    );
    let mut persisted: Vec<_> =
        of_kind("persisted").iter().map(|answer| answer["start"].as_i64().unwrap()).collect();
    persisted.sort_unstable();
    assert_eq!(persisted, [0, part, 2 * part, 3 * part], "each part once: {said:?}");

    let [completed] = of_kind("completed")[..] else { panic!("not completed: {said:?}") };
    assert_eq!(completed["size"], 4 * part);
    assert_eq!(completed["crc32c"], of_kind("end")[0]["crc32c"]);
    let streams = server.log().lines().filter(|line| line.contains("/BidiWriteUpload")).count();
    assert_eq!(streams, 1, "all on one stream");
    // The bytes are there, not only their record.
    let id = completed["file_id"].as_str().unwrap();
    let content = server.client().read(id, 0, 0).await.unwrap();
    assert_eq!(of_kind("end")[0]["crc32c"], Crc32c::of(&content).0);
}
