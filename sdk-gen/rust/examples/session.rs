//! Signs in as a person and makes an API key: `SLUICE_SERVER=… EMAIL=… PASSWORD=…
//! cargo run -p sluice-sdk --example session`
//!
//! The lines in `main` stand in the README.

use std::env;

use sluice_sdk::{Client, MemoryStore, Scope, v1::LoginRequest};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let anonymous = Client::builder(env::var("SLUICE_SERVER")?).build()?;
    let (email, password) = (env::var("EMAIL")?, env::var("PASSWORD")?);
    let request = LoginRequest { email, password, ..Default::default() };
    let signed_in = anonymous.login(request).await?;
    let client = anonymous.with_session(MemoryStore::new(signed_in.tokens))?;
    println!("hello, {}", client.account().await?.display_name);
    let key = client.create_api_key("backup", [Scope::FilesRead], None).await?;
    println!("the secret is shown once: {}", !key.secret.is_empty());
    client.revoke_api_key(key.api_key.id).await?;
    client.logout().await?;
    Ok(())
}
