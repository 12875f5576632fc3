//! Where the end user is, as far as the proxies in front of us say so (contract 01 §3.5).

use std::net::IpAddr;

use axum::http::HeaderMap;
use serde_json::{Map, Value, json};

use crate::settings::TrustedProxy;

/// The end user's address and place.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EndUser {
    /// The address, in its canonical text form.
    pub ip: Option<String>,
    /// Address and place, as sessions keep them.
    pub info: Option<Value>,
}

/// Reads the end user's address and place from a request. Only browsers have end users: what other
/// programs send is their own host's address.
#[must_use]
pub fn locate(headers: &HeaderMap, trusted: Option<TrustedProxy>) -> EndUser {
    if !is_browser(headers) {
        return EndUser::default();
    }
    let by_trusted = trusted.and_then(|proxy| reported_by(headers, proxy));
    let is_trusted = by_trusted.is_some();
    let Some(ip) = by_trusted.or_else(|| untrusted(headers, trusted)) else {
        return EndUser::default();
    };
    let mut info = Map::from_iter([("ip".to_owned(), json!(ip.to_string()))]);
    // With a trusted proxy configured, a request that went around it brings a place of its own making.
    if trusted.is_none() || is_trusted {
        info.extend(place(headers));
    }
    EndUser {
        ip: Some(ip.to_string()),
        info: Some(Value::Object(info)),
    }
}

fn is_browser(headers: &HeaderMap) -> bool {
    let agent = text(headers, "user-agent").unwrap_or_default();
    ["Mozilla", "Chrome", "Safari"]
        .iter()
        .any(|name| agent.contains(name))
}

fn reported_by(headers: &HeaderMap, proxy: TrustedProxy) -> Option<IpAddr> {
    match proxy {
        TrustedProxy::Vercel => first_address(headers, "x-vercel-forwarded-for"),
        TrustedProxy::Cloudflare => first_address(headers, "cf-connecting-ip"),
        TrustedProxy::CloudRun => {
            let chain = text(headers, "x-forwarded-for")?;
            chain.rsplit(',').nth(1)?.trim().parse().ok()
        }
    }
}

fn untrusted(headers: &HeaderMap, trusted: Option<TrustedProxy>) -> Option<IpAddr> {
    let others = [TrustedProxy::Vercel, TrustedProxy::Cloudflare];
    first_address(headers, "x-real-ip")
        .or_else(|| first_address(headers, "x-forwarded-for"))
        .or_else(|| {
            let mut unconfigured = others.into_iter().filter(|proxy| Some(*proxy) != trusted);
            unconfigured.find_map(|proxy| reported_by(headers, proxy))
        })
}

fn place(headers: &HeaderMap) -> Map<String, Value> {
    let mut place = Map::new();
    let texts = [
        ("countryCode", "x-vercel-ip-country"),
        ("regionCode", "x-vercel-ip-country-region"),
        ("cityName", "x-vercel-ip-city"),
        ("tzIdentifier", "x-vercel-ip-timezone"),
    ];
    for (name, header) in texts {
        if let Some(value) = text(headers, header) {
            place.insert(name.to_owned(), json!(value));
        }
    }
    for (name, header) in [
        ("latitude", "x-vercel-ip-latitude"),
        ("longitude", "x-vercel-ip-longitude"),
    ] {
        if let Some(value) = text(headers, header).and_then(|value| value.parse::<f64>().ok()) {
            place.insert(name.to_owned(), json!(value));
        }
    }
    if let (false, Some(country)) = (
        place.contains_key("countryCode"),
        text(headers, "cf-ipcountry"),
    ) {
        place.insert("countryCode".to_owned(), json!(country));
    }
    place
}

fn first_address(headers: &HeaderMap, name: &str) -> Option<IpAddr> {
    text(headers, name)?.split(',').next()?.trim().parse().ok()
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers
        .get(name)?
        .to_str()
        .ok()
        .filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("user-agent", "Mozilla/5.0".parse().unwrap());
        for (name, value) in pairs {
            headers.insert(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn programs_have_no_end_user() {
        let mut curl = headers(&[("x-real-ip", "203.0.113.7")]);
        curl.insert("user-agent", "curl/8".parse().unwrap());
        assert_eq!(locate(&curl, None), EndUser::default());
    }

    #[test]
    fn the_trusted_proxy_wins_over_what_the_caller_claims() {
        let request = headers(&[
            ("x-real-ip", "198.51.100.1"),
            ("cf-connecting-ip", "203.0.113.7"),
            ("cf-ipcountry", "NL"),
        ]);
        let found = locate(&request, Some(TrustedProxy::Cloudflare));
        assert_eq!(found.ip.as_deref(), Some("203.0.113.7"));
        assert_eq!(found.info.unwrap()["countryCode"], "NL");
        assert_eq!(locate(&request, None).ip.as_deref(), Some("198.51.100.1"));
    }

    #[test]
    fn around_the_trusted_proxy_no_place_is_believed() {
        let request = headers(&[("x-real-ip", "198.51.100.1"), ("x-vercel-ip-country", "NL")]);
        let found = locate(&request, Some(TrustedProxy::Cloudflare));
        assert_eq!(found.info, Some(json!({"ip": "198.51.100.1"})));
    }

    #[test]
    fn cloud_run_appends_two_entries() {
        let request = headers(&[("x-forwarded-for", "10.0.0.1, 203.0.113.7, 169.254.1.1")]);
        let found = locate(&request, Some(TrustedProxy::CloudRun));
        assert_eq!(found.ip.as_deref(), Some("203.0.113.7"));
    }

    #[test]
    fn an_invalid_address_is_none() {
        assert_eq!(
            locate(&headers(&[("x-real-ip", "not an ip")]), None),
            EndUser::default()
        );
    }
}
