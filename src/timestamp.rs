//! Times as people write them: RFC 3339.

use muniment_domain::Millis;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Reads RFC 3339, or milliseconds since the Unix epoch.
///
/// # Errors
/// A sentence for whoever wrote it.
pub fn parse(text: &str) -> Result<Millis, String> {
    if let Ok(millis) = text.parse() {
        return Ok(Millis(millis));
    }
    let time = OffsetDateTime::parse(text, &Rfc3339).map_err(|_| {
        "write it as 2026-11-23T12:00:00Z, or as milliseconds since 1970".to_owned()
    })?;
    let millis = time.unix_timestamp_nanos().div_euclid(1_000_000);
    i64::try_from(millis)
        .map(Millis)
        .map_err(|_| "the time is out of range".to_owned())
}

/// Writes RFC 3339 in UTC with milliseconds.
#[must_use]
pub fn format(at: Millis) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let time = OffsetDateTime::from_unix_timestamp_nanos(nanos).ok();
    time.and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| at.0.to_string())
}

/// Writes RFC 3339 in UTC, always with three digits of milliseconds.
#[must_use]
pub fn format_with_millis(at: Millis) -> String {
    let nanos = i128::from(at.0) * 1_000_000;
    let Ok(time) = OffsetDateTime::from_unix_timestamp_nanos(nanos) else {
        return at.0.to_string();
    };
    let (hour, minute, second, millis) = time.to_hms_milli();
    let date = time.date();
    format!("{date}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_and_written() {
        assert_eq!(
            parse("2026-11-23T12:00:00.250Z"),
            Ok(Millis(1_795_435_200_250))
        );
        assert_eq!(parse("1795435200250"), Ok(Millis(1_795_435_200_250)));
        assert_eq!(format(Millis(1_795_435_200_250)), "2026-11-23T12:00:00.25Z");
        assert!(parse("yesterday").is_err());
        assert_eq!(
            format_with_millis(Millis(1_795_435_200_000)),
            "2026-11-23T12:00:00.000Z"
        );
    }
}
