//! Compiles the `.proto` files in Rust, so that no `protoc` has to be installed.

use std::{env, error::Error, fs, path::Path};

use prost::Message;

const FILES: [&str; 8] = [
    "sluice/v1/common.proto",
    "sluice/v1/upload.proto",
    "sluice/v1/file.proto",
    "sluice/v1/event.proto",
    "sluice/v1/capabilities.proto",
    "sluice/v1/account.proto",
    "sluice/v1/admin.proto",
    "sluice/v1/auth.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=sluice");
    let descriptors = protox::compile(FILES, ["."])?;

    // Comments are for the generated code; reflection has no use for them.
    let mut reflected = descriptors.clone();
    for file in &mut reflected.file {
        file.source_code_info = None;
    }
    let out_dir = env::var("OUT_DIR")?;
    fs::write(Path::new(&out_dir).join("sluice_descriptor.bin"), reflected.encode_to_vec())?;

    tonic_prost_build::configure()
        // Frames stay slices of the buffer they arrived in.
        .bytes(".")
        // Equal messages encode to equal bytes.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
