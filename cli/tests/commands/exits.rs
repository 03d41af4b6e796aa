//! How commands end when they do not go well. Scripts rely on the numbers.

use std::fs;

use crate::Person;

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_has_its_number_and_says_what_to_do() {
    let person = Person::new().await;
    person.write("a", 3);
    fs::create_dir(person.path("folder")).unwrap();
    person.run(&["upload", "a"]).ok();
    person.write("b", 4);
    person.run(&["upload", "b", "--name", "n/a"]).ok();
    for (code, arguments, text) in [
        (2, &["upload"][..], "PATH"),
        (2, &["upload", "folder"], "-r"),
        (2, &["upload", "-"], "--name"),
        (2, &["ls", "--server", "ftp://x"], "http://"),
        (4, &["upload", "missing"], "missing"),
        (4, &["stat", "missing"], "sluice ls"),
        (4, &["download", "missing"], "missing"),
        (4, &["rm", "missing"], "missing"),
        (4, &["ls", "missing"], "missing"),
        (5, &["ls", "--server", "127.0.0.1:1"], "sluice serve"),
        (6, &["upload", "b", "--name", "a"], "--on-conflict replace"),
        (6, &["upload", "b", "--name", "../b"], "relative path"),
        (11, &["ls", "--api-key-file", "a"], "API key"),
        (11, &["ls", "--server", "http://files.invalid"], "SLUICE_API_KEY"),
        (13, &["upload", "a", "b", "--prefix", "n"], "n/a"),
        (13, &["rm", "a", "missing"], "missing"),
    ] {
        let said = person.run(arguments);
        assert_eq!(said.code, code, "{arguments:?}: {}", said.messages);
        assert!(said.messages.contains(text), "{arguments:?}: {}", said.messages);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_is_no_conflict() {
    let person = Person::new().await;
    for size in [3, 9 << 20] {
        let name = format!("file {size}");
        person.write(&name, size);
        person.run(&["upload", &name]).ok();
        let again = person.run(&["upload", &name, "--json"]).ok();
        assert_eq!(again.events()[0]["event"], "skipped");
        let mut bytes = fs::read(person.path(&name)).unwrap();
        bytes[0] ^= 1;
        fs::write(person.path(&name), bytes).unwrap();
        let said = person.run(&["upload", &name, "--json"]);
        assert_eq!((said.code, said.events()[0]["code"].as_u64()), (6, Some(6)));
        person.run(&["upload", &name, "--on-conflict", "replace"]).ok();
    }
}
