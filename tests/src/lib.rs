//! Support for the end-to-end tests: a real server process, a network that can
//! fail, a client without cleverness, and content that needs no memory.

mod account;
mod attacker;
mod authority;
mod binary;
mod disk;
mod fault_proxy;
mod metrics;
mod proxy;
mod server;
mod stored;
mod terminal;

mod client;
mod curl;
mod frames;
mod plain_http;
mod raw;
mod reader;
mod refusal;
mod signing;
mod stream;
mod watcher;
mod web;
mod wire;

mod ledger;
mod local_aws;
mod uploader;

mod content;
mod seed;
mod wait;

pub use account::{PASSWORD, Person, login_request};
pub use attacker::{Attacker, END_HEADERS, End, http2_frame, kind, request_headers};
pub use authority::{Authority, Identity};
pub use binary::binary;
pub use client::{Client, Credential, Transport, in_small_parts, named, persisted};
pub use content::Content;
pub use curl::Curl;
pub use disk::SmallDisk;
pub use fault_proxy::{FaultProxy, RequestFate};
pub use frames::{Frames, bidi, damaged, frame};
pub use ledger::Ledger;
pub use local_aws::{AwsAccount, LocalAws};
pub use metrics::Metrics;
pub use plain_http::{
    Answer, HttpBody, Protocol, http, http_body, http_get, http_open, http_stream,
};
pub use proxy::Proxy;
pub use refusal::{assert_reason, assert_refusal, fact, facts, invalid_field, reason};
pub use seed::{Seed, scale};
pub use server::{Server, Setup, is_on_aws};
pub use signing::{declared, part_bytes};
pub use stored::{Stored, bytes_on_disk};
pub use stream::{BidiStream, OpenStream};
pub use terminal::{Ended, Terminal, argument, ended, signal};
pub use uploader::{Uploader, insist};
pub use wait::eventually;
pub use watcher::Watcher;
pub use web::{Http, Web, WebAnswer};
pub use wire::{Body, Wire, grpc_frame};

/// Bytes in a mebibyte.
pub const MIB: u64 = 1024 * 1024;
