//! What values must be, wherever they come from.

use http::Uri;

/// An address with its scheme.
pub(crate) fn server(text: &str) -> Result<String, String> {
    let (scheme, rest) = text.trim().split_once("://").unwrap_or(("http", text.trim()));
    let address = format!("{scheme}://{}", rest.trim_end_matches('/'));
    let usable = address.parse::<Uri>().is_ok_and(|uri| {
        matches!(uri.scheme_str(), Some("http" | "https"))
            && uri.host().is_some_and(|host| !host.is_empty())
    });
    match usable {
        true => Ok(address),
        false => Err(format!(
            "{text:?} is no server address; it must be like http://host:7070 or \
             https://host"
        )),
    }
}

/// A number of files in flight.
pub(crate) fn concurrency(count: u16) -> Result<u16, String> {
    match count {
        1..=1024 => Ok(count),
        _ => Err(format!("must be from 1 to 1024, is {count}")),
    }
}

/// A number of parallel streams.
pub(crate) fn streams(count: u16) -> Result<u16, String> {
    match count {
        1..=64 => Ok(count),
        _ => Err(format!("must be from 1 to 64, is {count}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_leave_the_scheme_out() {
        assert_eq!(server("localhost:7070").unwrap(), "http://localhost:7070");
        assert_eq!(server("https://files.example/").unwrap(), "https://files.example");
        for wrong in ["", "ftp://host", "http://", "a b", "http:// "] {
            assert!(server(wrong).is_err(), "{wrong:?}");
        }
    }
}
