//! Every input that was ever worth keeping, without a fuzzer.

use std::{fs, path::Path};

#[test]
fn every_target_has_inputs_and_takes_them_all() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, check) in sluice_fuzz::TARGETS {
        let entries = fs::read_dir(corpus.join(target)).expect("a target has a corpus");
        let mut taken = 0;
        for entry in entries {
            let path = entry.expect("a readable folder").path();
            println!("{}", path.display());
            check(&fs::read(path).expect("a readable input"));
            taken += 1;
        }
        assert!(taken > 0, "{target} has no inputs");
        check(&[]);
    }
}
