//! The way to a server, step by step and without the SDK.

use std::{
    net::SocketAddr,
    time::{Duration, Instant, SystemTime},
};

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use x509_parser::{certificate::X509Certificate, prelude::FromDer};

use super::Finding;
use crate::{
    exit::Exit,
    failure::Failure,
    handshake::{self, Refusal, Secured},
    settings::Settings,
};

/// No step takes longer, unless it is not going to happen.
const LIMIT: Duration = Duration::from_secs(5);
/// A certificate that ends sooner should be on its way out.
const RENEW_BEFORE: u64 = 14;
/// Clocks that differ by more make links end early and logs hard to read.
const MOST_SKEW: Duration = Duration::from_secs(30);
/// Probes answer a line.
const MOST_ANSWER: usize = 64 * 1024;

/// The variables by which other programs find a proxy.
const PROXIES: [&str; 6] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"];

/// A probe's answer.
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// The server's clock.
    pub(super) date: Option<SystemTime>,
}

/// Proxies that other programs would use.
pub(super) fn proxies() -> Finding {
    let set: Vec<_> = PROXIES
        .into_iter()
        .filter(|name| std::env::var_os(name).is_some_and(|it| !it.is_empty()))
        .collect();
    match &set[..] {
        [] => Finding::ok("none is set"),
        set => Finding::warning(
            format!("{} is set, and not used: sluice connects directly", set.join(", ")),
            "if there is no other way out, ask the proxy's operator to pass the server's port on",
        ),
    }
}

/// Looks the server's name up.
pub(super) async fn resolve(host: &str, port: u16) -> Result<(Vec<SocketAddr>, Finding), Finding> {
    let started = Instant::now();
    let fail = |problem: String| {
        let failure = Failure::new(Exit::Temporary, format!("{host} is not known: {problem}"));
        Finding::from(failure.hint("check the spelling of the address, and this machine's DNS"))
    };
    match timeout(LIMIT, handshake::addresses(host, port)).await {
        Ok(Ok(found)) if !found.is_empty() => {
            let shown: Vec<_> = found.iter().map(|address| address.ip().to_string()).collect();
            let finding = Finding::ok(format!("{host} is {}", shown.join(", ")));
            Ok((found, finding.took(started.elapsed())))
        }
        Ok(Ok(_)) => Err(fail("it has no address".to_owned())),
        Ok(Err(error)) => Err(fail(error.to_string())),
        Err(_) => Err(fail(format!("no answer for {} s", LIMIT.as_secs()))),
    }
}

/// Connects to the first address that takes a connection.
pub(super) async fn connect(
    addresses: &[SocketAddr],
    settings: &Settings,
) -> (Option<SocketAddr>, Finding) {
    let mut problems = Vec::new();
    for address in addresses {
        let started = Instant::now();
        match timeout(LIMIT, TcpStream::connect(address)).await {
            Ok(Ok(_)) => {
                let finding = Finding::ok(format!("connected to {address}"));
                return (Some(*address), finding.took(started.elapsed()));
            }
            Ok(Err(error)) => problems.push(format!("{address}: {error}")),
            Err(_) => problems.push(format!("{address}: no answer for {} s", LIMIT.as_secs())),
        }
    }
    let failure = Failure::new(Exit::Temporary, problems.join("; "));
    (None, failure.hint(settings.reaching_hint("")).into())
}

/// Secures a connection, and looks at what the server shows.
pub(super) async fn secure(settings: &Settings) -> Finding {
    let started = Instant::now();
    match handshake::with(settings).await {
        Ok(secured) => certificate(&secured).took(started.elapsed()),
        Err(Refusal::Certificate(why)) => settings.distrust(&why).into(),
        Err(Refusal::Other(why)) => {
            let hint =
                settings.reaching_hint(&why.replace("InvalidContentType", "corrupt message"));
            Failure::new(Exit::Temporary, format!("no handshake: {why}")).hint(hint).into()
        }
    }
}

fn certificate(secured: &Secured) -> Finding {
    let version = secured.version.and_then(|version| version.as_str().map(str::to_owned));
    let version = version.unwrap_or_default().replace("TLSv1_", "TLS 1.");
    let Some(days) = secured.certificates.first().and_then(|own| days_left(own)) else {
        return Finding::warning(format!("{version}; the certificate is unreadable"), "renew it");
    };
    let message = format!("{version}; the certificate ends in {days} days");
    if !secured.http2 {
        return Failure::new(Exit::Other, format!("{message}; the server does not offer HTTP/2"))
            .hint("a proxy in between has to pass HTTP/2 on, with gRPC in it")
            .into();
    }
    match days < RENEW_BEFORE {
        true => Finding::warning(message, "its operator should renew it now"),
        false => Finding::ok(message),
    }
}

fn days_left(der: &[u8]) -> Option<u64> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let left = certificate.validity().time_to_expiration()?;
    u64::try_from(left.whole_days()).ok()
}

/// Asks a probe over plain HTTP/1.1, as those who watch servers do.
pub(super) async fn probe(
    settings: &Settings,
    address: SocketAddr,
    path: &str,
) -> Result<Answer, String> {
    let (host, port) = handshake::host_and_port(&settings.server.value);
    let asking = async {
        let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
        let request = Request::get(path)
            .header(header::HOST, format!("{host}:{port}"))
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .map_err(|error| error.to_string())?;
        if settings.is_secure() {
            let stream = handshake::begin(settings, &host, stream, &[b"http/1.1"]).await;
            let stream = stream.map_err(|refusal| refusal.text().to_owned())?;
            ask(TokioIo::new(stream), request).await
        } else {
            ask(TokioIo::new(stream), request).await
        }
    };
    timeout(LIMIT, asking)
        .await
        .unwrap_or_else(|_| Err(format!("no answer for {} s", LIMIT.as_secs())))
}

async fn ask<T>(stream: T, request: Request<Empty<Bytes>>) -> Result<Answer, String>
where
    T: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let text = |error: hyper::Error| error.to_string();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(stream).await.map_err(text)?;
    tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(text)?;
    let status = answer.status();
    let date = answer.headers().get(header::DATE).and_then(|date| date.to_str().ok());
    let date = date.and_then(|date| httpdate::parse_http_date(date).ok());
    let body = Limited::new(answer.into_body(), MOST_ANSWER).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    Ok(Answer { status, text: String::from_utf8_lossy(&body).trim().to_owned(), date })
}

/// Compares the clocks.
#[expect(clippy::disallowed_methods, reason = "this is about this machine's own clock")]
pub(super) fn clock(server: Option<SystemTime>) -> Finding {
    let Some(server) = server else {
        return Finding::skipped("the server does not tell its time");
    };
    let now = SystemTime::now();
    let (apart, word) = match now.duration_since(server) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    };
    if apart <= MOST_SKEW {
        return Finding::ok("agrees with the server's");
    }
    let apart = humantime::format_duration(Duration::from_secs(apart.as_secs()));
    Finding::warning(
        format!("this machine's clock is {apart} {word} the server's"),
        "set one of them by NTP: links end early or late, and certificates look wrong",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "this is about this machine's own clock")]
    fn clocks_that_are_apart_are_told() {
        let now = SystemTime::now();
        let text = |server| format!("{:?}", clock(server));
        assert!(text(Some(now)).contains("Ok"));
        assert!(text(Some(now - Duration::from_secs(3600))).contains("ahead of"));
        assert!(text(Some(now + Duration::from_secs(3600))).contains("behind"));
        assert!(text(None).contains("Skipped"));
    }
}
