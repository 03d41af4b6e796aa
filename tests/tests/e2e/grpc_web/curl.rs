//! The same with curl, a client that nobody here has written.

use std::path::Path;

use prost::Message;
use sluice_proto::v1::WriteUploadRequest;
use sluice_tests::{Content, MIB, Server, damaged, grpc_frame};
use tokio::process::Command;

use super::{WRITE, part, upload};

/// Posts messages; answers curl's exit code, and headers and body as text.
async fn post(
    server: &Server,
    http: &str,
    folder: &Path,
    messages: &[WriteUploadRequest],
) -> (i32, String) {
    let mut body = Vec::new();
    for message in messages {
        let message = message.encode_to_vec();
        body.extend(grpc_frame(0, message.len() as u32, &message));
    }
    let file = folder.join("body");
    std::fs::write(&file, body).unwrap();
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "60", http])
        .args(["--header", "content-type: application/grpc-web+proto"])
        .args(["--header", &format!("authorization: Bearer {}", server.key())])
        .args(["--data-binary", &format!("@{}", file.display())])
        .arg(format!("{}{WRITE}", server.url()))
        .output()
        .await
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).to_lowercase();
    (output.status.code().unwrap(), text)
}

#[tokio::test]
async fn curl_uploads_and_reads_refusals() {
    let server = Server::start().await;
    let client = server.client();
    let folder = tempfile::tempdir().unwrap();
    let content = Content::new(1, 8 * MIB);
    for http in ["--http1.1", "--http2-prior-knowledge"] {
        let upload = upload(&client, http, content.size()).await;
        let messages = part(&upload, &content, 1);
        let mut broken = messages.clone();
        broken[2] = damaged(broken[2].clone());
        for _ in 0..5 {
            let (code, answer) = post(&server, http, folder.path(), &broken).await;
            assert_eq!(code, 0, "{answer}");
            assert!(answer.contains("grpc-status: 10"), "{answer}");
            assert!(answer.contains("grpc-message: "), "{answer}");
        }
        let (code, answer) = post(&server, http, folder.path(), &messages).await;
        assert_eq!(code, 0, "{answer}");
        assert!(answer.contains("grpc-status:0"), "{answer}");
        let file = client.complete(&upload.id).await.unwrap();
        client.assert_content(&file.id, &content).await;
    }
}
