//! Where an end user is, as far as the proxies in front of us say so.

use std::net::IpAddr;

use serde_json::{Map, Value, json};

/// An end user's address, and where that is.
#[derive(Clone, Debug, PartialEq)]
pub struct GeoLocation {
    /// The address.
    pub ip: IpAddr,
    /// Whether a trusted proxy says so, and not perhaps the end user.
    pub is_trusted: bool,
    /// Where.
    pub region: Region,
}

/// Where an address is. What is not known is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Region {
    /// The country, by its code in capitals (ISO 3166-1 alpha-2).
    pub country_code: Option<String>,
    /// A part of the country (ISO 3166-2, without the country).
    pub region_code: Option<String>,
    /// The city.
    pub city_name: Option<String>,
    /// In degrees north.
    pub latitude: Option<f64>,
    /// In degrees east.
    pub longitude: Option<f64>,
    /// The time zone, by its name in the IANA database.
    pub tz_identifier: Option<String>,
}

impl GeoLocation {
    /// As sessions show it.
    #[must_use]
    pub fn shown(&self) -> Value {
        let mut shown = Map::from_iter([("ip".to_owned(), json!(self.ip.to_string()))]);
        shown.extend(self.region.members([
            "countryCode",
            "regionCode",
            "cityName",
            "latitude",
            "longitude",
            "tzIdentifier",
        ]));
        Value::Object(shown)
    }

    /// As analytics has it: `ip_info`.
    #[must_use]
    pub fn ip_info(&self) -> Value {
        let mut info = Map::from_iter([
            ("ip".to_owned(), json!(self.ip.to_string())),
            ("is_trusted".to_owned(), json!(self.is_trusted)),
        ]);
        info.extend(self.region.members([
            "country_code",
            "region_code",
            "city_name",
            "latitude",
            "longitude",
            "tz_identifier",
        ]));
        Value::Object(info)
    }
}

impl Region {
    /// What is known, under these names.
    fn members(&self, names: [&str; 6]) -> impl Iterator<Item = (String, Value)> {
        let values = [
            self.country_code.as_ref().map(|code| json!(code)),
            self.region_code.as_ref().map(|code| json!(code)),
            self.city_name.as_ref().map(|name| json!(name)),
            self.latitude.map(|degrees| json!(degrees)),
            self.longitude.map(|degrees| json!(degrees)),
            self.tz_identifier.as_ref().map(|name| json!(name)),
        ];
        let names = names.map(str::to_owned);
        let known = names.into_iter().zip(values);
        known.filter_map(|(name, value)| Some((name, value?)))
    }
}
