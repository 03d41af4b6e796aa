//! Where a request comes from, and that not too many do from one place.

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use http::{HeaderMap, HeaderName, header::USER_AGENT};
use ipnet::IpNet;

use super::is_grpc;
use crate::{
    api::status::status,
    edge::PeerAddress,
    http::refusal::refusal,
    service::{identity::audit::Origin, rates::Rates},
};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Most characters of a user agent that are kept.
const USER_AGENT_CHARS: usize = 256;

/// What is known of addresses.
#[derive(Clone)]
pub struct Origins {
    /// Proxies that are believed when they say for whom they ask.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How often an address may ask.
    pub rates: Arc<Rates>,
}

/// Says where a request comes from, for what follows; refuses it if too many
/// come from there.
pub async fn check(State(origins): State<Origins>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<PeerAddress>().map(|peer| peer.0);
    let address = peer.map(|peer| client(peer, request.headers(), &origins.trusted_proxies));
    if let Some(address) = address
        && let Err(error) = origins.rates.of_address(address)
    {
        return match is_grpc(request.headers()) {
            true => status(error).into_http(),
            false => refusal(error),
        };
    }
    let agent = request.headers().get(USER_AGENT).and_then(|value| value.to_str().ok());
    let user_agent = agent.unwrap_or_default().chars().take(USER_AGENT_CHARS).collect();
    request.extensions_mut().insert(Origin { address, user_agent });
    next.run(request).await
}

/// The client's address: that of the socket, or, behind trusted proxies, the
/// last one that none of them has. What a client writes in front of it counts
/// for nothing.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let is_trusted =
        |address: IpAddr| trusted.iter().any(|net| net.contains(&address.to_canonical()));
    if !is_trusted(peer) {
        return peer;
    }
    let named = headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok());
    let named: Vec<_> = named.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut client = peer;
    for name in named.into_iter().rev() {
        let Ok(address) = name.parse() else { break };
        client = address;
        if !is_trusted(address) {
            break;
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap()));
        let trusted: Vec<IpNet> = trusted.iter().map(|net| net.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers.collect(), &trusted).to_string()
    }

    #[test]
    fn only_proxies_are_believed() {
        let proxies = ["10.0.0.0/8"];
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], &[]), "192.0.2.1");
        assert_eq!(from("192.0.2.1", &["198.51.100.7"], &proxies), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &["198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(
            from("10.0.0.1", &["1.1.1.1, 198.51.100.7, 10.0.0.2"], &proxies),
            "198.51.100.7"
        );
        assert_eq!(from("10.0.0.1", &["1.1.1.1", "198.51.100.7"], &proxies), "198.51.100.7");
        assert_eq!(from("10.0.0.1", &["198.51.100.7, nonsense"], &proxies), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[], &proxies), "10.0.0.1");
        assert_eq!(from("::ffff:10.0.0.1", &["2001:db8::1"], &proxies), "2001:db8::1");
    }
}
