//! The shape of every line of `--json`: exactly these keys with these types.
//! Programs read them, so they are written down in `tests/golden/cli-events.json`
//! and explained in `docs/cli.md`; a change of either is a decision.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    time::Duration,
};

use serde_json::Value;
use sluice_tests::{
    Content, LocalAws, MIB, Server, Stored, Terminal, argument, ended, eventually, in_small_parts,
    signal,
};

/// Kinds of events, each with its keys, each with its types. A key that is not
/// always there ends with `?`.
type Shapes = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

fn project(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn frozen() -> Shapes {
    let golden: BTreeMap<String, BTreeMap<String, String>> =
        serde_json::from_str(&project("tests/golden/cli-events.json")).unwrap();
    let types = |text: String| text.split('|').map(ToOwned::to_owned).collect();
    let keys = |keys: BTreeMap<String, String>| {
        keys.into_iter().map(|(key, text)| (key, types(text))).collect()
    };
    golden.into_iter().map(|(kind, shape)| (kind, keys(shape))).collect()
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The events that were seen, and what they were like.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<serde_json::Map<String, Value>>>);

impl Seen {
    fn add(&mut self, stdout: &[u8]) {
        for line in str::from_utf8(stdout).expect("events are UTF-8").lines() {
            let Ok(Value::Object(mut event)) = serde_json::from_str(line) else {
                panic!("this is no object: {line}");
            };
            let kind = event.remove("event").unwrap_or_else(|| panic!("of what kind is {line}?"));
            let kind = kind.as_str().expect("a kind is a word").to_owned();
            self.0.entry(kind).or_default().push(event);
        }
    }

    fn shapes(&self) -> Shapes {
        self.0.iter().map(|(kind, events)| (kind.clone(), shape(events))).collect()
    }
}

fn shape(events: &[serde_json::Map<String, Value>]) -> BTreeMap<String, BTreeSet<String>> {
    let mut shape = BTreeMap::<String, BTreeSet<String>>::new();
    for key in events.iter().flat_map(serde_json::Map::keys) {
        let values: Vec<_> = events.iter().filter_map(|event| event.get(key)).collect();
        let name = match values.len() == events.len() {
            true => key.clone(),
            false => format!("{key}?"),
        };
        let types = values.into_iter().map(|value| type_of(value).to_owned());
        shape.entry(name).or_default().extend(types);
    }
    shape
}

/// As in the golden file.
fn written(shapes: &Shapes) -> String {
    let join = |types: &BTreeSet<String>| types.iter().cloned().collect::<Vec<_>>().join("|");
    let shapes: BTreeMap<_, BTreeMap<_, _>> = shapes
        .iter()
        .map(|(kind, shape)| (kind, shape.iter().map(|(key, types)| (key, join(types))).collect()))
        .collect();
    serde_json::to_string_pretty(&shapes).unwrap()
}

/// Every command that prints events, in every case that looks different.
async fn see_everything() -> Seen {
    let server = Server::embedded().await;
    let terminal = Terminal::of(&server, &server.url());
    for (name, size) in [("one", 10), ("two", 20 * MIB), ("folder/three", 3), ("rotten", 4 * MIB)] {
        fs::create_dir_all(terminal.path("folder")).unwrap();
        Content::new(size, size).write_to(&terminal.path(name));
    }
    let open = server.client().create(in_small_parts("open", 4 * MIB)).await.unwrap();
    let unsized_one =
        sluice_proto::v1::CreateUploadRequest { size: None, ..in_small_parts("unsized", MIB) };
    server.client().create(unsized_one).await.unwrap();
    let mut seen = Seen::default();
    let mut watch = terminal.start(&["watch", "--json"]);
    let mut printed = Vec::new();
    let mut output = watch.stdout.take().unwrap();
    read_until(&mut output, &mut printed, "snapshot_end").await;

    for command in [
        &["upload", "one", "two", "rotten", "--metadata", "a=b"][..],
        &["upload", "-r", "folder"],
        &["upload", "one", "--on-conflict", "fail"],
        &["upload", "one", "--name", "../one"],
        &["upload", "missing"],
        &["ls"],
        &["ls", "-r"],
        &["stat", "two"],
        &["sign", "one"],
        &["verify", "two"],
        &["verify", "missing"],
        &["mv", "one", "first", "--dry-run"],
        &["mv", "one", "first"],
        &["mv", "-r", "folder", "moved"],
        &["upload", "one", "--name", "another", "--dry-run"],
        &["download", "first", "-o", "back", "--dry-run"],
        &["rm", "first", "--dry-run"],
        &["sync", "folder", "server:synced"],
        &["sync", "server:nowhere", "folder", "--delete", "--dry-run"],
        &["uploads", "ls", "--all"],
        &["download", "first", "-o", "back"],
        &["download", "first", "-o", "back"],
        &["download", "two", "-o", "back", "--overwrite", "never"],
        &["config", "show", "--retries", "3"],
        &["config", "show", "--serve"],
        &["config", "check"],
        &["config", "path"],
        &["config", "path", "--serve"],
        &["doctor"],
        &["doctor", "--serve", "--data-dir", "here"],
        &["doctor", "--server", "http://127.0.0.1:1"],
        &["uploads", "sign", &open.id, "--from", "rotten", "--part", "2"],
        &["uploads", "complete", &open.id, "--from", "rotten"],
        &["uploads", "abort", &open.id, "upl_none"],
        &["uploads", "abort", "--all"],
        &["rm", "first", "missing"],
        &["ls", "--no-such-option"],
    ] {
        let ended = terminal.run(&[command, &["--json"]].concat()).await;
        assert!(ended.code.is_some(), "{command:?}: {ended:?}");
        seen.add(&ended.stdout);
    }
    see_accounts(&server, &terminal, &mut seen).await;
    see_bootstrap(&mut seen).await;
    let content = Content::new(4 * MIB, 4 * MIB);
    let stored = Stored::find(&server.data_dir(), &content).expect("the bytes are stored");
    stored.flip_bit(MIB, 0);
    seen.add(&terminal.run(&["download", "rotten", "--json"]).await.stdout);

    read_until(&mut output, &mut printed, "file_deleted").await;
    signal(watch.id().unwrap(), "INT").await;
    ended(watch).await;
    seen.add(&printed);
    seen
}

/// What is about accounts, by the operator.
async fn see_accounts(server: &Server, terminal: &Terminal, seen: &mut Seen) {
    fs::write(terminal.path("old"), "twelve tired tortoises").unwrap();
    fs::write(terminal.path("new"), "twelve lazy lizards").unwrap();
    let data_dir = server.data_dir();
    let data_dir = ["--data-dir", data_dir.to_str().unwrap()];
    let register = ["register", "--email", "ada@example.com", "--password-file", "old"];
    let create = ["keys", "create", "key", "--scope", "files:read", "--json"];
    let created = terminal.run(&create).await;
    seen.add(&created.stdout);
    let key = created.event("api_key")["api_key_id"].as_str().unwrap().to_owned();
    for command in [
        &["whoami"][..],
        &[&register[..], &data_dir].concat(),
        &["whoami"],
        &["sessions", "ls"],
        &["keys", "ls"],
        &["keys", "revoke", &key],
        &["keys", "revoke", &key],
        &["password", "--password-file", "old", "--new-password-file", "new"],
        &["sessions", "revoke", "--others"],
        &["login", "--email", "ada@example.com", "--password-file", "old"],
        &["login", "--email", "ada@example.com", "--password-file", "new"],
        &["logout"],
        &["logout"],
        &["usage"],
        &["admin", "accounts"],
        &["admin", "quota", "ada@example.com", "--max-bytes", "1GiB"],
        &["admin", "suspend", "ada@example.com"],
        &["admin", "invite"],
    ] {
        let ended = terminal.run(&[command, &["--json"]].concat()).await;
        assert!(ended.code.is_some(), "{command:?}: {ended:?}");
        seen.add(&ended.stdout);
    }
    let invited = terminal.run(&["admin", "invite"]).await;
    let bob = Terminal::without_server().set("SLUICE_SERVER", &server.url());
    fs::write(bob.path("invitation"), invited.assert_code(0).text()).unwrap();
    fs::write(bob.path("old"), "twelve tired tortoises").unwrap();
    let register = ["register", "--email", "bob@example.com", "--password-file", "old"];
    for command in [
        &[&register[..], &["--setup-token-file", "invitation"]].concat()[..],
        &["account", "rename", "Bob"],
        &["account", "delete", "--password-file", "old", "--yes"],
    ] {
        let ended = bob.run(&[command, &["--json"]].concat()).await;
        seen.add(&ended.assert_code(0).stdout);
    }
}

/// What a server on S3 and DynamoDB needs is made.
async fn see_bootstrap(seen: &mut Seen) {
    let settings = LocalAws::account().await.settings();
    let machine = settings
        .into_iter()
        .fold(Terminal::without_server(), |machine, setting| machine.set(setting.0, &setting.1));
    let folder = argument(&machine.path("data"));
    let bootstrap = ["admin", "bootstrap", "--json", "--data-dir", &folder];
    for more in [&["--dry-run"][..], &[]] {
        let ended = machine.run(&[&bootstrap[..], more].concat()).await;
        seen.add(&ended.assert_code(0).stdout);
    }
}

/// Reads whole lines until one names this event.
async fn read_until(output: &mut tokio::process::ChildStdout, printed: &mut Vec<u8>, event: &str) {
    use tokio::io::AsyncReadExt;
    let wanted = format!("\"event\":\"{event}\"");
    let mut chunk = vec![0; 4096];
    eventually(event, Duration::from_secs(60), async || {
        let length = output.read(&mut chunk).await.unwrap();
        assert!(length > 0, "the command has ended");
        printed.extend_from_slice(&chunk[..length]);
        printed.ends_with(b"\n") && String::from_utf8_lossy(printed).contains(&wanted)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_have_the_shapes_that_programs_rely_on() {
    let seen = see_everything().await.shapes();
    let frozen = frozen();
    let all = |shapes: &Shapes| shapes.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(all(&seen), all(&frozen), "other events; seen were\n{}", written(&seen));
    for (kind, shape) in &seen {
        let frozen = &frozen[kind];
        let keys = |shape: &BTreeMap<String, _>| shape.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(shape), keys(frozen), "the keys of {kind}; seen were\n{}", written(&seen));
        for (key, types) in shape {
            let allowed = &frozen[key];
            assert!(types.is_subset(allowed), "{kind}.{key} is {types:?} and not {allowed:?}");
        }
    }
}

#[test]
fn every_event_is_explained() {
    let text = project("docs/cli.md");
    for (kind, shape) in frozen() {
        let section = text.split(&format!("\n| `{kind}` |")).nth(1);
        let section = section.unwrap_or_else(|| panic!("docs/cli.md does not explain {kind}"));
        let row = section.split('\n').next().unwrap();
        for key in shape.keys().map(|key| key.trim_end_matches('?')) {
            assert!(row.contains(&format!("`{key}`")), "docs/cli.md: {kind} has no `{key}`");
        }
    }
}
