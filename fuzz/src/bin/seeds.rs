//! Writes the first inputs of each target: `cargo run -p sluice-fuzz --bin
//! seeds -- fuzz/corpus`. They are committed; what the fuzzer finds beyond them
//! and is worth keeping lies beside them, under libFuzzer's names.

#![allow(clippy::unwrap_used, reason = "whoever runs this is there to see it fail")]

use std::{fs, path::PathBuf};

use prost::Message;
use sluice_domain::{AccountId, FileId, Timestamp};
use sluice_fuzz::frames::framed;
use sluice_proto::v1::{
    self, ChecksummedData, CompleteUploadRequest, CreateUploadRequest, File, ListFilesRequest,
    ListUploadsRequest, ObjectChecksums, UpdateFileRequest, WriteUploadRequest,
    write_upload_request::FirstMessage,
};
use sluice_server::{
    api::fuzzing::{PageTokens, ResumeTokens},
    ports::{FeedPosition, FilePosition},
    service::{Caller, watch::Selection},
};
use uuid::Uuid;

const UPLOAD: &str = "upl_01890a5d-ac96-774b-bcce-b302099a8057";
const FILE: &str = "file_01890a5d-ac96-774b-bcce-b302099a8057";
const DOWNLOAD: &str = "files/file_01890a5d-ac96-774b-bcce-b302099a8057\
                        ?owner=usr_01890a5d-ac96-774b-bcce-b302099a8057&disposition=inline";
const PART: &str = "uploads/upl_01890a5d-ac96-774b-bcce-b302099a8057/parts/7\
                    ?owner=usr_01890a5d-ac96-774b-bcce-b302099a8057&epoch=1&size=8388608\
                    &crc32c=0abcdef0";

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("the corpus folder"));
    let save = |target: &str, name: &str, bytes: &[u8]| {
        let folder = folder.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(name), bytes).unwrap();
    };
    for (name, bytes) in streams() {
        // Chunks of 8 bytes, parts of 1 KiB, size not declared.
        save("frames", name, &[&[7, 0, 0], &bytes[..]].concat());
        save("grpc_web", name, &[&[8], &bytes[..]].concat());
    }
    save("frames", "two-parts-of-known-size", &[&[0, 0, 15], &two_parts(None)[..]].concat());
    for (name, bytes) in requests() {
        save("requests", name, &bytes);
    }
    for (name, text) in [
        ("path", "photos/2024/ünïcode 文件.jpg"),
        ("dots", "a/../b"),
        ("upload", UPLOAD),
        ("file", FILE),
        ("media-type", "text/plain; charset=utf-8"),
        ("metadata", "colour=blue\nsize=large"),
        ("request", "01890a5d-ac96-774b"),
    ] {
        save("names", name, text.as_bytes());
    }
    save("tokens", "another-key", sluice_fuzz::tokens::example().as_bytes());
    for kind in 0..4 {
        save("tokens", &format!("kind-{kind}"), &[&[9; 40][..], &[kind, 100, b'x']].concat());
    }
    let tokens = PageTokens::of(&ListFilesRequest::default());
    let id = FileId::parse(FILE, "id").unwrap();
    for (name, position) in [
        ("created", FilePosition::Created(Timestamp::from_micros(1_700_000_000_000_000), id)),
        ("named", FilePosition::Named("a/b".into(), id)),
        ("prefix", FilePosition::Prefix("a/".into())),
    ] {
        save("page_tokens", name, tokens.file_token(position).as_bytes());
    }
    let caller = Caller::of_link(AccountId::from_uuid(Uuid::from_u128(1)));
    let tokens = ResumeTokens::of(caller, &Selection::default());
    for (name, place) in [("beginning", vec![]), ("change", vec![1; 16])] {
        save("resume_tokens", name, tokens.token(&FeedPosition::from_bytes(place)).as_bytes());
    }
    for (name, range) in [
        ("middle", "bytes=10-19"),
        ("rest", "bytes=10-"),
        ("suffix", "bytes=-10"),
        ("several", "bytes=0-1,5-6"),
    ] {
        save("byte_ranges", name, &[&1000_u64.to_le_bytes()[..], range.as_bytes()].concat());
    }
    for (name, path) in [("download", DOWNLOAD), ("part", PART)] {
        let link = format!("/signed/v1/{path}&expires=1780000000&key=abababababababab&signature=");
        save("signed_links", name, format!("{link}{}", "A".repeat(43)).as_bytes());
    }
    save("digests", "one-frame-a-block", &[0, 0, 0, 16, 0, 0, 0, 16, 0, 0, 0, 16, 0]);
    save("digests", "across-blocks", &[1, 1, 0, 24, 0, 255, 255, 15, 0, 9, 0, 0, 0]);
}

fn streams() -> Vec<(&'static str, Vec<u8>)> {
    let create = CreateUploadRequest {
        request_id: "request".into(),
        name: "a".into(),
        size: Some(5),
        ..Default::default()
    };
    let creating = WriteUploadRequest {
        first_message: Some(FirstMessage::CreateUpload(create)),
        complete: true,
        expected_checksums: Some(ObjectChecksums { crc32c: Some(1), ..Default::default() }),
        ..frame(0, b"whole")
    };
    vec![
        ("two-parts", two_parts(Some(1500))),
        ("created-and-complete", framed(&creating).to_vec()),
        ("damaged-frame", [first(), framed(&damaged(frame(0, b"abc")))].concat()),
        ("jump", [first(), framed(&frame(1024, b"abc")), framed(&frame(0, b"abc"))].concat()),
        ("nothing", Vec::new()),
        ("cut-off-behind-a-header", [&first()[..], &[0, 0, 0, 0, 7]].concat()),
        ("cut-off", framed(&frame(0, b"abc"))[..9].to_vec()),
        ("compressed", vec![1, 0, 0, 0, 1, 0]),
    ]
}

/// A part of 1,024 bytes and one of 476; the size is said at the end.
fn two_parts(final_size: Option<i64>) -> Vec<u8> {
    let last = WriteUploadRequest { final_size, ..frame(1424, &[4; 76]) };
    [
        first(),
        framed(&frame(0, &[1; 1000])),
        framed(&frame(1000, &[2; 24])),
        framed(&frame(1024, &[3; 400])),
        framed(&last),
    ]
    .concat()
}

fn first() -> bytes::Bytes {
    framed(&WriteUploadRequest {
        first_message: Some(FirstMessage::UploadId(UPLOAD.into())),
        writer_epoch: 1,
        ..Default::default()
    })
}

/// A frame with the checksum 0, which the target replaces by the right one.
fn frame(write_offset: i64, content: &[u8]) -> WriteUploadRequest {
    let content = content.to_vec().into();
    let data = ChecksummedData { content, crc32c: Some(0) };
    WriteUploadRequest { write_offset, checksummed_data: Some(data), ..Default::default() }
}

fn damaged(mut message: WriteUploadRequest) -> WriteUploadRequest {
    message.checksummed_data.as_mut().unwrap().crc32c = Some(1);
    message
}

fn requests() -> Vec<(&'static str, Vec<u8>)> {
    let tagged = |kind: u8, message: Vec<u8>| [&[kind], &message[..]].concat();
    let checksums =
        ObjectChecksums { crc32c: Some(7), sha256: vec![1; 32].into(), blake3: vec![2; 32].into() };
    let create = CreateUploadRequest {
        request_id: "request".into(),
        name: "photos/a.jpg".into(),
        content_type: "image/jpeg".into(),
        size: Some(1 << 30),
        preferred_part_size: Some(1 << 20),
        expected_checksums: Some(checksums.clone()),
        metadata: [("colour".to_owned(), "blue".to_owned())].into(),
        on_conflict: v1::OnConflict::Replace.into(),
        ..Default::default()
    };
    let complete = CompleteUploadRequest {
        upload_id: UPLOAD.into(),
        writer_epoch: Some(3),
        size: Some(5),
        expected_checksums: Some(checksums),
        name: Some("b".into()),
        on_conflict: Some(1),
    };
    let file = File {
        id: FILE.into(),
        name: "c".into(),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        ..Default::default()
    };
    let paths = vec!["name".to_owned(), "metadata".to_owned()];
    let mask = Some(prost_types::FieldMask { paths });
    let update = UpdateFileRequest { file: Some(file), update_mask: mask, etag: "\"e\"".into() };
    let files = ListFilesRequest {
        name_prefix: "photos/".into(),
        delimiter: "/".into(),
        states: vec![2],
        order_by: 2,
        page_size: 10,
        created_after: Some(prost_types::Timestamp { seconds: 1_700_000_000, nanos: 1 }),
        ..Default::default()
    };
    let at_the_end_of_time = ListFilesRequest {
        created_before: Some(prost_types::Timestamp {
            seconds: i64::MAX / 1_000_000,
            nanos: 999_999_999,
        }),
        ..Default::default()
    };
    let uploads = ListUploadsRequest { states: vec![1, 2, 6], ..Default::default() };
    vec![
        ("create", tagged(0, create.encode_to_vec())),
        ("complete", tagged(1, complete.encode_to_vec())),
        ("update", tagged(2, update.encode_to_vec())),
        ("files", tagged(3, files.encode_to_vec())),
        ("end-of-time", tagged(3, at_the_end_of_time.encode_to_vec())),
        ("uploads", tagged(4, uploads.encode_to_vec())),
    ]
}
