//! Signed URLs: links to download files, and parts by HTTP PUT.

mod conditions;
mod direct_downloads;
mod direct_parts;
mod downloads;
mod lifetime;
mod mutations;
mod names;
mod part_failures;
mod parts;
mod refusals;

use bytes::Bytes;
use http::Method;
use sluice_proto::v1::{SignedPart, Upload};
use sluice_tests::{
    Answer, Client, Content, HttpBody, Protocol, declared, http, http_body, in_small_parts,
};

/// One mebibyte: the part size of these tests.
use sluice_tests::MIB;

/// An upload of parts of 1 MiB.
async fn upload_of(client: &Client, name: &str, content: &Content) -> Upload {
    client.create(in_small_parts(name, content.size())).await.unwrap()
}

/// The signed URL of one part.
async fn signed(client: &Client, upload: &Upload, content: &Content, number: i32) -> SignedPart {
    let parts = vec![declared(upload, content, number)];
    client.sign_parts(upload, parts).await.unwrap().remove(0)
}

/// Sends a body to a signed URL as its headers say.
async fn put(protocol: Protocol, part: &SignedPart, body: Bytes) -> Answer {
    put_body(protocol, part, http_body(body)).await.unwrap()
}

async fn put_body(
    protocol: Protocol,
    part: &SignedPart,
    body: HttpBody,
) -> Result<Answer, hyper::Error> {
    let headers: Vec<_> =
        part.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let method = Method::from_bytes(part.method.as_bytes()).unwrap();
    http(protocol, method, &part.url, &headers, body).await
}
