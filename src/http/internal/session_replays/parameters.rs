//! Which recordings are listed: the filters of the query.

use axum::http::StatusCode;
use muniment_projections::session_replays::listing::Filter;
use uuid::Uuid;

use crate::error::ApiError;
use crate::http::request::declare::request;
use crate::http::request::presence::optional;
use crate::http::request::shape::scalars::text;

request! {
    /// Which recordings to list. An empty parameter counts as absent.
    pub(super) struct ListSessionReplays {
        query {
            /// How many there should be at most: 50 if nothing is said, and never more than 200.
            limit: Option<String> = optional(text());
            /// Where the page begins: the `next_cursor` of the one before.
            cursor: Option<String> = optional(text());
            /// Only recordings of these users: UUIDs with commas between them.
            user_ids: Option<String> = optional(text());
            /// Only recordings of members of these teams: UUIDs with commas between them.
            team_ids: Option<String> = optional(text());
            /// Only recordings of at least this length, in whole milliseconds.
            duration_min as "duration_ms_min": Option<String> = optional(text());
            /// Only recordings of at most this length, in whole milliseconds.
            duration_max as "duration_ms_max": Option<String> = optional(text());
            /// Only recordings whose last event was then or later, in milliseconds since the Unix epoch.
            last_event_from as "last_event_at_from_millis": Option<String> = optional(text());
            /// Only recordings whose last event was then or earlier, in milliseconds since the Unix epoch.
            last_event_to as "last_event_at_to_millis": Option<String> = optional(text());
            /// Only recordings with at least so many clicks.
            click_count_min: Option<String> = optional(text());
        }
    }
}

impl ListSessionReplays {
    pub(super) fn filter(&self) -> Result<Filter, ApiError> {
        let users = ids("user_ids", given(&self.user_ids))?;
        let teams = ids("team_ids", given(&self.team_ids))?;
        let duration_min = count("duration_ms_min", given(&self.duration_min))?;
        let duration_max = count("duration_ms_max", given(&self.duration_max))?;
        in_order(
            ("duration_ms_min", duration_min),
            ("duration_ms_max", duration_max),
        )?;
        let (from, to) = ("last_event_at_from_millis", "last_event_at_to_millis");
        let last_event_from = number(from, given(&self.last_event_from))?;
        let last_event_to = number(to, given(&self.last_event_to))?;
        in_order((from, last_event_from), (to, last_event_to))?;
        Ok(Filter {
            users,
            teams,
            duration_min,
            duration_max,
            last_event_from,
            last_event_to,
            ids: None,
        })
    }

    /// The least number of clicks, if it is any at all.
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked to be whole and not negative; beyond 2^53 nothing matches"
    )]
    pub(super) fn clicks(&self) -> Result<Option<u64>, ApiError> {
        let clicks = count("click_count_min", given(&self.click_count_min))?;
        Ok(clicks
            .filter(|least| *least > 0.0)
            .map(|least| least as u64))
    }
}

/// A parameter, unless it is empty.
#[allow(clippy::ref_option, reason = "parameters are fields of a request")]
pub(super) fn given(parameter: &Option<String>) -> Option<&str> {
    parameter.as_deref().filter(|text| !text.is_empty())
}

/// A limit that is never an error: whole digits at the beginning count, anything else is `default`.
pub(super) fn lenient_limit(parameter: Option<&str>, default: i64, max: i64) -> i64 {
    leading_integer(parameter.unwrap_or_default())
        .unwrap_or(default)
        .clamp(1, max)
}

/// The whole number at the beginning of a text, however long it goes on (`parseInt` of ECMA-262).
pub(super) fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let (is_negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(digits.len());
    let digits = &digits[..end];
    if digits.is_empty() {
        return None;
    }
    // Beyond `i64` there are digits only.
    let size = digits.parse().unwrap_or(i64::MAX);
    Some(if is_negative { -size } else { size })
}

/// Version 4 UUIDs in lower case, with commas in between.
fn ids(name: &str, parameter: Option<&str>) -> Result<Option<Vec<Uuid>>, ApiError> {
    let Some(list) = parameter else {
        return Ok(None);
    };
    let items = list.split(',').map(str::trim).filter(|id| !id.is_empty());
    let ids: Option<Vec<Uuid>> = items.map(random_id).collect();
    match ids {
        Some(ids) if ids.is_empty() => Ok(None),
        Some(ids) => Ok(Some(ids)),
        None => Err(bad_filter(
            name,
            "must be UUIDs of version 4 in lower case, with commas between them",
        )),
    }
}

fn random_id(text: &str) -> Option<Uuid> {
    let id = Uuid::try_parse(text).ok()?;
    let is_random = id.get_version_num() == 4 && id.get_variant() == uuid::Variant::RFC4122;
    (is_random && id.to_string() == text).then_some(id)
}

/// A number that is not negative.
fn number(name: &str, parameter: Option<&str>) -> Result<Option<f64>, ApiError> {
    let Some(text) = parameter else {
        return Ok(None);
    };
    let number = text.trim().parse::<f64>().ok();
    match number.filter(|number| number.is_finite() && *number >= 0.0) {
        Some(number) => Ok(Some(number)),
        None => Err(bad_filter(name, "must be a number that is not negative")),
    }
}

/// A whole number that is not negative.
fn count(name: &str, parameter: Option<&str>) -> Result<Option<f64>, ApiError> {
    match number(name, parameter)? {
        Some(number) if number.fract() != 0.0 => Err(bad_filter(name, "must be a whole number")),
        count => Ok(count),
    }
}

fn in_order(least: (&str, Option<f64>), most: (&str, Option<f64>)) -> Result<(), ApiError> {
    match (least.1, most.1) {
        (Some(from), Some(to)) if from > to => {
            let problem = format!("must not be greater than {}", most.0);
            Err(bad_filter(least.0, &problem))
        }
        _ => Ok(()),
    }
}

fn bad_filter(name: &str, problem: &str) -> ApiError {
    ApiError::text(StatusCode::BAD_REQUEST, format!("{name} {problem}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_leniently() {
        for (text, read) in [
            ("", 50),
            ("x", 50),
            ("7", 7),
            (" 7.9x", 7),
            ("0", 1),
            ("-3", 1),
            ("+3", 3),
            ("1000", 200),
            ("99999999999999999999999", 200),
        ] {
            assert_eq!(lenient_limit(Some(text), 50, 200), read, "{text}");
        }
    }

    #[test]
    fn filters_are_read_strictly() {
        let id = "6fb53bb8-4f2f-4b1c-9d27-1d4a61d1f0de";
        let list = format!(" {id} ,, {id}");
        assert_eq!(ids("x", Some(&list)).unwrap().unwrap().len(), 2);
        assert_eq!(ids("x", Some(",")).unwrap(), None);
        for bad in [
            "me",
            &id.to_uppercase(),
            "6fb53bb8-4f2f-1b1c-9d27-1d4a61d1f0de",
        ] {
            assert!(ids("x", Some(bad)).is_err(), "{bad}");
        }
        assert_eq!(number("x", Some("1.5")).unwrap(), Some(1.5));
        for bad in ["1.5", "-1", "x", "inf", "NaN"] {
            assert!(count("x", Some(bad)).is_err(), "{bad}");
        }
    }
}
