//! Uploads a file and shows how it goes:
//! `SLUICE_SERVER=… SLUICE_API_KEY=… cargo run -p sluice-sdk --example upload`
//!
//! The lines in `main` stand in the README.

use std::env;

use sluice_sdk::{Client, Source, UploadOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client =
        Client::builder(env::var("SLUICE_SERVER")?).api_key(env::var("SLUICE_API_KEY")?).build()?;
    let options = UploadOptions::new().on_progress(|progress| {
        println!("{} of {} bytes", progress.persisted, progress.total.unwrap_or(0));
    });
    let uploaded = client.upload(Source::path("holiday.mp4"), options).await?;
    println!("it is {}", uploaded.file.id);
    Ok(())
}
