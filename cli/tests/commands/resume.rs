//! The same command goes on after the process was stopped or killed.

use std::{
    fs,
    process::{Child, Command},
    time::Duration,
};

use sluice_tests::{MIB, Proxy, eventually};

use crate::{Person, Said, same};

const SIZE: u64 = 48 * MIB;

/// A person with a slow network and a large file.
struct Patient {
    person: Person,
    network: Proxy,
}

impl Patient {
    async fn new() -> Self {
        let person = Person::new().await;
        let network = Proxy::to(person.server.address()).await;
        person.write("big", SIZE);
        Self { person, network }
    }

    fn upload(&self) -> Command {
        let mut command = self.person.command(&["upload", "big", "--part-size", "1MiB", "--json"]);
        command.env("SLUICE_SERVER", self.network.url());
        command
    }

    /// Starts the upload and waits until some of it is stored.
    async fn begin(&self) -> Child {
        self.network.slow_down(4 * MIB);
        let upload = self.upload().spawn().expect("the command starts");
        eventually("something is stored", Duration::from_secs(60), async || {
            let uploads = self.person.run(&["uploads", "ls", "--json"]).ok().events();
            uploads.iter().any(|upload| upload["persisted_bytes"].as_u64() > Some(0))
        })
        .await;
        assert_eq!(self.person.remembered(), 1);
        upload
    }

    /// Runs the same command to its end.
    fn again(&self) -> Said {
        self.network.slow_down(0);
        let said = Said::from(self.upload().output().expect("the command starts")).ok();
        assert_eq!(self.person.remembered(), 0);
        self.person.run(&["download", "big", "-o", "copy"]).ok();
        assert!(same(&self.person.path("big"), &self.person.path("copy")));
        said
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_upload_goes_on_even_after_the_server_was_killed_too() {
    let mut patient = Patient::new().await;
    let mut upload = patient.begin().await;
    upload.kill().unwrap();
    upload.wait().unwrap();
    patient.person.server.kill().await;
    patient.person.server.restart().await;
    patient.network.switch(patient.person.server.address());

    let said = patient.again();
    assert!(said.messages.contains("resuming big at"), "{}", said.messages);
    let uploaded = &said.events()[0];
    let resumed = uploaded["bytes_resumed"].as_u64().unwrap();
    assert!(resumed > 0);
    assert_eq!(uploaded["bytes_sent"].as_u64(), Some(SIZE - resumed));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_what_is_stored_and_says_how_to_go_on() {
    let patient = Patient::new().await;
    let upload = patient.begin().await;
    let interrupt = Command::new("kill").args(["-INT", &upload.id().to_string()]).status();
    assert!(interrupt.unwrap().success());
    let stopped = Said::from(upload.wait_with_output().unwrap());
    assert_eq!(stopped.code, 130);
    assert!(stopped.messages.contains("the same command goes on"), "{}", stopped.messages);

    let said = patient.again();
    assert!(said.events()[0]["bytes_resumed"].as_u64() > Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_has_changed_starts_anew() {
    let patient = Patient::new().await;
    let mut upload = patient.begin().await;
    upload.kill().unwrap();
    upload.wait().unwrap();
    let path = patient.person.path("big");
    let modified = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 1);
    fs::write(&path, bytes).unwrap();
    // As if it were the same: only the bytes tell.
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();

    let said = patient.again();
    assert!(said.messages.contains("the file has changed"), "{}", said.messages);
    assert_eq!(said.events()[0]["bytes_resumed"], 0);
    assert_eq!(patient.person.run(&["uploads", "ls"]).ok().output, "", "nothing is left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_was_given_up_starts_anew() {
    let patient = Patient::new().await;
    let mut upload = patient.begin().await;
    upload.kill().unwrap();
    upload.wait().unwrap();
    let uploads = patient.person.run(&["uploads", "ls", "--json"]).ok().events();
    let id = uploads[0]["upload_id"].as_str().unwrap();
    patient.person.run(&["uploads", "abort", id]).ok();

    let said = patient.again();
    assert!(said.messages.contains("starting anew"), "{}", said.messages);
    assert_eq!(said.events()[0]["bytes_resumed"], 0);
}
