//! What is read from the headers of a request: cookies, and where it came from.

use core::net::IpAddr;

use axum::http::{HeaderMap, header};

/// Where the platform says who is there, whatever a client sends.
pub const ADDRESS_HEADER: &str = "cf-connecting-ip";

/// The value of a cookie. Of several with one name the first counts, as browsers send the most specific one first.
#[must_use]
pub fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .find_map(|line| line.split(';').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('=')))
}

/// What the platform says can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable;

/// The address that a request came from. `None`: the platform doesn't say, as on somebody's own machine.
#[must_use]
pub fn address(headers: &HeaderMap) -> Option<Result<IpAddr, Unreadable>> {
    let value = headers.get(ADDRESS_HEADER)?;
    let read = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    Some(read.map(|address: IpAddr| address.to_canonical()).ok_or(Unreadable))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let mut sent = HeaderMap::new();
        sent.insert(
            "cookie",
            HeaderValue::from_static("a=1; x__Host-aip-session=no; __Host-aip-session=yes; __Host-aip-session2=no"),
        );
        assert_eq!(cookie(&sent, "__Host-aip-session"), Some("yes"));
        assert_eq!(cookie(&sent, "missing"), None);
    }
}
