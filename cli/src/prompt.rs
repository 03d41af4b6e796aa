//! Asking people for what is not on the command line. Passwords and tokens never
//! are: everybody on the machine can read those.

use std::{
    fs,
    io::{self, BufRead, IsTerminal, Read, Write},
    path::Path,
};

use console::Term;

use crate::{exit::Exit, failure::Failure};

/// Nothing that is a secret is longer.
const LONGEST: u64 = 64 * 1024;

/// Whether somebody is there to be asked.
pub(crate) fn somebody_is_here() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks a question and reads a line. On standard error: standard output is for
/// results.
pub(crate) fn line(question: &str) -> Result<String, Failure> {
    let mut output = io::stderr().lock();
    write!(output, "{question}")?;
    output.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(answer.trim().to_owned())
}

/// The same for what must not be seen.
pub(crate) fn secret(question: &str) -> Result<String, Failure> {
    let mut output = io::stderr().lock();
    write!(output, "{question}")?;
    output.flush()?;
    Term::stderr()
        .read_secure_line()
        .map_err(|error| Failure::new(Exit::Other, format!("the terminal cannot be read: {error}")))
}

/// What the option says, or else whoever is at the terminal.
pub(crate) fn address(given: Option<String>) -> Result<String, Failure> {
    match given {
        Some(address) => Ok(address),
        None if somebody_is_here() => line("Address: "),
        None => Err(nobody("an address", "--email")),
    }
}

/// A password from a file, or else from whoever is at the terminal.
pub(crate) fn password(
    question: &str,
    file: Option<&Path>,
    option: &str,
) -> Result<String, Failure> {
    match file {
        Some(path) => secret_in(path),
        None if somebody_is_here() => secret(question),
        None => Err(nobody("a password", option)),
    }
}

/// The same for one that is new: at the terminal it is typed twice.
pub(crate) fn new_password(file: Option<&Path>, option: &str) -> Result<String, Failure> {
    let password = password("New password: ", file, option)?;
    if file.is_none() && secret("The same once more: ")? != password {
        return Err(Failure::new(Exit::Other, "these were two passwords; nothing was done"));
    }
    Ok(password)
}

/// A secret in a file, `-` being standard input, without the end of its line.
pub(crate) fn secret_in(path: &Path) -> Result<String, Failure> {
    let read = || {
        let mut text = String::new();
        if path == Path::new("-") {
            io::stdin().lock().take(LONGEST).read_to_string(&mut text)?;
        } else {
            fs::File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
        }
        Ok(text)
    };
    let name =
        if path == Path::new("-") { "standard input".into() } else { path.to_string_lossy() };
    let text = read().map_err(|error: io::Error| {
        let exit = match error.kind() {
            io::ErrorKind::NotFound => Exit::NotFound,
            _ => Exit::Other,
        };
        Failure::new(exit, format!("cannot read {name}: {error}"))
    })?;
    let secret = text.trim_end_matches(['\r', '\n']);
    match secret.is_empty() {
        true => Err(Failure::usage(format!("there is nothing in {name}"))),
        false => Ok(secret.to_owned()),
    }
}

fn nobody(what: &str, option: &str) -> Failure {
    Failure::usage(format!("nobody is here to type {what}")).hint(format!("give it with {option}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_what_stands_before_the_end_of_the_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        for (text, secret) in
            [("a b ", "a b "), ("a\n", "a"), ("a\r\n", "a"), (" a\n\n", " a"), ("a\nb\n", "a\nb")]
        {
            fs::write(&path, text).unwrap();
            assert_eq!(secret_in(&path).unwrap(), secret, "{text:?}");
        }
        fs::write(&path, "\n").unwrap();
        assert_eq!(secret_in(&path).unwrap_err().exit, Exit::Usage);
        let missing = secret_in(&folder.path().join("missing")).unwrap_err();
        assert_eq!(missing.exit, Exit::NotFound);
    }
}
