//! Completions, manual pages and help: what shells and people are given.

use std::process::Stdio;

use sluice_tests::{Terminal, argument};
use tokio::process::Command;

/// No line of help is longer.
const WIDTH: usize = 100;

async fn printed(terminal: &Terminal, arguments: &[&str]) -> String {
    let ended = terminal.run(arguments).await;
    String::from_utf8(ended.assert_code(0).stdout.clone()).unwrap()
}

#[tokio::test]
async fn bash_completes_commands_and_options() {
    let terminal = Terminal::without_server();
    let script = printed(&terminal, &["completions", "bash"]).await;
    std::fs::write(terminal.path("sluice.bash"), script).unwrap();
    let asked = r#"
        set -eu
        source "$1"
        complete -p sluice >/dev/null
        try() {
            COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
            _sluice sluice "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}" || true
            echo "${COMPREPLY[*]}"
        }
        try sluice up
        try sluice uploads a
        try sluice ls --js
    "#;
    let output = Command::new("bash")
        .args(["--norc", "-c", asked, "bash"])
        .arg(terminal.path("sluice.bash"))
        .stdin(Stdio::null())
        .output()
        .await
        .expect("bash is there");
    let completed = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let lines: Vec<_> = completed.lines().collect();
    assert!(lines[0].contains("upload") && lines[0].contains("uploads"), "{completed}{errors}");
    assert!(lines[1].contains("abort"), "{completed}{errors}");
    assert!(lines[2].contains("--json"), "{completed}{errors}");
}

#[tokio::test]
async fn every_shell_has_completions() {
    let terminal = Terminal::without_server();
    for (shell, part) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef sluice"),
        ("fish", "complete -c sluice"),
        ("powershell", "Register-ArgumentCompleter"),
        ("elvish", "edit:completion:arg-completer[sluice]"),
    ] {
        let script = printed(&terminal, &["completions", shell]).await;
        assert!(script.contains(part) && script.contains("uploads"), "{shell}");
    }
    terminal.run(&["completions", "tcsh"]).await.assert_code(2);
}

#[tokio::test]
async fn every_command_has_a_manual_page() {
    let terminal = Terminal::without_server();
    let folder = argument(&terminal.path("man1"));
    terminal.run(&["man", "--out", &folder]).await.assert_code(0);
    let commands = commands(&terminal).await;
    assert!(commands.len() > 15, "{commands:?}");
    for command in &commands {
        let name = [&["sluice".to_owned()], &command[..]].concat().join("-");
        let path = terminal.path("man1").join(format!("{name}.1"));
        let page = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        let alone = printed(&terminal, &[&["man"], &arguments[..]].concat()).await;
        assert_eq!(alone, page, "{name}");
        for section in [".TH", ".SH NAME", ".SH SYNOPSIS", ".SH DESCRIPTION"] {
            assert!(page.contains(section), "{name} has no {section}");
        }
        if let Some(complaint) = complaint(&path).await {
            panic!("{name}: {complaint}");
        }
    }
    terminal.run(&["man", "no-such-command"]).await.assert_code(2);
}

/// What the formatter has to say, where there is one.
async fn complaint(page: &std::path::Path) -> Option<String> {
    let mut groff = Command::new("groff");
    let groff =
        groff.args(["-K", "utf8", "-man", "-ww", "-z", "-Tutf8"]).arg(page).stdin(Stdio::null());
    let output = groff.output().await.ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (!output.status.success() || !said.is_empty()).then_some(said)
}

/// Every command and what is below it; the first one has no name.
async fn commands(terminal: &Terminal) -> Vec<Vec<String>> {
    let mut found = vec![Vec::new()];
    let mut next = 0;
    while next < found.len() {
        let command: Vec<String> = found[next].clone();
        next += 1;
        let mut arguments: Vec<_> = command.iter().map(String::as_str).collect();
        arguments.push("--help");
        let help = printed(terminal, &arguments).await;
        let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in listed.take_while(|line| line.starts_with("  ")) {
            // Descriptions that need a second line are indented further.
            let name = line.strip_prefix("  ").filter(|rest| !rest.starts_with(' '));
            let name = name.and_then(|rest| rest.split_whitespace().next());
            if let Some(name) = name.filter(|name| *name != "help") {
                found.push([&command[..], &[name.to_owned()]].concat());
            }
        }
    }
    found
}

#[tokio::test]
async fn every_command_explains_itself() {
    let terminal = Terminal::without_server();
    for command in commands(&terminal).await {
        let arguments: Vec<_> = command.iter().map(String::as_str).collect();
        let name = arguments.join(" ");
        let [short, long] = ["-h", "--help"].map(|flag| [&arguments[..], &[flag]].concat());
        let (short, long) = (printed(&terminal, &short).await, printed(&terminal, &long).await);
        for help in [&short, &long] {
            let longest = help.lines().map(|line| line.chars().count()).max().unwrap_or(0);
            assert!(longest <= WIDTH, "a line of {name} has {longest} characters:\n{help}");
            let first = help.lines().next().unwrap_or_default();
            assert!(first.chars().count() > 8, "{name} is not described:\n{help}");
        }
        let is_group = long.contains("\nCommands:\n");
        let example = format!("  sluice {}", arguments.first().copied().unwrap_or_default());
        assert!(is_group || long.contains("Examples:\n"), "{name} has no example:\n{long}");
        assert!(is_group || long.contains(&example), "{name} has no example:\n{long}");
        let lines = short.lines().count();
        assert!(lines <= 70, "{name} needs {lines} lines where a glance should do:\n{short}");
    }
}
