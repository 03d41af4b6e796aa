//! gRPC health: one answer for each service.

use sluice_proto::v1::{
    account_service_server::AccountServiceServer, admin_service_server::AdminServiceServer,
    auth_service_server::AuthServiceServer, capabilities_service_server::CapabilitiesServiceServer,
    event_service_server::EventServiceServer, file_service_server::FileServiceServer,
    upload_service_server::UploadServiceServer,
};
use tonic_health::{
    pb::health_server::HealthServer,
    server::{HealthReporter, HealthService},
};

use super::{
    account_service::Accounts, admin_service::Admin, auth_service::Auth,
    capabilities_service::Capabilities, event_service::Events, file_service::Files,
    upload_service::Uploads,
};

/// What the health service says, and the service.
#[derive(Clone)]
pub struct Health {
    reporter: HealthReporter,
}

impl Default for Health {
    fn default() -> Self {
        Self { reporter: HealthReporter::new() }
    }
}

impl Health {
    pub(super) fn service(&self) -> HealthServer<HealthService> {
        HealthServer::new(HealthService::from_health_reporter(self.reporter.clone()))
    }

    /// Says of every service whether it serves.
    pub async fn set_serving(&self, serving: bool) {
        let status = match serving {
            true => tonic_health::ServingStatus::Serving,
            false => tonic_health::ServingStatus::NotServing,
        };
        let names = [
            "",
            <UploadServiceServer<Uploads> as tonic::server::NamedService>::NAME,
            <FileServiceServer<Files> as tonic::server::NamedService>::NAME,
            <EventServiceServer<Events> as tonic::server::NamedService>::NAME,
            <CapabilitiesServiceServer<Capabilities> as tonic::server::NamedService>::NAME,
            <AuthServiceServer<Auth> as tonic::server::NamedService>::NAME,
            <AccountServiceServer<Accounts> as tonic::server::NamedService>::NAME,
            <AdminServiceServer<Admin> as tonic::server::NamedService>::NAME,
        ];
        for name in names {
            self.reporter.set_service_status(name, status).await;
        }
    }
}
