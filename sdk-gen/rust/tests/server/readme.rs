//! The README's examples are parts of programs that run.

use std::{env, fs, path::Path, process::Output};

use sluice_tests::{PASSWORD, Proxy, Server};
use tokio::process::Command;

use crate::content;

/// What each program says when it does what the README says.
const PROGRAMS: [(&str, &str); 3] = [
    ("upload", "9437184 of 9437184 bytes\nit is file_"),
    ("files", "bytes were there already"),
    ("session", "the secret is shown once: true"),
];

#[tokio::test]
async fn every_example_stands_in_a_program_that_runs() {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(sdk.join("README.md")).unwrap();
    let programs = PROGRAMS.map(|(name, _)| {
        fs::read_to_string(sdk.join("examples").join(name).with_extension("rs")).unwrap()
    });
    let examples: Vec<_> = readme.split("```rust\n").skip(1).collect();
    assert!(examples.len() >= 4, "the README has examples");
    for example in &examples {
        let (example, _) = example.split_once("```").unwrap();
        // As it is indented there.
        let lines = example.lines().map(|line| match line {
            "" => "\n".to_owned(),
            line => format!("    {line}\n"),
        });
        let lines: String = lines.collect();
        assert!(
            programs.iter().any(|program| program.contains(&lines)),
            "in no program:\n{example}"
        );
    }
    let (first, _) = examples[0].split_once("```").unwrap();
    assert!(first.lines().count() <= 10, "the first example is short");

    let server = Server::with().open_to_all().start().await;
    let ada = server.person("ada").await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("holiday.mp4"), content(9 << 20)).unwrap();
    fs::write(folder.path().join("large.iso"), content(80 << 20)).unwrap();
    // Slow enough for an upload to be stopped.
    let network = Proxy::to(server.address()).await;
    network.slow_down(16 << 20);
    for (name, says) in PROGRAMS {
        let output = run(name, folder.path(), &network.url(), &server.key(), &ada.email).await;
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains(says), "{name}: {output:?}");
    }
    let copy = fs::read(folder.path().join("copy.iso")).unwrap();
    assert!(copy == content(80 << 20), "the download is another file");
}

async fn run(name: &str, folder: &Path, url: &str, key: &str, email: &str) -> Output {
    let test = env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    Command::new(profile.join("examples").join(name))
        .current_dir(folder)
        .env("SLUICE_SERVER", url)
        .env("SLUICE_API_KEY", key)
        .env("EMAIL", email)
        .env("PASSWORD", PASSWORD)
        .output()
        .await
        .unwrap()
}
