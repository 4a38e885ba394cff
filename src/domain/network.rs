//! Networks of strangers, as keyed hashes: what tells a flood from an app beside it.
//!
//! A row that a stranger leaves (a registration, a device code, a pushed request) is kept with the hash of the network it came from: the
//! first 24 bits of an IPv4 address, the first 48 of an IPv6 one, which is what one household, office or tenant gets at most. Whoever
//! has the database reads no address in it: the key is a worker secret.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{encoding::base64url, oauth::mac::MacKey};

const PURPOSE: &str = "network of a stranger v1";

/// A network's keyed hash: base64url.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetworkHash(String);

impl NetworkHash {
    /// Of the network that `address` belongs to. `None`: the platform names no address; all of those are one network.
    #[must_use]
    pub fn of(address: Option<IpAddr>, key: &MacKey) -> Self {
        let network = match address.map(|address| address.to_canonical()) {
            None => "unknown".to_owned(),
            Some(IpAddr::V4(address)) => Ipv4Addr::from_bits(address.to_bits() & (u32::MAX << 8)).to_string(),
            Some(IpAddr::V6(address)) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 80)).to_string(),
        };
        Self(base64url(&key.mac(PURPOSE, &network)))
    }

    /// As it is stored.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(address: &str) -> NetworkHash {
        NetworkHash::of(Some(address.parse().unwrap()), &MacKey::new([1; 32]))
    }

    #[test]
    fn addresses_of_one_network_have_one_hash_and_those_of_the_next_another() {
        assert_eq!(hash("192.0.2.1"), hash("192.0.2.255"));
        assert_ne!(hash("192.0.2.255"), hash("192.0.3.0"));
        assert_eq!(hash("::ffff:192.0.2.7"), hash("192.0.2.1"));
        assert_eq!(hash("2001:db8:1:2:3:4:5:6"), hash("2001:db8:1:ffff::"));
        assert_ne!(hash("2001:db8:1::"), hash("2001:db8:2::"));
    }

    #[test]
    fn requests_without_an_address_are_one_network_of_their_own() {
        let key = MacKey::new([1; 32]);
        assert_eq!(NetworkHash::of(None, &key), NetworkHash::of(None, &key));
        assert_ne!(NetworkHash::of(None, &key), hash("0.0.0.0"));
    }

    #[test]
    fn without_the_key_no_address_is_found_by_its_hash() {
        let address = Some("192.0.2.1".parse().unwrap());
        assert_ne!(NetworkHash::of(address, &MacKey::new([1; 32])), NetworkHash::of(address, &MacKey::new([2; 32])));
    }
}
