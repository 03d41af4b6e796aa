//! Finds, downloads, watches and deletes a file, and goes on with an upload that was
//! stopped: `SLUICE_SERVER=… SLUICE_API_KEY=… cargo run -p sluice-sdk --example files`
//!
//! Parts of `main` stand in the README.

use std::env;

use futures::TryStreamExt;
use sluice_sdk::{
    CancellationToken, Client, DownloadOptions, Event, Source, UploadOptions, WatchQuery,
    v1::file::State,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let client =
        Client::builder(env::var("SLUICE_SERVER")?).api_key(env::var("SLUICE_API_KEY")?).build()?;

    // Somebody presses Ctrl-C when some of it is stored.
    let cancel = CancellationToken::new();
    let options = UploadOptions::new().cancel(cancel.clone()).on_progress(move |progress| {
        if progress.persisted > 0 {
            cancel.cancel();
        }
    });
    let Err(stopped) = client.upload(Source::path("large.iso"), options).await else {
        return Err("it was not stopped".into());
    };

    // This works in another process too, with the id that it has kept.
    let upload_id = stopped.upload_id().ok_or("nothing was stored")?;
    let uploaded =
        client.resume(upload_id, Source::path("large.iso"), UploadOptions::new()).await?;
    println!("{} bytes were there already", uploaded.statistics.resumed);

    let file = client.find("large.iso").await?.ok_or("there is no such file")?;
    client.download(&file.id, "copy.iso", DownloadOptions::new()).await?;

    // What changes, made by whomever; goes on after broken connections.
    let mut events = client.watch(WatchQuery::everything().file(&file.id)).into_stream();
    while let Some(event) = events.try_next().await? {
        match event {
            Event::File(file) if file.state() == State::Ready => break,
            other => println!("{other:?}"),
        }
    }

    client.delete(&file.id).await?;
    Ok(())
}
