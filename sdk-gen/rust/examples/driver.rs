//! Does what one command of the conformance test says, and prints what became
//! of it: see `tests/conformance/README.md`.

use std::{
    collections::BTreeMap,
    env,
    io::Write,
    path::PathBuf,
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::{Value, json};
use sluice_sdk::{
    CancellationToken, Checksums, Client, Code, DownloadOptions, Error, Event, File, Kind,
    LinkOptions, ListQuery, MemoryStore, OnConflict, Progress, Scope, SessionTokens, Source,
    UploadOptions, Uploaded, WatchQuery, v1::file::State,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Command {
    verb: Verb,
    server: String,
    api_key: Option<String>,
    tokens: Option<Tokens>,
    give_up_after_ms: Option<u64>,
    path: Option<PathBuf>,
    #[serde(default)]
    stream: bool,
    name: Option<String>,
    upload_id: Option<String>,
    file_id: Option<String>,
    part_size: Option<u64>,
    concurrency: Option<usize>,
    content_type: Option<String>,
    metadata: Option<BTreeMap<String, String>>,
    on_conflict: Option<Conflict>,
    request_id: Option<String>,
    expected_sha256: Option<String>,
    cancel_after: Option<u64>,
    name_prefix: Option<String>,
    ttl_seconds: Option<u64>,
    until: Option<String>,
    #[serde(default)]
    scopes: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Verb {
    Upload,
    Resume,
    Download,
    List,
    Get,
    Delete,
    Sign,
    Watch,
    Account,
    CreateKey,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Tokens {
    access_token: String,
    refresh_token: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Conflict {
    Fail,
    Replace,
}

#[tokio::main]
async fn main() -> ExitCode {
    let command = env::args().nth(1).unwrap_or_default();
    let command: Command = match serde_json::from_str(&command) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("the command is not understood: {error}");
            return ExitCode::from(2);
        }
    };
    let event = match perform(command).await {
        Ok(Value::Object(mut done)) => {
            done.insert("event".to_owned(), json!("done"));
            Value::Object(done)
        }
        Ok(other) => other,
        Err(error) => told(&error),
    };
    say(&event);
    ExitCode::SUCCESS
}

async fn perform(command: Command) -> Result<Value, Error> {
    let client = client(&command)?;
    let began = Instant::now();
    let id = || command.file_id.clone().unwrap_or_default();
    Ok(match command.verb {
        Verb::Upload => {
            let uploaded = client.upload(source(&command).await?, options(&command)).await?;
            done(&uploaded, began)
        }
        Verb::Resume => {
            let id = command.upload_id.clone().unwrap_or_default();
            let uploaded = client.resume(&id, source(&command).await?, options(&command)).await?;
            done(&uploaded, began)
        }
        Verb::Download => {
            let path = command.path.clone().unwrap_or_default();
            let downloaded = client.download(&id(), path, DownloadOptions::new()).await?;
            json!({ "bytes": downloaded.statistics.size, "seconds": began.elapsed().as_secs_f64() })
        }
        Verb::List => {
            let prefix = command.name_prefix.clone().unwrap_or_default();
            let entries: Vec<_> =
                client.list(ListQuery::by_name().prefix(prefix)).try_collect().await?;
            json!({ "names": entries.iter().map(|entry| entry.name()).collect::<Vec<_>>() })
        }
        Verb::Get => json!({ "file": shown(&client.get(&id()).await?) }),
        Verb::Delete => {
            client.delete(&id()).await?;
            json!({})
        }
        Verb::Sign => {
            let ttl = Duration::from_secs(command.ttl_seconds.unwrap_or_default());
            let link = client.sign_download_url(&id(), LinkOptions::new().ttl(ttl)).await?;
            json!({ "url": link.url })
        }
        Verb::Watch => {
            let mut events = client.watch(WatchQuery::everything()).into_stream();
            loop {
                match events.try_next().await? {
                    Some(Event::File(file))
                        if file.state() == State::Ready
                            && command.until.as_ref() == Some(&file.name) =>
                    {
                        break json!({ "file": shown(&file) });
                    }
                    Some(_) => {}
                    None => break json!({ "file": null }),
                }
            }
        }
        Verb::Account => json!({ "account": { "id": client.account().await?.id } }),
        Verb::CreateKey => {
            let scopes = command.scopes.iter().filter_map(|scope| {
                let name = format!("SCOPE_{}", scope.replace(':', "_").to_uppercase());
                Scope::from_str_name(&name)
            });
            let name = command.name.clone().unwrap_or_default();
            let key = client.create_api_key(name, scopes, None).await?;
            json!({ "key_id": key.api_key.id, "secret": key.secret })
        }
    })
}

fn client(command: &Command) -> Result<Client, Error> {
    let mut builder = Client::builder(&command.server);
    if let Some(key) = &command.api_key {
        builder = builder.api_key(key);
    }
    if let Some(milliseconds) = command.give_up_after_ms {
        builder = builder.give_up_after(Duration::from_millis(milliseconds));
    }
    let client = builder.build()?;
    let Some(tokens) = &command.tokens else { return Ok(client) };
    // When they run out is for the server to say.
    let later = SystemTime::UNIX_EPOCH + Duration::from_secs(u32::MAX.into());
    client.with_session(MemoryStore::new(SessionTokens {
        access_token: tokens.access_token.clone(),
        refresh_token: tokens.refresh_token.clone(),
        access_expire_time: later,
        refresh_expire_time: later,
        session_id: String::new(),
    }))
}

async fn source(command: &Command) -> Result<Source, Error> {
    let path = command.path.clone().unwrap_or_default();
    if !command.stream {
        return Ok(Source::path(path));
    }
    let file = tokio::fs::File::open(&path).await.expect("the test has made the file");
    Ok(Source::reader(file))
}

fn options(command: &Command) -> UploadOptions {
    let cancel = CancellationToken::new();
    let (stop, cancel_after) = (cancel.clone(), command.cancel_after);
    let mut options = UploadOptions::new().cancel(cancel).on_progress(move |progress| {
        tell(progress);
        if cancel_after.is_some_and(|bytes| progress.persisted >= bytes) {
            stop.cancel();
        }
    });
    if let Some(name) = &command.name {
        options = options.name(name);
    }
    if let Some(bytes) = command.part_size {
        options = options.part_size(bytes);
    }
    if let Some(streams) = command.concurrency {
        options = options.streams(streams);
    }
    if let Some(content_type) = &command.content_type {
        options = options.content_type(content_type);
    }
    if let Some(metadata) = &command.metadata {
        options = options.metadata(metadata.clone());
    }
    if let Some(id) = &command.request_id {
        options = options.request_id(id);
    }
    if let Some(Conflict::Replace) = command.on_conflict {
        options = options.on_conflict(OnConflict::Replace);
    }
    if let Some(sha256) = &command.expected_sha256 {
        options = options.expect(Checksums { sha256: digest(sha256), ..Checksums::default() });
    }
    options
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..hex.len()).step_by(2).map(byte).collect();
    bytes?.try_into().ok()
}

fn tell(progress: &Progress) {
    say(&json!({
        "event": "progress",
        "upload_id": progress.upload_id,
        "persisted": progress.persisted,
        "total": progress.total,
    }));
}

fn done(uploaded: &Uploaded, began: Instant) -> Value {
    json!({
        "file": shown(&uploaded.file),
        "upload_id": uploaded.file.upload_id,
        "sent": uploaded.statistics.sent,
        "resumed": uploaded.statistics.resumed,
        "seconds": began.elapsed().as_secs_f64(),
    })
}

fn shown(file: &File) -> Value {
    json!({ "id": file.id, "name": file.name, "size": file.size })
}

fn told(error: &Error) -> Value {
    let kind = match error.kind() {
        Kind::Server => "server",
        Kind::Transport | Kind::Certificate => "transport",
        Kind::Local => "local",
        Kind::SourceChanged => "source_changed",
        Kind::Corrupt => "corrupt",
        Kind::Cancelled => "cancelled",
        _ => "usage",
    };
    let fields: Vec<_> = error.violations().iter().map(|violation| &violation.field).collect();
    json!({
        "event": "error",
        "kind": kind,
        "code": error.code().map(code_name),
        "reason": error.reason().map(|reason| reason.as_str()),
        "fields": fields,
        "retry_after_ms": error.retry_after().map(|delay| delay.as_millis() as u64),
        "upload_id": error.upload_id(),
        "transient": error.is_transient(),
    })
}

/// `AlreadyExists` as `ALREADY_EXISTS`.
fn code_name(code: Code) -> String {
    let mut name = String::new();
    for letter in format!("{code:?}").chars() {
        if letter.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(letter.to_uppercase());
    }
    name
}

fn say(event: &Value) {
    let mut out = std::io::stdout().lock();
    let said = writeln!(out, "{event}").and_then(|()| out.flush());
    said.expect("somebody listens");
}
