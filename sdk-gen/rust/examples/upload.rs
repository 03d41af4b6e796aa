//! Uploads a file and shows how it goes.
//!
//! `SLUICE_API_KEY=… cargo run -p sluice-sdk --example upload -- FILE`

use std::{env, error::Error, path::PathBuf};

use sluice_sdk::{Client, UploadOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let path: PathBuf = env::args_os().nth(1).ok_or("which file?")?.into();
    let server = env::var("SLUICE_SERVER").unwrap_or("http://127.0.0.1:7070".into());
    let client = Client::builder(server).api_key(env::var("SLUICE_API_KEY")?).build()?;

    let options = UploadOptions::new().on_progress(|progress| {
        eprint!("\r{} of {} bytes are stored", progress.persisted, progress.total.unwrap_or(0));
    });
    let uploaded = client.upload(path, options).await?;
    eprintln!();

    let file = uploaded.file;
    println!("{} is {} with {} bytes", file.name, file.id, file.size);
    println!("{} bytes were sent again", uploaded.statistics.resent);
    Ok(())
}
