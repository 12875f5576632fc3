//! Pages of listings, their order, and search terms.

use uuid::Uuid;

/// The direction of a listing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    #[default]
    Ascending,
    /// Newest first.
    Descending,
}

impl Direction {
    pub(crate) fn sql(self) -> &'static str {
        match self {
            Self::Ascending => "ASC",
            Self::Descending => "DESC",
        }
    }

    pub(crate) fn cursor_comparison(self) -> &'static str {
        match self {
            Self::Ascending => " >= ",
            Self::Descending => " <= ",
        }
    }
}

/// A page and the id that the next one starts with.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// The first item of the next page.
    pub next_cursor: Option<Uuid>,
}

/// Splits off the row that was fetched beyond the limit.
pub(crate) fn paged<T>(mut items: Vec<T>, limit: Option<i64>, id: impl Fn(&T) -> Uuid) -> Page<T> {
    let limit = limit
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX);
    let next_cursor = items.get(limit).map(id);
    items.truncate(limit);
    Page { items, next_cursor }
}

/// A LIKE pattern that matches `text` anywhere, literally.
pub(crate) fn substring_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for c in text.chars() {
        if matches!(c, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(c);
    }
    pattern.push('%');
    pattern
}
