//! What works.

use base64::{Engine, prelude::BASE64_STANDARD};
use futures::future::join_all;
use http::Method;
use prost::Message;
use sluice_proto::v1::{
    GetCapabilitiesRequest, GetCapabilitiesResponse, ListFilesRequest, ListFilesResponse,
    ReadFileRequest, ReadFileResponse, WriteUploadResponse,
};
use sluice_tests::{Content, Http, MIB, Server, Web, grpc_frame};

use super::{WRITE, part, upload};

#[tokio::test]
async fn one_post_of_many_messages_persists_a_part() {
    let server = Server::start().await;
    let client = server.client();
    for http in [Http::One, Http::Two] {
        let content = Content::new(1, 20 * MIB);
        let upload = upload(&client, &format!("web-{http:?}"), content.size()).await;
        let messages = part(&upload, &content, 1);
        assert_eq!(messages.len(), 8);
        let answer = Web::new(&server, http).call(WRITE, messages).await.unwrap();
        assert_eq!(answer.header("content-type"), "application/grpc-web+proto");
        let response: WriteUploadResponse = answer.message().unwrap();
        assert_eq!(response.upload.unwrap().persisted_bytes, 8 * MIB as i64);
    }
}

#[tokio::test]
async fn four_posts_at_a_time_upload_a_file() {
    let server = Server::start().await;
    let client = server.client();
    for http in [Http::One, Http::Two] {
        let content = Content::new(2, 61 * MIB + 12_345);
        let upload = upload(&client, &format!("web-{http:?}"), content.size()).await;
        let parts: Vec<u64> = (1..=8).collect();
        for four in parts.chunks(4) {
            let posts = four.iter().map(|number| {
                let web = Web::new(&server, http);
                let messages = part(&upload, &content, *number);
                async move { web.call(WRITE, messages).await.unwrap() }
            });
            for answer in join_all(posts).await {
                answer.message::<WriteUploadResponse>().unwrap();
            }
        }
        let file = client.complete(&upload.id).await.unwrap();
        client.assert_content(&file.id, &content).await;
    }
}

#[tokio::test]
async fn answers_that_are_streams() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(3, 3 * MIB + 7);
    let file = client.put("streamed", &content).await.unwrap();
    for http in [Http::One, Http::Two] {
        let request = ReadFileRequest { file_id: file.id.clone(), ..Default::default() };
        let path = "/sluice.v1.FileService/ReadFile";
        let answer = Web::new(&server, http).call(path, [request]).await.unwrap();
        assert_eq!(answer.status.unwrap().code(), tonic::Code::Ok);
        assert_eq!(answer.messages.len(), 5);
        let bytes: Vec<u8> = answer
            .messages
            .into_iter()
            .filter_map(|message| ReadFileResponse::decode(message).unwrap().checksummed_data)
            .flat_map(|data| data.content)
            .collect();
        assert!(bytes == content.all());
    }
}

#[tokio::test]
async fn text_is_understood_too() {
    let server = Server::start().await;
    let request = GetCapabilitiesRequest {}.encode_to_vec();
    let body = BASE64_STANDARD.encode(grpc_frame(0, 0, &request));
    for http in [Http::One, Http::Two] {
        let web = Web::anonymous(&server, http)
            .header("content-type", "application/grpc-web-text")
            .header("accept", "application/grpc-web-text");
        let path = "/sluice.v1.CapabilitiesService/GetCapabilities";
        let answer = web.send(Method::POST, path, vec![body.clone().into()]).await.unwrap();
        let response: GetCapabilitiesResponse = answer.message().unwrap();
        assert!(response.capabilities.unwrap().limits.unwrap().max_frame_size > 0);
    }
}

#[tokio::test]
async fn messages_are_compressed_for_those_who_ask_and_content_is_not() {
    let server = Server::start().await;
    let client = server.client();
    let content = Content::new(4, MIB);
    let mut file = None;
    for number in 0..50 {
        file = Some(client.put(&format!("one/of/many/{number}"), &content).await.unwrap());
    }
    let plain = Web::new(&server, Http::Two);
    let list = "/sluice.v1.FileService/ListFiles";
    let all = plain.call(list, [ListFilesRequest::default()]).await.unwrap();
    for encoding in ["gzip", "zstd"] {
        let web = plain.clone().header("grpc-accept-encoding", encoding);
        let answer = web.call(list, [ListFilesRequest::default()]).await.unwrap();
        assert_eq!(answer.header("grpc-encoding"), encoding);
        assert_eq!(answer.status.unwrap().code(), tonic::Code::Ok);
        assert!(answer.body.len() < all.body.len() / 2, "{} bytes", answer.body.len());
        let read = "/sluice.v1.FileService/ReadFile";
        let request =
            ReadFileRequest { file_id: file.as_ref().unwrap().id.clone(), ..Default::default() };
        let answer = web.call(read, [request]).await.unwrap();
        assert_eq!(answer.header("grpc-encoding"), "");
        assert!(answer.body.len() > MIB as usize);
    }
    let files: ListFilesResponse = all.message().unwrap();
    assert_eq!(files.files.len(), 50);
}
