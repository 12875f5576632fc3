//! Lists as Svix pages them: an iterator leads on from a page's last item, and one with a minus
//! before it leads back from its first.

use crate::http::request::declare::fields;
use crate::http::request::presence::{optional, or_default};
use crate::http::request::shape::scalars::{integer, text};

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

fields! {
    /// Which page is asked for.
    pub(super) struct WantedPage {
        /// How many items there should be at most.
        limit: i64 = or_default(integer(1..=LIMIT.1), LIMIT.0);
        /// Where the page begins: the `iterator` or `prevIterator` of another one.
        iterator: Option<String> = optional(text());
    }
}

impl From<WantedPage> for Page {
    fn from(wanted: WantedPage) -> Self {
        let iterator = wanted.iterator.filter(|iterator| !iterator.is_empty());
        let position = match iterator {
            None => Position::Start,
            Some(iterator) => match iterator.strip_prefix('-') {
                Some(first) => Position::Before(first.to_owned()),
                None => Position::After(iterator),
            },
        };
        Self {
            limit: wanted.limit,
            position,
        }
    }
}

impl Page {
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
