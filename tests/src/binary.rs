//! The program under test.

use std::{env, path::PathBuf};

/// The `sluice` binary: what `SLUICE_BIN` names, or the one that Cargo put next
/// to the test executable.
pub fn binary() -> PathBuf {
    if let Some(path) = env::var_os("SLUICE_BIN") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "SLUICE_BIN names {}, which is no file", path.display());
        return path;
    }
    let test = env::current_exe().expect("the test knows its own path");
    let path = test
        .ancestors()
        .nth(2)
        .expect("test executables are in <profile>/deps")
        .join(format!("sluice{}", env::consts::EXE_SUFFIX));
    assert!(
        path.is_file(),
        "{} is missing: build it with `cargo build --release -p sluice-cli`, or name another with \
         SLUICE_BIN",
        path.display()
    );
    path
}
