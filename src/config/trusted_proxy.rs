//! The proxies in front of the server.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::str::FromStr;

use ipnet::IpNet;

/// Proxies that are believed about a caller's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrustedProxy {
    /// `x-vercel-forwarded-for`
    Vercel,
    /// `cf-connecting-ip`
    Cloudflare,
    /// The second-to-last entry of `x-forwarded-for`, which Google's load balancer writes.
    CloudRun,
    /// So many proxies of the operator's own, each of which appends to `x-forwarded-for` whom it heard from.
    Hops(NonZeroUsize),
    /// Proxies of the operator's own in these networks, which append likewise.
    Networks(Vec<IpNet>),
}

impl FromStr for TrustedProxy {
    type Err = String;

    /// Reads a name, a number, or networks (`10.0.0.0/8,fd00::/8`; a single address will do).
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "vercel" => return Ok(Self::Vercel),
            "cloudflare" => return Ok(Self::Cloudflare),
            "cloud-run" => return Ok(Self::CloudRun),
            _ => {}
        }
        if let Ok(hops) = text.parse() {
            return Ok(Self::Hops(hops));
        }
        let networks = text.split(',').map(|network| {
            let network = network.trim();
            let single = || Some(IpNet::from(network.parse::<IpAddr>().ok()?));
            network.parse().ok().or_else(single).ok_or_else(|| {
                format!("{network} is neither vercel, cloudflare or cloud-run, nor a number above 0, nor a network such as 10.0.0.0/8")
            })
        });
        Ok(Self::Networks(networks.collect::<Result<_, String>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trusted_proxies_are_read() {
        let read = |text: &str| text.parse::<TrustedProxy>();
        assert_eq!(read("cloud-run"), Ok(TrustedProxy::CloudRun));
        assert_eq!(
            read("2"),
            Ok(TrustedProxy::Hops(NonZeroUsize::new(2).unwrap()))
        );
        let networks = vec![
            "10.0.0.0/8".parse().unwrap(),
            "192.0.2.1/32".parse().unwrap(),
        ];
        assert_eq!(
            read("10.0.0.0/8, 192.0.2.1"),
            Ok(TrustedProxy::Networks(networks))
        );
        for bad in ["", "0", "nginx", "10.0.0.0/33", "10.0.0.0/8,", "-1"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
