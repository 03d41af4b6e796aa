//! Sluice without a disk.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Result;
use async_trait::async_trait;
use bytes::Bytes;
use secrecy::ExposeSecret;
use sluice_domain::{Crc32c, Epoch, Error, PartNumber, PartPlan, UploadId};
use sluice_server::{
    adapters::embedded::DataFolder,
    app,
    config::{Config, Overrides},
    ports::{
        AnswerHeaders, BlobReader, BlobStore, ForeignPart, PartWriter, Persisted, Sealed,
        SignedRequest, StoredPart,
    },
    service::identity::access,
};
use tokio::net::TcpListener;

/// Serves until the process is killed. Everything is as in `sluice serve`, but
/// for where the bytes go.
pub(crate) async fn serve(data: PathBuf) -> Result<()> {
    let config = Config::load(&Overrides::default(), &data)?;
    let folder = DataFolder::open(&data)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let mut context = app::embedded(&config, &folder, &url)?;
    context.blobs = Arc::new(DiscardingBlobs);
    access::install_operator_key(&context, folder.api_key()?.expose_secret()).await?;
    let ready = |_: &_| {
        println!("listening on {url}");
        Ok(())
    };
    Ok(app::run_with(&config, context, listener, std::future::pending(), ready).await?)
}

/// Storage that keeps nothing.
struct DiscardingBlobs;

/// Takes the bytes of a part.
struct DiscardingWriter;

#[async_trait]
impl BlobStore for DiscardingBlobs {
    async fn claim_part(
        &self,
        _upload: UploadId,
        _epoch: Epoch,
        _part: PartNumber,
    ) -> sluice_domain::Result<Box<dyn PartWriter>> {
        Ok(Box::new(DiscardingWriter))
    }

    async fn fence(&self, _upload: UploadId, _epoch: Epoch) {}

    async fn sign_parts(
        &self,
        _upload: UploadId,
        _parts: Vec<ForeignPart>,
        _lifetime: Duration,
    ) -> sluice_domain::Result<Option<Vec<SignedRequest>>> {
        Ok(None)
    }

    async fn find_parts(
        &self,
        _upload: UploadId,
        _parts: BTreeSet<PartNumber>,
    ) -> sluice_domain::Result<Vec<StoredPart>> {
        Ok(Vec::new())
    }

    async fn sign_read(
        &self,
        _upload: UploadId,
        _lifetime: Duration,
        _headers: AnswerHeaders,
    ) -> sluice_domain::Result<Option<String>> {
        Ok(None)
    }

    async fn is_sealed(&self, _upload: UploadId, _size: u64) -> sluice_domain::Result<bool> {
        Ok(false)
    }

    async fn seal(&self, _upload: UploadId, _size: u64) -> sluice_domain::Result<Sealed> {
        Ok(Sealed::Whole)
    }

    async fn open(&self, _upload: UploadId) -> sluice_domain::Result<Arc<dyn BlobReader>> {
        Err(Error::storage_io("this storage keeps nothing"))
    }

    async fn delete(&self, _upload: UploadId) -> sluice_domain::Result<()> {
        Ok(())
    }

    async fn check_health(&self) -> sluice_domain::Result<()> {
        Ok(())
    }
}

#[async_trait]
impl PartWriter for DiscardingWriter {
    async fn begin(&mut self, _plan: PartPlan) -> sluice_domain::Result<()> {
        Ok(())
    }

    async fn write(&mut self, _bytes: Bytes) -> sluice_domain::Result<()> {
        Ok(())
    }

    async fn persist(&mut self, _crc32c: Crc32c) -> sluice_domain::Result<Persisted> {
        Ok(Persisted::Stored(None))
    }

    async fn abandon(self: Box<Self>) {}
}
