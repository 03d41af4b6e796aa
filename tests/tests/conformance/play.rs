//! One scenario, played by one language.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde_json::{Map, Value, json};
use sluice_proto::v1::{ListFilesRequest, Quota, list_files_request::OrderBy};
use sluice_tests::{Client, Content, Proxy, Server, http_get};
use tempfile::TempDir;
use tokio::time::{Instant, sleep, timeout};

use crate::{
    driver::{Language, Progress},
    gateway::Gateway,
    local_file::{self, PATTERN},
    scenario::{Act, Done, Expectation, Fault, LocalFile, Refusal, Scenario, Step},
};

/// How long a fault may wait for its moment.
const MOMENT: Duration = Duration::from_secs(120);
/// Heads of frames, HTTP/2 and small calls: what the network sees beside content,
/// for each byte of it and in all.
const OVERHEAD: f64 = 0.002;
const OVERHEAD_BYTES: u64 = 128 * 1024;

/// Plays all steps; says what is wrong.
pub(crate) async fn play(language: Language, scenario: &Scenario) -> Result<(), String> {
    let mut stage = Stage::set(scenario).await;
    for (index, step) in scenario.steps.iter().enumerate() {
        let outcome = Box::pin(stage.play(language, step)).await;
        outcome.map_err(|error| format!("step {}: {error}", index + 1))?;
    }
    Ok(())
}

/// A server, and what the steps of a scenario know of each other.
struct Stage {
    server: Server,
    /// Acts for the same account as the driver.
    client: Client,
    credential: (&'static str, Value),
    folder: TempDir,
    /// What `$name` stands for in commands.
    known: BTreeMap<&'static str, String>,
}

impl Stage {
    async fn set(scenario: &Scenario) -> Self {
        let mut setup = Server::with().open_to_all();
        for (variable, value) in &scenario.settings {
            setup = setup.setting(variable, value);
        }
        let server = setup.start().await;
        let (client, credential) = match &scenario.person {
            None => (server.client(), ("api_key", json!(server.key()))),
            Some(limits) => {
                let person = server.person("ada").await;
                if limits.max_bytes.is_some() {
                    let quota = Quota { max_bytes: limits.max_bytes, ..Quota::default() };
                    server.set_quota(&person.id, quota).await;
                }
                // A key, because tokens may run out while the scenario is played.
                use sluice_proto::v1::Scope;
                let (key, _) = person.key(&[Scope::FilesRead, Scope::UploadsRead]).await;
                let tokens = json!({
                    "access_token": person.tokens.access_token,
                    "refresh_token": person.tokens.refresh_token,
                });
                (Client::new(&server.url(), &key), ("tokens", tokens))
            }
        };
        let mut known = BTreeMap::new();
        for file in &scenario.files {
            let stored = client.put(&file.name, &Content::new(file.size, file.size)).await;
            known.insert("file_id", stored.expect("it can be stored").id);
        }
        let folder = tempfile::tempdir().expect("a folder can be made");
        Self { server, client, credential, folder, known }
    }

    async fn play(&mut self, language: Language, step: &Step) -> Result<(), String> {
        let path = self.folder.path().join("content");
        if let Some(content) = &step.content {
            content.write_to(&path);
            self.known.insert("sha256", LocalFile::sha256(&path));
        }
        let network = Arc::new(Proxy::to(self.server.address()).await);
        network.slow_down(step.rate);
        let gateway = match &step.lose_answer_of {
            Some(rpc) => {
                let gateway = Gateway::to(&self.server.url(), rpc, Arc::clone(&network)).await;
                network.switch(gateway.address());
                Some(gateway)
            }
            None => None,
        };
        let before = self.named(step).await;
        let command = self.command(&step.command, &network.url(), &path);
        let progress = Arc::new(Progress::default());
        sleep(Duration::from_millis(step.wait_ms)).await;
        let event = {
            let mut faults = Faults {
                network: &network,
                server: &mut self.server,
                client: &self.client,
                progress: &progress,
                path: &path,
            };
            let (event, faults) =
                tokio::join!(language.run(&command, &progress), faults.happen(&step.faults));
            // What the driver says explains a fault that had no moment.
            let event = event?;
            faults.map_err(|error| format!("{error}; the driver said {event}"))?;
            event
        };
        if gateway.is_some_and(|gateway| !gateway.has_lost()) {
            return Err("no answer was lost".to_owned());
        }
        self.judge(step, &event, &network, progress.persisted(), &path, before)
            .await
            .map_err(|error| format!("{error}; the driver said {event}"))
    }

    fn command(&self, command: &Map<String, Value>, url: &str, path: &Path) -> Value {
        let mut all = command.clone();
        for value in all.values_mut() {
            if let Some(name) = value.as_str().and_then(|text| text.strip_prefix('$')) {
                *value =
                    json!(self.known.get(name).unwrap_or_else(|| panic!("no {name} is known")));
            }
        }
        all.insert("server".to_owned(), json!(url));
        if !all.contains_key("api_key") {
            all.insert(self.credential.0.to_owned(), self.credential.1.clone());
        }
        match all["verb"].as_str() {
            Some("upload" | "resume") => drop(all.insert("path".to_owned(), json!(path))),
            Some("download") => drop(all.insert("path".to_owned(), json!(self.download()))),
            _ => {}
        }
        Value::Object(all)
    }

    fn download(&self) -> PathBuf {
        self.folder.path().join("download")
    }

    /// The file that has the name of the command.
    async fn named(&self, step: &Step) -> Option<String> {
        let name = step.command.get("name")?.as_str()?;
        if step.command["verb"] != "upload" || name.contains(['\0', '\r']) || name.contains("..") {
            return None;
        }
        let request = ListFilesRequest {
            name_prefix: name.to_owned(),
            order_by: OrderBy::Name.into(),
            ..Default::default()
        };
        let files = self.client.list_files(request).await.ok()?.files;
        files.into_iter().find(|file| file.name == name).map(|file| file.id)
    }

    async fn judge(
        &mut self,
        step: &Step,
        event: &Value,
        network: &Proxy,
        persisted: u64,
        path: &Path,
        before: Option<String>,
    ) -> Result<(), String> {
        let Expectation { done, error, resent_at_most, sent_at_most } = &step.expect;
        if let Some(id) = event["upload_id"].as_str() {
            self.known.insert("upload_id", id.to_owned());
        }
        if let Some(secret) = event["secret"].as_str() {
            self.known.insert("secret", secret.to_owned());
        }
        if let Some(wanted) = error {
            refused_as(wanted, event)?;
            // Nothing is published that was refused.
            if step.command["verb"] == "upload" && self.server.is_alive() {
                equal("the file of the name", self.named(step).await, before)?;
            }
        }
        if let Some(wanted) = done {
            self.done_as(wanted, step, event, persisted, path).await?;
        }
        let size = step.content.map_or(0, |content| content.size);
        let spare = (size as f64 * OVERHEAD) as u64 + OVERHEAD_BYTES;
        let already = event["resumed"].as_u64().unwrap_or(0);
        let resent = (network.sent() + already).saturating_sub(size + spare);
        at_most("bytes that the network saw twice", resent, *resent_at_most)?;
        at_most("bytes that the network saw", network.sent(), *sent_at_most)
    }

    async fn done_as(
        &mut self,
        wanted: &Done,
        step: &Step,
        event: &Value,
        persisted: u64,
        path: &Path,
    ) -> Result<(), String> {
        if event["event"] != "done" {
            return Err("it was not done".to_owned());
        }
        for (key, wanted) in
            [("sent", wanted.sent), ("resumed", wanted.resumed), ("bytes", wanted.bytes)]
        {
            if wanted.is_some() {
                equal(key, event[key].as_u64(), wanted)?;
            }
        }
        if wanted.resumed_at_least > event["resumed"].as_u64() {
            return Err("it has resumed less".to_owned());
        }
        if let Some(names) = &wanted.names {
            equal("the names", &event["names"], &json!(names))?;
        }
        if let Some(name) = &wanted.file {
            equal("the file", event["file"]["name"].as_str(), Some(name.as_str()))?;
        }
        if let Some(size) = wanted.link_to {
            let url = event["url"].as_str().ok_or("there is no link")?;
            self.link_leads_to(url, &Content::new(size, size)).await?;
        }
        let verb = step.command["verb"].as_str();
        if let (Some(content), Some("upload" | "resume")) = (&step.content, verb) {
            let id = event["file"]["id"].as_str().ok_or("there is no file")?.to_owned();
            equal("the size", event["file"]["size"].as_u64(), Some(content.size))?;
            self.is_stored(content, &id, path).await?;
            if verb == Some("upload") {
                equal("the last progress", persisted, content.size)?;
                equal("the name", event["file"]["name"].as_str(), step.command["name"].as_str())?;
                equal("the file of the name", self.named(step).await, Some(id.clone()))?;
            }
            self.known.insert("file_id", id);
        }
        if verb == Some("download") {
            let size = event["bytes"].as_u64().ok_or("there is no number of bytes")?;
            if !Content::new(size, size).is_in(&self.download()) {
                return Err("what was downloaded is another file".to_owned());
            }
        }
        Ok(())
    }

    async fn is_stored(&self, content: &LocalFile, id: &str, path: &Path) -> Result<(), String> {
        // With a SHA-256 to verify, a file is not ready at once.
        let started = Instant::now();
        while self.client.file(id).await.is_ok_and(|file| file.ready_time.is_none()) {
            if started.elapsed() > MOMENT {
                return Err(format!("{id} does not become ready"));
            }
            sleep(Duration::from_millis(50)).await;
        }
        content.is_stored_as(&self.client, id, path).await
    }

    async fn link_leads_to(&self, url: &str, content: &Content) -> Result<(), String> {
        let mut answer = http_get(url, &[]).await;
        if answer.status == 307 {
            let there = answer.header("location").to_owned();
            answer = http_get(&there, &[]).await;
        }
        equal("the status of the link", answer.status.as_u16(), 200)?;
        equal("what the link leads to", answer.body.len() as u64, content.size())?;
        if answer.body != content.all() {
            return Err("the link leads to another file".to_owned());
        }
        Ok(())
    }
}

/// Makes things go wrong while a driver runs.
struct Faults<'a> {
    network: &'a Proxy,
    server: &'a mut Server,
    client: &'a Client,
    progress: &'a Progress,
    path: &'a Path,
}

impl Faults<'_> {
    async fn happen(&mut self, faults: &[Fault]) -> Result<(), String> {
        for fault in faults {
            for _ in 0..fault.times {
                let happened = timeout(MOMENT, self.happen_once(fault)).await;
                happened.map_err(|_| format!("{:?} had no moment", fault.act))?;
            }
        }
        Ok(())
    }

    async fn happen_once(&mut self, fault: &Fault) {
        let cuts = self.network.cuts();
        match (fault.act, fault.after_sent) {
            // To the byte.
            (Act::Cut, Some(bytes)) => {
                self.network.cut_after(bytes);
                return until(|| self.network.cuts() > cuts).await;
            }
            (_, Some(bytes)) => {
                let sent = self.network.sent() + bytes;
                until(|| self.network.sent() >= sent).await;
            }
            (_, None) => {}
        }
        if let Some(bytes) = fault.after_received {
            let received = self.network.received() + bytes;
            until(|| self.network.received() >= received).await;
        }
        if let Some(bytes) = fault.after_persisted {
            until(|| self.progress.persisted() >= bytes).await;
        }
        let pause = Duration::from_millis(fault.ms);
        match fault.act {
            Act::Cut => self.network.cut(),
            Act::Kill => {
                self.server.kill().await;
                sleep(pause).await;
                self.server.restart().await;
            }
            Act::End => self.server.kill().await,
            Act::Stall => {
                self.network.stall();
                sleep(pause).await;
                self.network.resume();
            }
            Act::Damage => {
                self.network.damage(PATTERN);
                until(|| self.network.damages() > 0).await;
            }
            Act::TakeOver => {
                let id = self.progress.upload_id().expect("an upload with progress has an id");
                self.client.resume(&id).await.expect("it can be taken over");
            }
            Act::ChangeSource => local_file::change(self.path),
            Act::Upload => {
                sleep(pause).await;
                let name = fault.name.as_deref().expect("the file has a name");
                self.client.put(name, &Content::new(3, 1000)).await.expect("it can be stored");
            }
        }
    }
}

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        sleep(Duration::from_millis(5)).await;
    }
}

fn refused_as(wanted: &Refusal, event: &Value) -> Result<(), String> {
    if event["event"] != "error" {
        return Err("it was not refused".to_owned());
    }
    equal("kind", event["kind"].as_str(), Some(wanted.kind.as_str()))?;
    for (key, wanted) in [("code", &wanted.code), ("reason", &wanted.reason)] {
        if wanted.is_some() {
            equal(key, event[key].as_str(), wanted.as_deref())?;
        }
    }
    if let Some(fields) = &wanted.fields {
        equal("fields", &event["fields"], &json!(fields))?;
    }
    if wanted.transient.is_some() {
        equal("transient", event["transient"].as_bool(), wanted.transient)?;
    }
    if let Some(named) = wanted.upload_id {
        equal("whether it names an upload", event["upload_id"].is_string(), named)?;
    }
    Ok(())
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, said: T, wanted: T) -> Result<(), String> {
    match said == wanted {
        true => Ok(()),
        false => Err(format!("{what}: {said:?} instead of {wanted:?}")),
    }
}

fn at_most(what: &str, count: u64, most: Option<u64>) -> Result<(), String> {
    match most {
        Some(most) if count > most => Err(format!("{what}: {count}, at most {most} are right")),
        _ => Ok(()),
    }
}
