//! Compares what the server says with what the model knows.

use sluice_proto::v1::{
    File, ListFilesRequest, ListUploadsRequest, list_files_request::OrderBy, upload::State,
};
use sluice_tests::persisted;

use super::player::Player;

impl Player {
    pub(super) async fn compare_upload(&self, index: usize) {
        let upload = &self.world.uploads[index];
        let seen = self.client.upload(&upload.id).await.unwrap();
        assert_eq!(seen.state(), upload.state);
        assert_eq!(seen.writer_epoch, upload.epoch);
        assert_eq!(seen.size.map(|size| size as u64), upload.size, "another size");
        let has_bytes = match upload.file {
            Some(file) => self.world.files[file].exists,
            None => upload.state == State::Active,
        };
        if has_bytes {
            assert_eq!(persisted(&seen), upload.ranges());
            assert_eq!(seen.persisted_bytes as u64, upload.persisted());
        }
    }

    /// Compares everything that the server knows with the model.
    pub(super) async fn compare_all(&self) {
        for index in 0..self.world.uploads.len() {
            self.compare_upload(index).await;
        }
        let request = ListUploadsRequest { page_size: 1000, ..Default::default() };
        let listed = self.client.list_uploads(request).await.unwrap().uploads;
        let listed: Vec<_> = listed.into_iter().map(|upload| upload.id).collect();
        let newest_first: Vec<_> =
            self.world.uploads.iter().rev().map(|upload| upload.id.clone()).collect();
        assert_eq!(listed, newest_first);

        let mut files: Vec<_> = self.world.files.iter().filter(|file| file.exists).collect();
        files.reverse();
        let by_time = self.list(OrderBy::CreateTime).await;
        assert_eq!(by_time, files.iter().map(|file| file.record.clone()).collect::<Vec<_>>());
        files.sort_by(|a, b| a.record.name.cmp(&b.record.name));
        let by_name = self.list(OrderBy::Name).await;
        assert_eq!(by_name, files.iter().map(|file| file.record.clone()).collect::<Vec<_>>());
        for file in files {
            let bytes = self.client.read(&file.record.id, 0, 0).await.unwrap();
            assert!(bytes == file.content, "{} has other bytes", file.record.name);
            let checksums = file.record.checksums.as_ref().unwrap();
            assert_eq!(checksums.blake3, blake3::hash(&bytes).as_bytes().as_slice());
        }
    }

    async fn list(&self, order_by: OrderBy) -> Vec<File> {
        let request =
            ListFilesRequest { page_size: 1000, order_by: order_by.into(), ..Default::default() };
        self.client.list_files(request).await.unwrap().files
    }
}
