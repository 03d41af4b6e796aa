//! Lists of files: pages, folders, filters and orders.

use std::collections::BTreeSet;

use prost_types::Timestamp;
use sluice_proto::v1::{
    CreateUploadRequest, File, ListFilesRequest, file, list_files_request::OrderBy,
};
use sluice_tests::{Client, Content, Frames, Server, invalid_field, named};

const NAMES: [&str; 12] =
    ["a", "a/1", "a/2", "a/b/1", "a/b/2", "a/c", "a0", "b/x/y/z", "b/x", "b%", "b_", "ü/文件"];

async fn server_with_files() -> (Server, Vec<File>) {
    let server = Server::start().await;
    let client = server.client();
    let mut files = Vec::new();
    for name in NAMES {
        files.push(client.put(name, &Content::new(1, 3)).await.unwrap());
    }
    (server, files)
}

/// Lists all pages; answers the names of files and the folded prefixes.
async fn list(client: &Client, request: ListFilesRequest) -> (Vec<String>, Vec<String>) {
    let (mut names, mut prefixes, mut page_token) = (Vec::new(), Vec::new(), String::new());
    loop {
        let request = ListFilesRequest { page_token, ..request.clone() };
        let page = client.list_files(request.clone()).await.unwrap();
        if request.page_size > 0 {
            let entries = page.files.len() + page.prefixes.len();
            assert!(entries <= request.page_size as usize, "{entries} entries on a page");
        }
        names.extend(page.files.into_iter().map(|file| file.name));
        prefixes.extend(page.prefixes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return (names, prefixes);
        }
    }
}

fn by_name() -> ListFilesRequest {
    ListFilesRequest { order_by: OrderBy::Name.into(), ..Default::default() }
}

/// What a list by name must answer, worked out from the names alone.
fn expected(prefix: &str, delimiter: &str) -> (Vec<String>, Vec<String>) {
    let (mut names, mut prefixes) = (BTreeSet::new(), BTreeSet::new());
    for name in NAMES.into_iter().filter(|name| name.starts_with(prefix)) {
        let rest = &name[prefix.len()..];
        match rest.find(delimiter).filter(|_| !delimiter.is_empty()) {
            Some(at) => prefixes.insert(name[..prefix.len() + at + delimiter.len()].to_owned()),
            None => names.insert(name.to_owned()),
        };
    }
    (names.into_iter().collect(), prefixes.into_iter().collect())
}

#[tokio::test]
async fn files_are_listed_newest_first_unless_asked_otherwise() {
    let (server, _) = server_with_files().await;
    let client = server.client();
    let newest_first: Vec<_> = NAMES.iter().rev().map(ToString::to_string).collect();
    for order_by in [OrderBy::Unspecified, OrderBy::CreateTime] {
        for page_size in [0, 1, 5, 12, 1001] {
            let request =
                ListFilesRequest { page_size, order_by: order_by.into(), ..Default::default() };
            assert_eq!(list(&client, request).await.0, newest_first, "pages of {page_size}");
        }
    }
}

#[tokio::test]
async fn names_are_ordered_by_bytes_and_folded_into_folders() {
    let (server, _) = server_with_files().await;
    let client = server.client();
    for prefix in ["", "a", "a/", "a/b", "a/b/", "b/x", "b%", "b_", "ü", "no such", "/"] {
        for delimiter in ["", "/"] {
            for page_size in [0, 1, 2, 3] {
                let request = ListFilesRequest {
                    page_size,
                    name_prefix: prefix.to_owned(),
                    delimiter: delimiter.to_owned(),
                    ..by_name()
                };
                assert_eq!(
                    list(&client, request).await,
                    expected(prefix, delimiter),
                    "below {prefix:?} by {delimiter:?} in pages of {page_size}"
                );
            }
        }
    }
}

#[tokio::test]
async fn files_are_filtered_by_the_time_of_their_creation() {
    let (server, files) = server_with_files().await;
    let client = server.client();
    let time = |index: usize| files[index].create_time;
    let between = async |after: Option<Timestamp>, before: Option<Timestamp>| {
        let request = ListFilesRequest {
            created_after: after,
            created_before: before,
            page_size: 2,
            ..Default::default()
        };
        let mut names = list(&client, request).await.0;
        names.reverse();
        names
    };
    assert_eq!(between(time(4), None).await, NAMES[4..], "at this time or later");
    assert_eq!(between(None, time(4)).await, NAMES[..4], "before this time");
    assert_eq!(between(time(2), time(9)).await, NAMES[2..9]);
    assert!(between(time(9), time(2)).await.is_empty());
}

#[tokio::test]
async fn files_are_filtered_by_state_in_both_orders() {
    let (server, _) = server_with_files().await;
    let client = server.client();
    for order_by in [OrderBy::CreateTime, OrderBy::Name] {
        let in_states = async |states: Vec<i32>| {
            let request = ListFilesRequest {
                states,
                order_by: order_by.into(),
                page_size: 5,
                ..Default::default()
            };
            list(&client, request).await.0.len()
        };
        let (ready, failed) = (file::State::Ready.into(), file::State::Failed.into());
        assert_eq!(in_states(vec![ready]).await, NAMES.len());
        assert_eq!(in_states(vec![failed]).await, 0);
        assert_eq!(in_states(vec![failed, ready]).await, NAMES.len());
    }
}

#[tokio::test]
async fn mixtures_that_no_index_serves_are_refused() {
    let (server, files) = server_with_files().await;
    let client = server.client();
    let time = files[0].create_time;
    let request = ListFilesRequest::default;
    let wrong = [
        ListFilesRequest { name_prefix: "a".into(), ..request() },
        ListFilesRequest { delimiter: "/".into(), ..request() },
        ListFilesRequest { delimiter: "x".into(), ..by_name() },
        ListFilesRequest { created_after: time, ..by_name() },
        ListFilesRequest { created_before: time, ..by_name() },
        ListFilesRequest { page_size: -1, ..request() },
        ListFilesRequest { order_by: 77, ..request() },
        ListFilesRequest { states: vec![77], ..request() },
        ListFilesRequest { states: vec![0], ..request() },
        ListFilesRequest { page_token: "forged".into(), ..request() },
        ListFilesRequest {
            created_after: Some(Timestamp { seconds: i64::MAX, nanos: -5 }),
            ..request()
        },
    ];
    for request in wrong {
        let field = invalid_field(client.list_files(request.clone()).await);
        assert!(!field.is_empty(), "{request:?}");
    }
}

#[tokio::test]
async fn a_page_token_belongs_to_its_request() {
    let (server, _) = server_with_files().await;
    let client = server.client();
    let first = ListFilesRequest { page_size: 2, ..by_name() };
    let page_token = client.list_files(first.clone()).await.unwrap().next_page_token;
    let other_size = ListFilesRequest { page_size: 5, page_token: page_token.clone(), ..by_name() };
    let page = client.list_files(other_size).await.expect("the page size may change");
    assert_eq!(page.files.len(), 5);
    for other in [
        ListFilesRequest { page_token: page_token.clone(), ..Default::default() },
        ListFilesRequest { page_token: page_token.clone(), name_prefix: "a".into(), ..by_name() },
        ListFilesRequest { page_token: page_token.clone(), delimiter: "/".into(), ..by_name() },
        ListFilesRequest { page_token: page_token.clone(), states: vec![2], ..by_name() },
    ] {
        assert_eq!(invalid_field(client.list_files(other).await), "page_token");
    }
}

#[tokio::test]
async fn pages_miss_nothing_while_files_come_and_go() {
    let server = Server::start().await;
    let client = server.client();
    let name = |number: i32| format!("{number:04}");
    for number in 0..40 {
        client.put(&name(number), &Content::new(1, 1)).await.unwrap();
    }
    // What is there all the time is listed exactly once.
    let (mut seen, mut page_token, mut turn) = (Vec::new(), String::new(), 0);
    loop {
        let request = ListFilesRequest { page_size: 3, page_token, ..by_name() };
        let page = client.list_files(request).await.unwrap();
        seen.extend(page.files.iter().map(|file| file.name.clone()));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
        // The last file of the page goes, another comes before it.
        client.delete_file(&page.files.last().unwrap().id).await.unwrap();
        client.put(&format!("0000-{turn:04}"), &Content::new(1, 1)).await.unwrap();
        turn += 1;
    }
    assert_eq!(seen, (0..40).map(name).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_file_appears_with_its_completion_and_not_before() {
    let server = Server::start().await;
    let client = server.client();
    let request = CreateUploadRequest { size: Some(3), ..named("soon") };
    let upload = client.create(request).await.unwrap();
    client.write(Frames::to(&upload).frame(0, "abc")).await.unwrap();
    assert!(list(&client, by_name()).await.0.is_empty());
    client.complete(&upload.id).await.unwrap();
    assert_eq!(list(&client, by_name()).await.0, ["soon"]);
}
