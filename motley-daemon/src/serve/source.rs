//! Whence a request comes: the peer of the connection, or the client that a trusted proxy names.

use crate::config::Network;
use axum::http::HeaderMap;
use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

/// Most addresses of a chain that are looked at.
const MAX_CHAIN: usize = 32;

/// The other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Internet(IpAddr),
    /// Over a Unix socket: somebody on this host, who is a web server if it names a client.
    Local,
}

impl Peer {
    /// The peer of an accepted TCP connection.
    pub fn of(address: SocketAddr) -> Self {
        Self::Internet(address.ip().to_canonical())
    }

    /// True when it is this host itself.
    pub fn is_host(self) -> bool {
        match self {
            Self::Internet(address) => address.is_loopback(),
            Self::Local => true,
        }
    }

    /// True when it may say for whom it speaks.
    pub fn is_proxy(self, proxies: &[Network]) -> bool {
        match self {
            Self::Internet(address) => is_trusted(proxies, address),
            Self::Local => true,
        }
    }
}

fn is_trusted(proxies: &[Network], address: IpAddr) -> bool {
    proxies.iter().any(|network| network.contains(address))
}

/// Whence a request comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// From this host, and no proxy says otherwise.
    Host,
    /// From the peer of the connection.
    Peer(IpAddr),
    /// From a client that a trusted proxy names.
    Client(IpAddr),
}

/// The part of an address that counts as one source: IPv4 addresses each, IPv6 ones by their /64,
/// since whoever has one of those has all of them (RFC 6177 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceKey(IpAddr);

impl SourceKey {
    /// The key of an address.
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V4(address) => IpAddr::V4(address),
            IpAddr::V6(address) => {
                IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
            }
        })
    }
}

impl Source {
    /// Finds out whence a request comes.
    ///
    /// A trusted proxy adds the address of its own peer to the right end of `X-Forwarded-For`, so
    /// only what stands there is its word; everything to the left the client may have written. The
    /// walk goes from right to left over trusted proxies and ends at the first other address. It
    /// also ends at anything that is no address: what stands left of that has no witness.
    /// `Forwarded` (RFC 7239) is not read: a proxy that sets the one header hands the other through.
    pub fn of(peer: Peer, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let itself = match peer {
            Peer::Internet(address) if !peer.is_host() => Self::Peer(address),
            _ => Self::Host,
        };
        if !peer.is_proxy(proxies) {
            return itself;
        }
        let lines: Vec<&[u8]> =
            headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes()).collect();
        let chain = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut farthest = None;
        for element in chain.take(MAX_CHAIN) {
            let Some(address) = read_address(element) else { break };
            farthest = Some(address);
            if !is_trusted(proxies, address) {
                return Self::Client(address);
            }
        }
        match farthest {
            Some(address) if !address.is_loopback() => Self::Client(address),
            // Garbage from a proxy on this host must not pass for the host itself.
            None if !lines.is_empty() => Self::Peer(match peer {
                Peer::Internet(address) => address,
                Peer::Local => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            }),
            _ => itself,
        }
    }

    /// What is counted for it; the host itself is not counted.
    pub fn key(self) -> Option<SourceKey> {
        match self {
            Self::Host => None,
            Self::Peer(address) | Self::Client(address) => Some(SourceKey::of(address)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Peer(address) | Self::Client(address) => address.fmt(f),
        }
    }
}

/// Scheme by which the client came, as far as the word of a trusted proxy or our own TLS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// In the clear.
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// The word in a URL.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// Finds out how the client came, over a connection of scheme `own`.
    pub fn of(own: Self, peer: Peer, headers: &HeaderMap, proxies: &[Network]) -> Self {
        let told = headers.get_all("x-forwarded-proto").iter().next_back();
        let last = told.and_then(|value| value.as_bytes().rsplit(|byte| *byte == b',').next());
        match last.map(|word| word.trim_ascii().to_ascii_lowercase()).as_deref() {
            Some(b"https") if peer.is_proxy(proxies) => Self::Https,
            Some(b"http") if peer.is_proxy(proxies) => Self::Http,
            _ => own,
        }
    }
}

/// One element of the chain: an address, with brackets and a port where a proxy writes them.
fn read_address(element: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(element).ok()?.trim();
    let address = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((inner, "")) => inner.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        Some(_) => text.parse::<SocketAddr>().ok().map(|address| address.ip()),
        None => text
            .parse::<IpAddr>()
            .ok()
            .or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip())),
    };
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn proxies() -> Vec<Network> {
        ["127.0.0.1", "::1", "192.0.2.0/28", "2001:db8:aa::/48"]
            .map(|it| it.parse().unwrap())
            .into()
    }

    fn headers(lines: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-forwarded-for", HeaderValue::from_bytes(line).unwrap());
        }
        headers
    }

    fn source(peer: &str, lines: &[&str]) -> String {
        let peer = match peer {
            "unix" => Peer::Local,
            address => Peer::Internet(address.parse().unwrap()),
        };
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        match Source::of(peer, &headers(&lines), &proxies()) {
            Source::Host => "host".to_owned(),
            Source::Peer(address) => format!("peer {address}"),
            Source::Client(address) => format!("client {address}"),
        }
    }

    #[test]
    fn r30_who_is_no_proxy_can_not_say_that_he_is_somebody_else() {
        for spoofed in ["198.51.100.9", "127.0.0.1", "192.0.2.1", "::1"] {
            assert_eq!(source("203.0.113.5", &[spoofed]), "peer 203.0.113.5", "{spoofed}");
        }
        assert_eq!(source("203.0.113.5", &[]), "peer 203.0.113.5");
    }

    #[test]
    fn r30_of_a_chain_only_what_trusted_proxies_wrote_counts() {
        for (peer, lines, expected) in [
            ("127.0.0.1", &["198.51.100.9"][..], "client 198.51.100.9"),
            ("unix", &["198.51.100.9"], "client 198.51.100.9"),
            // The client wrote the left part by itself.
            ("127.0.0.1", &["1.1.1.1, 198.51.100.9"], "client 198.51.100.9"),
            ("127.0.0.1", &["127.0.0.1, 198.51.100.9"], "client 198.51.100.9"),
            ("127.0.0.1", &["1.1.1.1, 198.51.100.9, 192.0.2.3"], "client 198.51.100.9"),
            ("192.0.2.3", &["198.51.100.9"], "client 198.51.100.9"),
            // Several lines are one list (RFC 9110 §5.2).
            ("127.0.0.1", &["1.1.1.1", "198.51.100.9"], "client 198.51.100.9"),
            ("127.0.0.1", &["198.51.100.9", "192.0.2.3"], "client 198.51.100.9"),
            // Nobody but proxies.
            ("127.0.0.1", &["192.0.2.4, 192.0.2.3"], "client 192.0.2.4"),
            ("127.0.0.1", &["127.0.0.1"], "host"),
            ("127.0.0.1", &[], "host"),
            ("unix", &[], "host"),
            ("192.0.2.3", &[], "peer 192.0.2.3"),
        ] {
            assert_eq!(source(peer, lines), expected, "{peer} {lines:?}");
        }
    }

    #[test]
    fn r30_addresses_are_read_with_ports_and_brackets_and_garbage_ends_the_walk() {
        for (element, expected) in [
            ("198.51.100.9:4711", "client 198.51.100.9"),
            (" 198.51.100.9 ", "client 198.51.100.9"),
            ("2001:db8::9", "client 2001:db8::9"),
            ("[2001:db8::9]", "client 2001:db8::9"),
            ("[2001:db8::9]:443", "client 2001:db8::9"),
            ("::ffff:198.51.100.9", "client 198.51.100.9"),
            ("2001:db8:aa::1", "client 2001:db8:aa::1"),
            // Had garbage been stepped over, its left neighbour, which anybody can write, would count.
            ("1.1.1.1, unknown", "peer 127.0.0.1"),
            ("1.1.1.1,", "peer 127.0.0.1"),
            ("unknown", "peer 127.0.0.1"),
            ("", "peer 127.0.0.1"),
            ("1.1.1.1, [2001:db8::9", "peer 127.0.0.1"),
            ("1.1.1.1, 256.1.1.1", "peer 127.0.0.1"),
            ("1.1.1.1, 198.51.100.9 x", "peer 127.0.0.1"),
            ("1.1.1.1, fe80::1%eth0", "peer 127.0.0.1"),
            ("1.1.1.1, nonsense, 192.0.2.3", "client 192.0.2.3"),
        ] {
            assert_eq!(source("127.0.0.1", &[element]), expected, "{element:?}");
        }
        let bytes = headers(&[b"1.1.1.1, \xff\xfe"]);
        let peer = Peer::Internet("127.0.0.1".parse().unwrap());
        assert!(matches!(Source::of(peer, &bytes, &proxies()), Source::Peer(_)));
        let endless = vec!["192.0.2.3"; 100_000].join(",");
        assert_eq!(source("127.0.0.1", &[&endless]), "client 192.0.2.3");
    }

    #[test]
    fn r30_addresses_of_one_ipv6_network_are_one_source() {
        let key = |text: &str| SourceKey::of(text.parse().unwrap());
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:2"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }

    #[test]
    fn only_a_trusted_proxy_can_say_that_the_client_came_over_tls() {
        let scheme = |peer: Peer, told: &[&str]| {
            let mut headers = HeaderMap::new();
            for word in told {
                headers.append("x-forwarded-proto", HeaderValue::from_str(word).unwrap());
            }
            Scheme::of(Scheme::Http, peer, &headers, &proxies())
        };
        let peer = |text: &str| Peer::Internet(text.parse().unwrap());
        assert_eq!(scheme(peer("127.0.0.1"), &["https"]), Scheme::Https);
        assert_eq!(scheme(Peer::Local, &["HTTPS"]), Scheme::Https);
        assert_eq!(scheme(peer("203.0.113.5"), &["https"]), Scheme::Http);
        assert_eq!(scheme(peer("127.0.0.1"), &["https", "http"]), Scheme::Http);
        assert_eq!(scheme(peer("127.0.0.1"), &["https\t, junk"]), Scheme::Http);
        assert_eq!(scheme(peer("127.0.0.1"), &[]), Scheme::Http);
    }

    proptest::proptest! {
        #[test]
        fn r45_any_header_is_read_and_makes_no_stranger_a_proxy(line in "[ -~]{0,80}") {
            let told = headers(&[line.as_bytes()]);
            let stranger = Peer::Internet("203.0.113.5".parse().unwrap());
            let own = Source::Peer("203.0.113.5".parse().unwrap());
            proptest::prop_assert_eq!(Source::of(stranger, &told, &proxies()), own);
            let by_proxy = Source::of(Peer::Local, &told, &proxies());
            let local: std::net::IpAddr = "127.0.0.1".parse().unwrap();
            proptest::prop_assert_ne!(by_proxy, Source::Client(local));
        }
    }
}
