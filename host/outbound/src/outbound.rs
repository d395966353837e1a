//! Where the host connects to for others, and where it does not.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::error::Error;
use crate::networks::is_public;

/// How long one address may take to answer a connection: the next one may be better.
const CONNECT_TIME: Duration = Duration::from_secs(4);
/// How long a name may take to be resolved.
const RESOLVE_TIME: Duration = Duration::from_secs(5);
/// How many addresses of a name are tried.
const ADDRESSES: usize = 4;

/// Where the host connects to for others: the public internet, and what the operator adds to it.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    allowed: Arc<[IpNet]>,
}

impl Outbound {
    /// The public internet and these networks, written as `10.0.0.0/8` or as single addresses.
    ///
    /// # Errors
    /// The text that is no network.
    pub fn allowing(networks: &[String]) -> Result<Self, String> {
        let parse = |text: &String| {
            let network =
                text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
            network.map(|network| network.trunc()).map_err(|_| text.clone())
        };
        Ok(Self { allowed: networks.iter().map(parse).collect::<Result<_, _>>()? })
    }

    /// Whether this address may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        // A mapped address is the one inside it, also for what the operator wrote.
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// The addresses of a host that may be connected to, few of them. They are good for this moment:
    /// whoever connects later resolves again.
    ///
    /// # Errors
    /// `Unreachable` when the name has none; `Refused` when none of them is permitted.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Error> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let unreachable = |reason: String| Error::Unreachable { host: host.to_owned(), reason };
        let found = timeout(RESOLVE_TIME, tokio::net::lookup_host((bare, port))).await;
        let found =
            found.map_err(|_| unreachable("its name was not resolved in time".to_owned()))?;
        let found: Vec<SocketAddr> =
            found.map_err(|_| unreachable("there is no such name".to_owned()))?.collect();
        if found.is_empty() {
            return Err(unreachable("its name has no address".to_owned()));
        }
        let (permitted, refused): (Vec<_>, Vec<_>) =
            found.into_iter().partition(|address| self.permits(address.ip()));
        if let (true, Some(refused)) = (permitted.is_empty(), refused.first()) {
            tracing::warn!(host, address = %refused.ip(), "refused to connect to a private network");
            return Err(Error::Refused { host: host.to_owned() });
        }
        Ok(permitted.into_iter().take(ADDRESSES).collect())
    }

    /// Connects to a host, if it may be connected to.
    ///
    /// # Errors
    /// As [`Self::resolve`]; `Unreachable` when no address answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, Error> {
        let mut reason = "it has no address".to_owned();
        for address in self.resolve(host, port).await? {
            match timeout(CONNECT_TIME, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Requests are small and waited for.
                    _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => reason = error.kind().to_string(),
                Err(_) => reason = "nobody answered in time".to_owned(),
            }
        }
        Err(Error::Unreachable { host: host.to_owned(), reason })
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn what_the_operator_lists_is_permitted_and_nothing_beside_it() {
        let networks = ["127.0.0.0/8", "10.1.2.3", "fd00::/8"].map(str::to_owned);
        let outbound = Outbound::allowing(&networks).unwrap();
        for (address, expected) in [
            ("127.0.0.1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("10.1.2.4", false),
            ("fd00::1", true),
            ("fe80::1", false),
            ("1.1.1.1", true),
            ("::1", false),
        ] {
            assert_eq!(outbound.permits(address.parse().unwrap()), expected, "{address}");
        }
        for wrong in ["localhost", "10.0.0.0/33", ""] {
            assert_eq!(Outbound::allowing(&[wrong.to_owned()]).unwrap_err(), wrong);
        }
    }

    /// Names in numbers are read by the resolver, and what it reads is looked at.
    #[tokio::test]
    async fn every_way_to_write_this_machine_is_refused() {
        let outbound = Outbound::default();
        for host in ["127.0.0.1", "[::1]", "localhost", "127.1", "0x7f000001", "2130706433", "0"] {
            let refused = outbound.connect(host, 9).await.unwrap_err();
            assert_eq!(refused, Error::Refused { host: host.to_owned() });
        }
    }
}
