//! Events that this version cannot read, and pages of the log in which they are passed over.
//!
//! A log outlives the versions that write it: after a rollback it holds events that the older version
//! does not know, and a disk may damage a sealed one. One such row must not stop what has nothing to
//! do with it. So readers get it named, beside the events that can be read, and decide for themselves.

use std::fmt;

use muniment_domain::{Millis, ProjectId};

use crate::event::{Cursor, RecordedEvent, StoredEvent};

/// An event that is in the log and cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it stands.
    pub cursor: Cursor,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The type of the stream that it is on.
    pub aggregate_type: String,
    /// The stream that it is on.
    pub aggregate_id: String,
    /// Its number on that stream, from 1.
    pub sequence: i64,
    /// Its type's name.
    pub event_type: String,
    /// The version of its shape.
    pub event_version: String,
    /// When it was appended, by the database's clock.
    pub recorded_at: Millis,
    /// Why it cannot be read.
    pub why: Why,
}

/// Why an event cannot be read. Says nothing of what is in it, which may be personal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// No event of that type has that shape.
    Unknown,
    /// Its version is above the highest one that is known.
    Newer,
    /// It is sealed, there is a key, and the key does not open it.
    Sealed,
    /// It can be read itself, but what it means depends on the one at this position.
    RestsOn(i64),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("this version knows no such event"),
            Self::Newer => f.write_str("it was written by a newer version"),
            Self::Sealed => f.write_str("what is sealed in it cannot be opened"),
            Self::RestsOn(position) => write!(f, "it rests on the event at position {position}"),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            cursor,
            aggregate_type,
            aggregate_id,
            sequence,
            event_type,
            event_version,
            why,
            ..
        } = self;
        write!(
            f,
            "position {}, stream {aggregate_type} {aggregate_id}, number {sequence}, type \
             {event_type}, version {event_version}: {why}",
            cursor.position
        )
    }
}

impl Unreadable {
    pub(crate) fn new(row: &StoredEvent, why: Why) -> Self {
        Self {
            cursor: row.cursor(),
            project_id: ProjectId::from_caller(&row.project_id),
            aggregate_type: row.aggregate_type.clone(),
            aggregate_id: row.aggregate_id.clone(),
            sequence: row.sequence,
            event_type: row.event_type.clone(),
            event_version: row.event_version.clone(),
            recorded_at: Millis(row.recorded_at),
            why,
        }
    }
}

impl Unreadable {
    /// An event whose meaning depends on this one, and which is therefore no more of use.
    #[must_use]
    pub fn hides(&self, event: &RecordedEvent) -> Self {
        Self {
            cursor: event.cursor,
            project_id: event.project_id.clone(),
            aggregate_type: event.event.aggregate_type().to_owned(),
            aggregate_id: event.aggregate_id.clone(),
            sequence: event.sequence,
            event_type: event.event_type.clone(),
            event_version: event.event.version(),
            recorded_at: event.recorded_at,
            why: Why::RestsOn(self.cursor.position),
        }
    }
}

/// A stretch of the log: what could be read of it, in order, and what could not.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// What could be read.
    pub events: Vec<T>,
    /// What could not.
    pub unreadable: Vec<Unreadable>,
    /// Where the stretch ends; nowhere, if nothing is in it.
    pub end: Option<Cursor>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            unreadable: Vec::new(),
            end: None,
        }
    }
}

impl<T> Page<T> {
    /// How many events it covers.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len() + self.unreadable.len()
    }

    /// Whether the log had nothing there.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads rows one by one, each by itself.
    pub(crate) fn read(
        rows: Vec<StoredEvent>,
        mut read: impl FnMut(&mut StoredEvent) -> Result<T, Why>,
    ) -> Self {
        let mut page = Self {
            end: rows.last().map(StoredEvent::cursor),
            events: Vec::with_capacity(rows.len()),
            unreadable: Vec::new(),
        };
        for mut row in rows {
            match read(&mut row) {
                Ok(event) => page.events.push(event),
                Err(why) => page.unreadable.push(Unreadable::new(&row, why)),
            }
        }
        page
    }
}

impl Page<RecordedEvent> {
    /// The same events, in their order, each on a page of its own.
    pub(crate) fn one_by_one(self) -> Vec<Self> {
        let readable = self.events.into_iter().map(|event| Self {
            end: Some(event.cursor),
            events: vec![event],
            unreadable: Vec::new(),
        });
        let unreadable = self.unreadable.into_iter().map(|event| Self {
            end: Some(event.cursor),
            events: Vec::new(),
            unreadable: vec![event],
        });
        let mut pages: Vec<Self> = readable.chain(unreadable).collect();
        pages.sort_by_key(|page| page.end);
        pages
    }
}
