//! An event as a condition sees it: the names it may use and the values behind them, read when first asked for.
//!
//! | name | value |
//! |---|---|
//! | `type tenant id operation trigger time` | strings, defaults applied |
//! | `key` | string, or null when the event has none |
//! | `data` | the record after the change |
//! | `old` | the record before it; without one equal to null and without any field, so that `has(old.x)` is false |
//! | `event` | the whole object as written |
//! | any other name | the line's top-level field of that name |

use std::any::Any;
use std::sync::OnceLock;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{CelNull, CelString, Type};
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;

use super::json::{self, BoxedVal};
use crate::model::Event;

/// The names every event has.
pub(super) const NAMES: [&str; 10] =
    ["data", "old", "type", "tenant", "id", "key", "operation", "trigger", "time", "event"];

static NULL: CelNull = CelNull;
static ABSENT: Absent = Absent;

/// One event's values for any number of conditions. Making it costs nothing; JSON is read once, on first use.
pub struct EventContext<'e> {
    event: &'e Event,
    data: OnceLock<Part<'e>>,
    old: OnceLock<Part<'e>>,
    whole: OnceLock<Part<'e>>,
}

type Part<'e> = Result<BoxedVal<'e>, String>;

impl<'e> EventContext<'e> {
    pub fn new(event: &'e Event) -> Self {
        Self { event, data: OnceLock::new(), old: OnceLock::new(), whole: OnceLock::new() }
    }

    /// Why a part that was asked for could not be read.
    pub(super) fn unreadable(&self) -> Option<String> {
        let parts = [("data", &self.data), ("old", &self.old), ("event", &self.whole)];
        parts.into_iter().find_map(|(name, part)| match part.get() {
            Some(Err(error)) => Some(format!("the event's `{name}` cannot be read: {error}")),
            _ => None,
        })
    }

    fn whole(&self) -> Option<&(dyn Val + 'e)> {
        Self::value(self.whole.get_or_init(|| read(&self.event.line)))
    }

    fn top_level(&self, name: &str) -> Option<CowVal<'_, 'e>> {
        self.whole()?.as_indexer()?.get(&CelString::from(name)).ok()
    }

    fn value<'b>(part: &'b Part<'e>) -> Option<&'b (dyn Val + 'e)> {
        part.as_ref().ok().map(|value| &**value)
    }
}

fn read(text: &[u8]) -> Part<'_> {
    json::read(text).map_err(|error| error.to_string())
}

impl VariableResolver for EventContext<'_> {
    /// Called with a qualified name (`data.total`) before its parts; those are never names of ours.
    fn resolve<'b>(&'b self, name: &str) -> Option<CowVal<'b, 'b>> {
        let event = self.event;
        let text = |text: &'b str| Some(CowVal::owned(CelString::from(text)));
        match name {
            "type" => text(&event.event_type),
            "tenant" => text(&event.tenant),
            "id" => text(&event.id),
            "operation" => text(event.operation.as_str()),
            "trigger" => text(&event.trigger),
            "time" => text(&event.time),
            "key" => event.key.as_deref().map_or(Some(CowVal::Borrowed(&NULL)), text),
            "data" => {
                let part = self.data.get_or_init(|| read(event.data()));
                Some(CowVal::Borrowed(Self::value(part)?))
            }
            "old" => match event.old() {
                None | Some(b"null") => Some(CowVal::Borrowed(&ABSENT)),
                Some(old) => Some(CowVal::Borrowed(Self::value(self.old.get_or_init(|| read(old)))?)),
            },
            "event" => Some(CowVal::Borrowed(self.whole()?)),
            _ if name.contains('.') => None,
            _ => self.top_level(name),
        }
    }
}

/// The `old` of an event that has none: null by type and equality, a record without fields to `old.x` and `has`.
#[derive(Debug)]
struct Absent;

impl Val for Absent {
    fn get_type(&self) -> &Type {
        NULL.get_type()
    }

    fn cel_type() -> &'static Type {
        CelNull::cel_type()
    }

    fn as_indexer<'b, 'v>(&'b self) -> Option<&'b (dyn Indexer + 'v)>
    where
        Self: 'v,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        NULL.equals(other)
    }

    fn clone_as_boxed<'v>(&self) -> Box<dyn Val + 'v> {
        Box::new(Absent)
    }

    /// Stands in for null, so that `null == old` holds as `old == null` does.
    fn as_any(&self) -> Option<&dyn Any> {
        Some(&NULL)
    }
}

impl Indexer for Absent {
    fn get<'b, 'v>(&'b self, field: &dyn Val) -> Result<CowVal<'b, 'v>, ExecutionError>
    where
        Self: 'v,
    {
        let name = field.downcast_ref::<CelString<'_>>().map_or("", |name| name.inner());
        Err(ExecutionError::no_such_key(&format!("{name} (the event carries no `old`)")))
    }

    fn steal<'v>(self: Box<Self>, field: &dyn Val) -> Result<BoxedVal<'v>, ExecutionError>
    where
        Self: 'v,
    {
        self.get(field).map(CowVal::into_owned)
    }
}
