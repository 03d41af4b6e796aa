//! The SDK against a real server, over networks that fail.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod downloads;
mod files;
mod gateway;
mod interruptions;
mod read_once;
mod readme;
mod refusals;
mod restarts;
mod sessions;
mod uploads;
mod watching;

use bytes::Bytes;
use sluice_sdk::{Client, ClientBuilder};
use sluice_tests::{Content, Server};

/// A client of this server.
fn client(server: &Server) -> Client {
    through(server, &server.url())
}

/// A client of this server by another way, such as a proxy.
fn through(server: &Server, url: &str) -> Client {
    builder(server, url).build().expect("the address is one")
}

fn builder(server: &Server, url: &str) -> ClientBuilder {
    Client::builder(url).api_key(server.key())
}

/// Bytes that compress to nothing known, different for each size.
fn content(size: u64) -> Bytes {
    Content::new(size, size).all()
}

/// What the server has under this id.
async fn read(client: &Client, file_id: &str) -> Vec<u8> {
    let mut reader = client.read(file_id, ..);
    let mut bytes = Vec::new();
    while let Some(chunk) = reader.chunk().await.expect("the file can be read") {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}
