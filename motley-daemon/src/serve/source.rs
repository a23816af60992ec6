//! Whence a request comes: the peer of the connection, or the client that a trusted proxy names.

use crate::config::Network;
use axum::http::HeaderMap;
use nix::unistd::{Uid, User};
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
    /// Over a Unix socket: this user of this host, as the kernel says.
    User(u32),
}

impl Peer {
    /// The peer of an accepted TCP connection.
    pub fn of(address: SocketAddr) -> Self {
        Self::Internet(address.ip().to_canonical())
    }

    /// True when it is this host itself and nobody in particular on it.
    fn is_host(self) -> bool {
        matches!(self, Self::Internet(address) if address.is_loopback())
    }

    /// True when it may say for whom it speaks.
    pub fn is_proxy(self, proxies: &Proxies) -> bool {
        match self {
            Self::Internet(address) => proxies.are_at(address),
            Self::User(uid) => proxies.users.contains(&uid),
        }
    }

    /// What its connections are counted by; those of this host and of proxies are not counted.
    pub fn key(self, proxies: &Proxies) -> Option<SourceKey> {
        let is_counted = !self.is_host() && !self.is_proxy(proxies);
        is_counted.then(|| match self {
            Self::Internet(address) => SourceKey::of(address),
            Self::User(uid) => SourceKey::User(uid),
        })
    }
}

/// Whose word about the client counts. The Unix socket is open to every user of the host, so there it
/// depends on who has connected.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    networks: Vec<Network>,
    users: Vec<u32>,
}

impl Proxies {
    /// Those at these addresses, and on Unix sockets root, the daemon's own user and these; names
    /// that nobody has on this host are left out.
    pub fn new(networks: &[Network], names: &[String]) -> Self {
        let named = names.iter().filter_map(|name| User::from_name(name).ok().flatten());
        let users = named.map(|user| user.uid.as_raw()).chain([0, Uid::effective().as_raw()]);
        Self { networks: networks.to_vec(), users: users.collect() }
    }

    fn are_at(&self, address: IpAddr) -> bool {
        self.networks.iter().any(|network| network.contains(address))
    }
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
    /// From a client that somebody on this host names over TCP: a web server, or any user who speaks
    /// like one, since nothing tells them apart.
    Claimed {
        /// Whom it names.
        client: IpAddr,
        /// Whence it came.
        via: IpAddr,
    },
    /// From a user of this host, over a Unix socket.
    User(u32),
}

/// What counts as one source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SourceKey {
    /// The part of an address that does: IPv4 addresses each, IPv6 ones by their /64, since whoever
    /// has one of those has all of them (RFC 6177 §2).
    Address(IpAddr),
    /// A user of this host.
    User(u32),
}

impl SourceKey {
    /// The key of an address.
    pub fn of(address: IpAddr) -> Self {
        Self::Address(match address.to_canonical() {
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
    pub fn of(peer: Peer, headers: &HeaderMap, proxies: &Proxies) -> Self {
        let itself = match peer {
            Peer::Internet(address) if !peer.is_host() => Self::Peer(address),
            Peer::User(uid) if !peer.is_proxy(proxies) => Self::User(uid),
            _ => Self::Host,
        };
        if !peer.is_proxy(proxies) {
            return itself;
        }
        let client = |client| match peer {
            Peer::Internet(via) if via.is_loopback() => Self::Claimed { client, via },
            _ => Self::Client(client),
        };
        let lines: Vec<&[u8]> =
            headers.get_all("x-forwarded-for").iter().map(|value| value.as_bytes()).collect();
        let chain = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut farthest = None;
        for element in chain.take(MAX_CHAIN) {
            let Some(address) = read_address(element) else { break };
            farthest = Some(address);
            if !proxies.are_at(address) {
                return client(address);
            }
        }
        match farthest {
            Some(address) if !address.is_loopback() => client(address),
            // Garbage from a proxy on this host must not pass for the host itself.
            None if !lines.is_empty() => match peer {
                Peer::Internet(address) => Self::Peer(address),
                Peer::User(uid) => Self::User(uid),
            },
            _ => itself,
        }
    }

    /// What is counted for it; the host itself is not counted.
    pub fn key(self) -> Option<SourceKey> {
        match self {
            Self::Host => None,
            Self::Peer(address) | Self::Client(address) | Self::Claimed { client: address, .. } => {
                Some(SourceKey::of(address))
            }
            Self::User(uid) => Some(SourceKey::User(uid)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Peer(address) | Self::Client(address) => address.fmt(f),
            Self::Claimed { client, via } => write!(f, "{client} via {via}"),
            Self::User(uid) => write!(f, "uid {uid}"),
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
    pub fn of(own: Self, peer: Peer, headers: &HeaderMap, proxies: &Proxies) -> Self {
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

    const WEB_SERVER: Peer = Peer::User(33);

    fn proxies() -> Proxies {
        let networks = ["127.0.0.1", "::1", "192.0.2.0/28", "2001:db8:aa::/48"];
        Proxies { networks: networks.map(|it| it.parse().unwrap()).into(), users: vec![0, 33] }
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
            "unix" => WEB_SERVER,
            "user" => Peer::User(1000),
            address => Peer::Internet(address.parse().unwrap()),
        };
        let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        match Source::of(peer, &headers(&lines), &proxies()) {
            Source::Host => "host".to_owned(),
            Source::Peer(address) => format!("peer {address}"),
            Source::Client(address) | Source::Claimed { client: address, .. } => {
                format!("client {address}")
            }
            Source::User(uid) => format!("user {uid}"),
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
    fn r30_a_user_of_the_host_is_counted_as_himself_on_the_socket_whatever_he_says() {
        for spoofed in ["198.51.100.9", "127.0.0.1", "unknown", ""] {
            assert_eq!(source("user", &[spoofed]), "user 1000", "{spoofed}");
        }
        let own = Source::of(Peer::User(1000), &headers(&[]), &proxies());
        assert_eq!(own.key(), Some(SourceKey::User(1000)));
        assert_eq!(own.to_string(), "uid 1000");
        assert_eq!(Peer::User(1000).key(&proxies()), own.key(), "his connections, too");
        assert_eq!(WEB_SERVER.key(&proxies()), None);
        let by_name = Proxies::new(&[], &["root".to_owned(), "nobody-has-this-name".to_owned()]);
        assert!(Peer::User(0).is_proxy(&by_name));
        assert!(Peer::User(Uid::effective().as_raw()).is_proxy(&by_name));
        assert!(!Peer::User(u32::MAX - 2).is_proxy(&by_name));
    }

    #[test]
    fn r30_what_somebody_on_this_host_claims_over_tcp_is_written_with_whence_it_came() {
        let told =
            |peer: Peer| Source::of(peer, &headers(&[b"198.51.100.9"]), &proxies()).to_string();
        let peer = |text: &str| Peer::Internet(text.parse().unwrap());
        assert_eq!(told(peer("127.0.0.1")), "198.51.100.9 via 127.0.0.1");
        assert_eq!(told(peer("::1")), "198.51.100.9 via ::1");
        assert_eq!(told(peer("192.0.2.3")), "198.51.100.9");
        assert_eq!(told(WEB_SERVER), "198.51.100.9");
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
        assert_eq!(scheme(WEB_SERVER, &["HTTPS"]), Scheme::Https);
        assert_eq!(scheme(Peer::User(1000), &["https"]), Scheme::Http);
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
            let by_proxy = Source::of(WEB_SERVER, &told, &proxies());
            let local: std::net::IpAddr = "127.0.0.1".parse().unwrap();
            proptest::prop_assert_ne!(by_proxy, Source::Client(local));
        }
    }
}
