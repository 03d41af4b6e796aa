//! What goes up comes down.

use std::{fs, io::Write, process::Stdio};

use crate::{Person, same};

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_up_and_comes_down() {
    let person = Person::new().await;
    let path = person.write("holiday.mp4", 9 << 20);
    let said = person.run(&["upload", "holiday.mp4", "--json"]).ok();
    let events = said.events();
    assert_eq!(events[0]["event"], "uploaded");
    assert_eq!(events[0]["name"], "holiday.mp4");
    assert_eq!(events[0]["size"], 9 << 20);
    assert_eq!(events[0]["bytes_resent"], 0);
    assert_eq!(events[1]["event"], "summary");
    assert_eq!(person.remembered(), 0);

    let stat = person.run(&["stat", "holiday.mp4", "--json"]).ok().events();
    assert_eq!(stat[0]["content_type"], "video/mp4");
    assert_eq!(stat[0]["blake3"], events[0]["blake3"]);
    let id = stat[0]["file_id"].as_str().unwrap().to_owned();

    person.run(&["get", &id, "-o", "copy"]).ok();
    assert!(same(&path, &person.path("copy")));
    let again = person.run(&["download", "holiday.mp4", "-o", "copy", "--json"]).ok();
    assert_eq!(again.events()[0]["event"], "skipped");
    let part = person.command(&["cat", &id, "--offset", "5", "--length", "7"]).output().unwrap();
    assert_eq!(part.stdout, fs::read(path).unwrap()[5..12]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_goes_up_and_comes_down() {
    let person = Person::new().await;
    for number in 0..300 {
        person.write(&format!("photos/{}/{number}.jpg", number % 3), number);
    }
    person.write("photos/large.raw", 12 << 20);
    let said = person.run(&["upload", "-r", "photos", "--prefix", "backup"]).ok();
    assert!(said.messages.contains("uploaded 301 files"), "{}", said.messages);
    assert_eq!(person.run(&["ls"]).ok().output, "backup/\n");
    let listed = person.run(&["ls", "backup/photos"]).ok().output;
    assert_eq!(listed, "0/\n1/\n2/\nlarge.raw\n");

    person.run(&["download", "-r", "backup/photos", "-o", "out", "-q"]).ok();
    assert!(same(&person.path("photos"), &person.path("out/photos")));

    let said = person.run(&["upload", "-r", "photos", "--prefix", "backup"]).ok();
    assert!(said.messages.contains("301 already there"), "{}", said.messages);
    let said = person.run(&["rm", "-r", "backup"]).ok();
    assert!(said.messages.contains("removed 301 files"), "{}", said.messages);
    assert_eq!(person.run(&["ls"]).ok().output, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn standard_input_goes_up_and_standard_output_brings_it_down() {
    let person = Person::new().await;
    for size in [0, 10, 20 << 20] {
        let bytes = fs::read(person.write("input", size)).unwrap();
        let name = format!("input {size}");
        let mut upload = person.command(&["upload", "-", "--name", &name]);
        let mut upload = upload.stdin(Stdio::piped()).spawn().unwrap();
        upload.stdin.take().unwrap().write_all(&bytes).unwrap();
        let output = upload.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let down = person.command(&["download", &name, "-o", "-"]).output().unwrap();
        assert!(down.stdout == bytes, "{size} bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_renamed_and_removed() {
    let person = Person::new().await;
    person.write("a", 3);
    person.run(&["upload", "a"]).ok();
    person.run(&["mv", "a", "old/"]).ok();
    assert_eq!(person.run(&["ls", "-r"]).ok().output, "old/a\n");
    person.run(&["rm", "old/a", "--dry-run"]).ok();
    person.run(&["rm", "old/a"]).ok();
    assert_eq!(person.run(&["stat", "old/a"]).code, 4);
}
