//! Pages of other origins, and of none.

use bytes::Bytes;
use http::{Method, StatusCode};
use sluice_proto::v1::{GetCapabilitiesRequest, GetUploadRequest};
use sluice_tests::{Http, Server, Web};

const OURS: &str = "https://app.example.com";
const THEIRS: &str = "https://evil.example.com";
const PATH: &str = "/sluice.v1.CapabilitiesService/GetCapabilities";

async fn server() -> Server {
    Server::with()
        .setting("SLUICE__SERVER__ALLOWED_ORIGINS", &format!("[\"{OURS}\"]"))
        .start()
        .await
}

#[tokio::test]
async fn pages_of_allowed_origins_may_call_and_others_may_not() {
    let server = server().await;
    for http in [Http::One, Http::Two] {
        for (origin, allowed) in [(OURS, OURS), (THEIRS, ""), ("null", "")] {
            let asks = Web::anonymous(&server, http)
                .header("origin", origin)
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,content-type,x-grpc-web");
            let answer = asks.send(Method::OPTIONS, PATH, Vec::new()).await.unwrap();
            assert_eq!(answer.http_status, StatusCode::OK);
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
            if !allowed.is_empty() {
                let headers = answer.header("access-control-allow-headers");
                assert!(headers.contains("authorization") && headers.contains("x-grpc-web"));
                assert_eq!(answer.header("access-control-allow-credentials"), "true");
                assert_eq!(answer.header("access-control-max-age"), "7200");
            }
            let web = Web::anonymous(&server, http).header("origin", origin);
            let answer = web.call(PATH, [GetCapabilitiesRequest {}]).await.unwrap();
            assert_eq!(answer.header("access-control-allow-origin"), allowed);
        }
    }
}

#[tokio::test]
async fn refusals_can_be_read_by_the_page_too() {
    let server = server().await;
    let request = GetUploadRequest { upload_id: "upl_no".into() };
    for http in [Http::One, Http::Two] {
        let web = Web::anonymous(&server, http).header("origin", OURS);
        let path = "/sluice.v1.UploadService/GetUpload";
        let answer = web.call(path, [request.clone()]).await.unwrap();
        assert_eq!(answer.header("access-control-allow-origin"), OURS);
        let exposed = answer.header("access-control-expose-headers");
        for name in ["grpc-status", "grpc-message", "grpc-status-details-bin"] {
            assert!(exposed.contains(name), "{exposed}");
            assert!(!answer.header(name).is_empty(), "{name}");
        }
    }
}

#[tokio::test]
async fn what_a_form_can_send_reaches_no_method() {
    let server = server().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
        for http in [Http::One, Http::Two] {
            let web = Web::new(&server, http)
                .header("content-type", content_type)
                .header("origin", THEIRS);
            let body = Bytes::from_static(&[0, 0, 0, 0, 0]);
            let answer = web.send(Method::POST, PATH, vec![body]).await.unwrap();
            assert_eq!(answer.http_status, StatusCode::NOT_FOUND, "{content_type}");
            assert!(answer.status.is_none());
        }
    }
}
