//! Pages of listings without filters, newest entries first.

use sluice_domain::{Result, Timestamp};
use uuid::Uuid;

use super::page_token::{Filters, page_size};

/// One page of such a listing, as it was asked for.
pub(super) struct Page {
    size: u32,
    /// Microseconds since 1970, and an id.
    after: Option<(i64, Uuid)>,
    filters: Filters,
}

impl Page {
    /// Reads the page fields of a request.
    pub(super) fn of(size: i32, token: &str) -> Result<Self> {
        let filters = Filters::of(&());
        Ok(Self { size: page_size(size)?, after: filters.position(token)?, filters })
    }

    /// Most entries, and one more that tells whether another page follows.
    pub(super) fn and_one(&self) -> u32 {
        self.size + 1
    }

    /// Creation time and id of the entry before the first.
    pub(super) fn after<I>(&self, id: impl FnOnce(Uuid) -> I) -> Option<(Timestamp, I)> {
        self.after.map(|(time, uuid)| (Timestamp::from_micros(time), id(uuid)))
    }

    /// Leaves as many entries as the page has; answers the token of the next one.
    pub(super) fn cut<T>(
        &self,
        found: &mut Vec<T>,
        place: impl FnOnce(&T) -> (Timestamp, Uuid),
    ) -> String {
        let more = found.len() > self.size as usize;
        found.truncate(self.size as usize);
        let last = found.last().filter(|_| more).map(place);
        let token = |(time, id): (Timestamp, Uuid)| self.filters.token((time.as_micros(), id));
        last.map_or_else(String::new, token)
    }
}
