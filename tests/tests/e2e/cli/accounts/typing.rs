//! What is asked for at a terminal.

use std::{
    fs,
    io::{Read, Write},
    sync::{Arc, Mutex},
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{LocalModes, tcgetattr},
};
use sluice_tests::{PASSWORD, Server, Terminal, ended, eventually};

use super::{LIMIT, person, whoami};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_type_what_must_not_be_seen() {
    let server = Server::with().open_to_all().start().await;
    let ada = person(&server);
    let register = Typing::at(&ada, &["register"]);
    register.answer("Address: ", "Ada@example.com").await;
    register.answer_unseen("New password: ", PASSWORD).await;
    register.answer_unseen("once more: ", PASSWORD).await;
    register.answer_unseen("if you have one: ", "").await;
    let screen = register.ended(0).await;
    assert!(screen.contains("signed in to") && screen.contains("Ada@example.com"), "{screen}");
    assert!(!screen.contains(PASSWORD), "{screen}");
    assert_eq!(whoami(&ada).await["email"], "ada@example.com");

    let login = Typing::at(&ada, &["login", "--email", "ada@example.com"]);
    login.answer_unseen("Password: ", "something else").await;
    assert!(!login.ended(11).await.contains("something else"));
    let bob = Typing::at(&ada, &["register", "--email", "bob@example.com"]);
    bob.answer_unseen("New password: ", PASSWORD).await;
    bob.answer_unseen("once more: ", "something else").await;
    bob.ended(1).await;
    // What was kept before is kept.
    assert_eq!(whoami(&ada).await["email"], "ada@example.com");
}

/// Somebody who answers the questions of a command.
struct Typing {
    child: tokio::process::Child,
    keyboard: Mutex<fs::File>,
    /// Everything on the screen so far.
    screen: Arc<Mutex<String>>,
}

impl Typing {
    fn at(terminal: &Terminal, arguments: &[&str]) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let name = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
        let theirs = || fs::File::options().read(true).write(true).open(&name).unwrap();
        let child = terminal.start_at(arguments, theirs(), theirs());
        let ours = fs::File::from(ours);
        let screen = Arc::<Mutex<String>>::default();
        let (mut output, seen) = (ours.try_clone().unwrap(), Arc::clone(&screen));
        thread::spawn(move || {
            let mut chunk = [0; 1024];
            // An error is that the other side is closed.
            while let Ok(length @ 1..) = output.read(&mut chunk) {
                let text = String::from_utf8_lossy(&chunk[..length]);
                seen.lock().unwrap().push_str(&text);
            }
        });
        Self { child, keyboard: Mutex::new(ours), screen }
    }

    /// Types a line once there is the question.
    async fn answer(&self, question: &str, answer: &str) {
        eventually(question, LIMIT, async || self.screen.lock().unwrap().ends_with(question)).await;
        writeln!(self.keyboard.lock().unwrap(), "{answer}").unwrap();
    }

    /// The same for what must not be seen, once the terminal does not show it.
    async fn answer_unseen(&self, question: &str, answer: &str) {
        let hidden = async || {
            let modes = tcgetattr(&*self.keyboard.lock().unwrap()).unwrap().local_modes;
            !modes.contains(LocalModes::ECHO)
        };
        eventually("the terminal hides what is typed", LIMIT, hidden).await;
        self.answer(question, answer).await;
    }

    /// What was to be seen when it ended with this code.
    async fn ended(self, code: i32) -> String {
        let Self { child, screen, .. } = self;
        let ended = ended(child).await;
        let last = if code == 0 { "signed in" } else { "error:" };
        eventually(last, LIMIT, async || screen.lock().unwrap().contains(last)).await;
        let screen = screen.lock().unwrap().clone();
        assert_eq!(ended.code, Some(code), "{screen}");
        screen
    }
}
