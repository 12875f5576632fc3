//! Lists as Svix pages them: an iterator leads on from a page's last item, and one with a minus
//! before it leads back from its first.

use axum::Json;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::http::request::fields::{Checked, Fields};
use crate::http::request::values::{integer, text};

/// Items on a page, unless something else is asked for, and at most.
const LIMIT: (i64, i64) = (50, 250);

/// Where a page begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Position {
    /// At the beginning.
    Start,
    /// After that item.
    After(String),
    /// So that it ends before that item.
    Before(String),
}

/// A page that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// How many items at most.
    pub limit: i64,
    /// Where it begins.
    pub position: Position,
}

impl Page {
    /// Reads it from a query.
    pub(super) fn read(query: &mut Fields<'_>) -> Checked<Self> {
        let limit = query.or_default("limit", integer(1..=LIMIT.1), LIMIT.0);
        let iterator = query.optional("iterator", text);
        let position = match iterator?.filter(|iterator| !iterator.is_empty()) {
            None => Position::Start,
            Some(iterator) => match iterator.strip_prefix('-') {
                Some(first) => Position::Before(first.to_owned()),
                None => Position::After(iterator),
            },
        };
        Some(Self {
            limit: limit?,
            position,
        })
    }

    /// Cuts the page out of all there is, by the items' ids. Says whether more follows in the
    /// direction of the page.
    pub(super) fn cut<T>(&self, mut all: Vec<T>, id: impl Fn(&T) -> &str) -> (Vec<T>, Rest) {
        let limit = usize::try_from(self.limit).unwrap_or(usize::MAX);
        let place = |name: &str| all.iter().position(|item| id(item) == name);
        let (from, to) = match &self.position {
            Position::Start => (0, all.len().min(limit)),
            Position::After(last) => {
                let from = place(last).map_or(all.len(), |at| at + 1);
                (from, all.len().min(from.saturating_add(limit)))
            }
            Position::Before(first) => {
                let to = place(first).unwrap_or(0);
                (to.saturating_sub(limit), to)
            }
        };
        let rest = match self.position {
            Position::Before(_) if from > 0 => Rest::More,
            Position::Start | Position::After(_) if to < all.len() => Rest::More,
            _ => Rest::Nothing,
        };
        all.truncate(to);
        (all.split_off(from), rest)
    }
}

/// What follows a page in its direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// More.
    More,
    /// Nothing.
    Nothing,
}

/// A list, with the ids of its first and last item.
pub(super) fn list(data: &[Value], rest: Rest) -> Response {
    let id = |item: Option<&Value>| Some(item?["id"].as_str()?.to_owned());
    let body = json!({
        "data": data,
        "iterator": id(data.last()),
        "prevIterator": id(data.first()).map(|first| format!("-{first}")),
        "done": rest == Rest::Nothing,
    });
    Json(body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(position: Position) -> (String, Rest) {
        let page = Page { limit: 2, position };
        let (items, rest) = page.cut(vec!["a", "b", "c", "d", "e"], |item| item);
        (items.concat(), rest)
    }

    #[test]
    fn pages_lead_on_and_back() {
        let after = |id: &str| cut(Position::After(id.to_owned()));
        let before = |id: &str| cut(Position::Before(id.to_owned()));
        assert_eq!(cut(Position::Start), ("ab".to_owned(), Rest::More));
        assert_eq!(after("b"), ("cd".to_owned(), Rest::More));
        assert_eq!(after("d"), ("e".to_owned(), Rest::Nothing));
        assert_eq!(after("x"), (String::new(), Rest::Nothing));
        assert_eq!(before("e"), ("cd".to_owned(), Rest::More));
        assert_eq!(before("c"), ("ab".to_owned(), Rest::Nothing));
        assert_eq!(before("a"), (String::new(), Rest::Nothing));
    }
}
