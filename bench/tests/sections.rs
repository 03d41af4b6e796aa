//! The sections that need nothing but Sluice can be measured, with sizes that
//! say nothing but that it works.

use std::process::Command;

#[test]
fn the_core_and_transport_sections_measure_every_row() {
    let folder = tempfile::tempdir().unwrap();
    let stored = folder.path().join("results.json");
    let bench = || Command::new(env!("CARGO_BIN_EXE_sluice-bench"));
    let run = bench()
        .args([
            "--section",
            "core",
            "--section",
            "transport",
            "--rounds",
            "1",
            "--size",
            "9",
            "--small-files",
            "40",
        ])
        .arg("--folder")
        .arg(folder.path())
        .arg("--sluice")
        .arg(sluice_tests::binary())
        .arg("--json")
        .arg(&stored)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stdout);
    assert!(run.status.success(), "{told}{}", String::from_utf8_lossy(&run.stderr));
    for row in [
        "| raw TCP × 4 |",
        "| Sluice × 4, CRC32C at both ends |",
        "| Sluice × 4, whole but for the disk: CRC32C, BLAKE3, records |",
        "| TCP → file → fdatasync → ack |",
        "| Sluice upload, 1 stream |",
        "| Sluice upload, 4 streams |",
        "| 4 KiB: create + fsync + rename + folder sync, 32 threads |",
        "| 4 KiB: Sluice, 32 clients |",
        "| durable upload, 1 stream / TCP → file → fdatasync → ack |",
        "| server CPU of a durable upload, 1 stream, s/GiB (less is better) |",
        "| 4 KiB files, 32 clients / create + fsync + rename + folder sync, 32 threads |",
    ] {
        assert_eq!(told.matches(row).count(), 1, "{row} is not there once:\n{told}");
    }
    let again = bench().arg("report").arg(&stored).output().unwrap();
    assert_eq!(again.stdout, run.stdout);

    let left: Vec<_> = folder.path().read_dir().unwrap().flatten().collect();
    assert_eq!(left.len(), 1, "something was left behind: {left:?}");
}
