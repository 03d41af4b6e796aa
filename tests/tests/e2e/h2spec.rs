//! HTTP/2 by the book.

use std::{collections::BTreeSet, path::Path};

use sluice_tests::Server;
use tokio::process::Command;

/// Some cases race with the server's answer; they must pass once in so many
/// runs.
const RUNS: usize = 6;

/// A case, as section and description.
type Case = (String, String);

/// The differences that are explained.
fn documented() -> BTreeSet<Case> {
    let rows = include_str!("../../../docs/http2.md").lines();
    let cells = rows.filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let case = |(section, rest): (&str, &str)| {
        let (case, why) = rest.split_once(" | ").expect("a case and its reason");
        assert!(why.len() > 20, "{case} needs a reason");
        (section.to_owned(), case.to_owned())
    };
    cells.map(case).collect()
}

/// Runs every case; answers how many there are, and which failed.
async fn run(server: &Server, report: &Path) -> (usize, BTreeSet<Case>) {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/h2spec/run");
    let port = server.address().port().to_string();
    let output = Command::new(tool)
        .args(["generic", "http2", "hpack", "--host", "127.0.0.1", "--path", "/livez"])
        .args(["--timeout", "5", "--port", &port, "--junit-report"])
        .arg(report)
        .output()
        .await
        .unwrap();
    let text = std::fs::read_to_string(report)
        .unwrap_or_else(|error| panic!("h2spec made no report: {error}, {output:?}"));
    let attribute = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!(" {name}=\""))?;
        let (value, _) = rest.split_once('"')?;
        Some(value.replace("&#34;", "\"").replace("&#39;", "'").replace("&amp;", "&"))
    };
    let cases = text.split("<testcase ").skip(1).map(|case| {
        let line = format!(" {case}");
        let name = (attribute(&line, "package").unwrap(), attribute(&line, "classname").unwrap());
        (name, case.contains("<failure") || case.contains("<error"))
    });
    let cases: Vec<_> = cases.collect();
    let failed = cases.iter().filter(|(_, failed)| *failed).map(|(case, _)| case.clone());
    (cases.len(), failed.collect())
}

#[tokio::test]
async fn http2_differs_from_its_specification_only_where_that_is_explained() {
    let mut server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let documented = documented();
    assert!(!documented.is_empty());
    let mut failed = None;
    for number in 0..RUNS {
        let report = folder.path().join(format!("{number}.xml"));
        let (cases, now) = run(&server, &report).await;
        assert!(cases > 140, "only {cases} cases ran");
        println!("run {number}: {cases} cases, these differ: {now:?}");
        let always = match failed {
            None => now,
            Some(before) => now.intersection(&before).cloned().collect(),
        };
        if always == documented {
            failed = Some(always);
            break;
        }
        failed = Some(always);
    }
    assert_eq!(failed, Some(documented));
    assert!(server.is_alive());
}
