//! What is between here and a server.

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::TryStreamExt;
use http::StatusCode;
use sluice_sdk::{Capabilities, Client, ListQuery, OnConflict, Source, UploadOptions};
use uuid::Uuid;

use super::{Finding, Report, network};
use crate::{
    exit::Exit, failure::Failure, handshake::host_and_port, remote::RemoteArguments,
    settings::Settings, units,
};

/// What goes there and back.
const ROUND_TRIP: usize = 1024 * 1024;
/// What is named like this is nobody's.
const NAME: &str = "sluice-doctor";
/// How long a single call is tried.
const PATIENCE: Duration = Duration::from_secs(3);

/// Everything that comes after something, in this order.
const ALL: [&str; 11] = [
    "config",
    "proxy",
    "address",
    "tcp",
    "tls",
    "http2",
    "ready",
    "clock",
    "key",
    "limits",
    "round trip",
];

/// Looks at one thing after the other.
pub(super) async fn look(
    report: &mut Report,
    remote: &RemoteArguments,
    read_only: bool,
) -> Result<(), Failure> {
    let last = walk(report, remote, read_only).await?;
    // What was not reached is told too, so that the list is always the same.
    let rest = last.and_then(|last| ALL.iter().position(|name| *name == last));
    for name in rest.map_or(&[][..], |last| &ALL[last + 1..]) {
        report.add(name, Finding::skipped("not looked at"))?;
    }
    Ok(())
}

/// Answers with the check at which it had to stop.
async fn walk(
    report: &mut Report,
    remote: &RemoteArguments,
    read_only: bool,
) -> Result<Option<&'static str>, Failure> {
    let settings = match remote.settings() {
        Ok(settings) => settings,
        Err(failure) => {
            report.add("config", failure.into())?;
            return Ok(Some("config"));
        }
    };
    report.add("config", configuration(&settings))?;
    report.add("proxy", network::proxies())?;

    let (host, port) = host_and_port(&settings.server.value);
    let addresses = match network::resolve(&host, port).await {
        Ok((addresses, finding)) => {
            report.add("address", finding)?;
            addresses
        }
        Err(finding) => {
            report.add("address", finding)?;
            return Ok(Some("address"));
        }
    };
    let (address, finding) = network::connect(&addresses, &settings).await;
    report.add("tcp", finding)?;
    let Some(address) = address else { return Ok(Some("tcp")) };
    let secured = match settings.is_secure() {
        true => network::secure(&settings).await,
        false => Finding::skipped("the address begins with http://: nothing is encrypted"),
    };
    if !report.add("tls", secured)? {
        return Ok(Some("tls"));
    }

    // Without a key, to tell one from the other.
    let client = settings.anonymous()?.with_give_up_after(PATIENCE);
    let started = Instant::now();
    let capabilities = match client.capabilities().await {
        Ok(capabilities) => capabilities,
        Err(error) => {
            report.add("http2", settings.unreachable(error).await.into())?;
            return Ok(Some("http2"));
        }
    };
    let version = format!("gRPC over HTTP/2; the server is sluice {}", capabilities.version);
    report.add("http2", Finding::ok(version).took(started.elapsed()))?;
    let (ready, date) = ready(&settings, address).await;
    report.add("ready", ready)?;
    report.add("clock", network::clock(date))?;

    let client = settings.client(1).map(|client| client.with_give_up_after(PATIENCE));
    let client = match with_key(client).await {
        Ok((client, finding)) => {
            report.add("key", finding)?;
            client
        }
        Err(failure) => {
            report.add("key", failure.into())?;
            return Ok(Some("key"));
        }
    };
    report.add("limits", limits(&capabilities))?;
    let round_trip = match read_only {
        true => Finding::skipped("left out, as asked"),
        false => round_trip(&client).await.unwrap_or_else(Finding::from),
    };
    report.add("round trip", round_trip)?;
    Ok(None)
}

fn configuration(settings: &Settings) -> Finding {
    let profile = settings.profile.as_ref().map(|profile| format!(", profile {}", profile.value));
    let file = match &settings.file {
        Some(file) => format!("{}{}", file.display(), profile.unwrap_or_default()),
        None => "no configuration file".to_owned(),
    };
    Finding::ok(format!(
        "{file}; the server is {} ({})",
        settings.server.value, settings.server.origin
    ))
}

/// Asks the server's probes; answers also with its time.
async fn ready(
    settings: &Settings,
    address: std::net::SocketAddr,
) -> (Finding, Option<std::time::SystemTime>) {
    let started = Instant::now();
    let unwell = |problem: String| {
        let hint = "the server's log says why; its operator can mend it";
        Finding::from(Failure::new(Exit::Temporary, problem).hint(hint))
    };
    let mut date = None;
    for path in ["/livez", "/readyz"] {
        match network::probe(settings, address, path).await {
            Ok(answer) if answer.status == StatusCode::OK => date = answer.date.or(date),
            Ok(answer) if path == "/livez" || answer.status != StatusCode::SERVICE_UNAVAILABLE => {
                let message = format!("{path} answers {}", answer.status);
                let hint = "a proxy in between does not pass the probes on; that does no harm";
                return (Finding::warning(message, hint), answer.date);
            }
            Ok(answer) => return (unwell(format!("{path}: {}", answer.text)), answer.date),
            Err(problem) => {
                let hint = "only gRPC gets through; that does no harm to uploads";
                return (Finding::warning(format!("{path}: {problem}"), hint), date);
            }
        }
    }
    (Finding::ok("alive and ready").took(started.elapsed()), date)
}

/// Makes a call that needs the key.
async fn with_key(client: Result<Client, Failure>) -> Result<(Client, Finding), Failure> {
    let client = client?;
    let started = Instant::now();
    {
        let mut files = pin!(client.list(ListQuery::by_name().folded()));
        files.try_next().await?;
    }
    Ok((client, Finding::ok("accepted").took(started.elapsed())))
}

fn limits(capabilities: &Capabilities) -> Finding {
    let Some(limits) = &capabilities.limits else {
        return Finding::warning("the server does not tell its limits", "is it a newer one?");
    };
    let bytes = |count: i64| units::bytes(count.cast_unsigned()).to_string();
    let days = limits.upload_ttl.as_ref().map_or(0, |ttl| ttl.seconds / (24 * 60 * 60));
    Finding::ok(format!(
        "files up to {}, parts from {} to {}; open uploads are kept for {days} days",
        bytes(limits.max_file_size),
        bytes(limits.min_part_size),
        bytes(limits.max_part_size),
    ))
}

/// Uploads, reads back, compares and deletes.
async fn round_trip(client: &Client) -> Result<Finding, Failure> {
    let id = Uuid::now_v7();
    let bytes: Vec<u8> = id.as_bytes().iter().copied().cycle().take(ROUND_TRIP).collect();
    let name = format!("{NAME}/{id}");
    let started = Instant::now();
    let options = UploadOptions::new().name(&name).on_conflict(OnConflict::Fail);
    let uploaded = client.upload(Source::bytes(bytes.clone()), options).await?;
    let up = started.elapsed();
    let read = async {
        let mut reader = client.read(&uploaded.file.id, ..);
        let mut back = Vec::with_capacity(ROUND_TRIP);
        while let Some(chunk) = reader.chunk().await? {
            back.extend_from_slice(&chunk);
        }
        Ok::<_, sluice_sdk::Error>(back)
    };
    let read = read.await;
    let down = started.elapsed() - up;
    // Whatever came back, nothing shall be left behind.
    client.delete(&uploaded.file.id).await?;
    if read? != bytes {
        let failure = Failure::new(Exit::Corrupt, "other bytes came back than went there");
        return Err(failure.hint("do not trust this server or its disk: its operator must look"));
    }
    let deleted = started.elapsed() - up - down;
    let (up, down, deleted) =
        (units::milliseconds(up), units::milliseconds(down), units::milliseconds(deleted));
    Ok(Finding::ok(format!("1 MiB: uploaded in {up}, read in {down}, deleted in {deleted}")))
}
