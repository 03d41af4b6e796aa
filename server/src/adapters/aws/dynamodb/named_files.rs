//! Files by name, merged from those of each state.
//!
//! A folded prefix is skipped as a whole, so that a folder view costs as many
//! look-ups as it has entries, whatever lies below them.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, VecDeque},
};

use sluice_domain::{AccountId, FileId, FileState, Result};

use super::{
    Records,
    call::{LAST, Range},
    item::Item,
    key,
};
use crate::ports::{FilePage, FilePosition, FileQuery, file_store::after_prefix};

/// A file's place by name.
type Place = (String, FileId);

/// Where a walk goes on.
#[derive(Debug, Clone)]
enum From {
    /// At the first name that is not before this.
    Name(String),
    /// After this file.
    After(Place),
}

impl From {
    fn admits(&self, (name, id): &Place) -> bool {
        match self {
            Self::Name(first) => name >= first,
            Self::After((last, last_id)) => match name.cmp(last) {
                Ordering::Equal => id > last_id,
                order => order.is_gt(),
            },
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Name(name) | Self::After((name, _)) => name,
        }
    }

    /// The first sort key that can be admitted.
    fn sort_key(&self, state: FileState) -> String {
        match self {
            Self::Name(name) => name.clone(),
            Self::After((name, _)) if state == FileState::Ready => name.clone(),
            Self::After((name, id)) => key::name_and_id(name, *id).0,
        }
    }
}

/// The files in one state, in order.
struct Walk {
    state: FileState,
    read: VecDeque<Place>,
    /// The sort key after which to read on; nothing once all is read.
    next: Option<String>,
}

impl Records {
    /// A page of files by name.
    pub(super) async fn files_by_name(
        &self,
        owner: AccountId,
        query: &FileQuery,
    ) -> Result<FilePage> {
        let limit = query.limit as usize;
        let states = FileState::ALL.into_iter();
        let states = states.filter(|state| query.states.is_empty() || query.states.contains(state));
        let mut from = match &query.after {
            Some(FilePosition::Named(name, id)) => From::After((name.clone(), *id)),
            Some(FilePosition::Prefix(prefix)) => From::Name(after_prefix(prefix)),
            _ => From::Name(String::new()),
        };
        if from.name() < query.name_prefix.as_str() {
            from = From::Name(query.name_prefix.clone());
        }
        let mut walks: Vec<_> = states
            .map(|state| Walk { state, read: VecDeque::new(), next: Some(from.sort_key(state)) })
            .collect();
        let mut page = FilePage::default();
        let (mut ids, mut position) = (Vec::new(), query.after.clone());
        loop {
            let Some(place) = self.next_place(owner, &mut walks, &from, limit).await? else {
                break;
            };
            if !place.0.starts_with(&query.name_prefix) {
                break;
            }
            if ids.len() + page.prefixes.len() == limit {
                page.next = position;
                break;
            }
            match query.folded(&place.0) {
                Some(prefix) => {
                    from = From::Name(after_prefix(prefix));
                    position = Some(FilePosition::Prefix(prefix.to_owned()));
                    page.prefixes.push(prefix.to_owned());
                }
                None => {
                    position = Some(FilePosition::Named(place.0.clone(), place.1));
                    ids.push(place.1);
                    from = From::After(place);
                }
            }
        }
        let found = self.find_files(owner, &ids).await?;
        let mut found: HashMap<_, _> =
            found.into_iter().map(|stored| (stored.file.id, stored.file)).collect();
        page.files = ids.iter().filter_map(|id| found.remove(id)).collect();
        page.files.retain(|file| query.states.is_empty() || query.states.contains(&file.state));
        Ok(page)
    }

    /// The first place in all walks that is admitted.
    async fn next_place(
        &self,
        owner: AccountId,
        walks: &mut [Walk],
        from: &From,
        limit: usize,
    ) -> Result<Option<Place>> {
        let mut first: Option<Place> = None;
        for walk in walks {
            let place = self.first_of(owner, walk, from, limit).await?;
            first = match (first, place) {
                (Some(first), Some(place)) => Some(first.min(place)),
                (first, place) => first.or(place),
            };
        }
        Ok(first)
    }

    async fn first_of(
        &self,
        owner: AccountId,
        walk: &mut Walk,
        from: &From,
        limit: usize,
    ) -> Result<Option<Place>> {
        loop {
            while walk.read.front().is_some_and(|place| !from.admits(place)) {
                walk.read.pop_front();
            }
            if let Some(place) = walk.read.front() {
                return Ok(Some(place.clone()));
            }
            let Some(next) = &walk.next else { return Ok(None) };
            // What was skipped need not be read.
            let start = from.sort_key(walk.state).max(next.clone());
            let page = self.names_in(owner, walk.state, start, limit + 2).await?;
            let whole = page.len() < limit + 2;
            walk.next = match page.last() {
                Some(last) if !whole => Some(last.key()?.sk),
                _ => None,
            };
            for item in &page {
                walk.read.extend(places(walk.state, item)?);
            }
        }
    }

    async fn names_in(
        &self,
        owner: AccountId,
        state: FileState,
        start: String,
        limit: usize,
    ) -> Result<Vec<Item>> {
        // No key is empty.
        let start = if start.is_empty() { " ".to_owned() } else { start };
        if state != FileState::Ready {
            let range = Range::all(key::named(owner, state)).from(start).to(LAST);
            return self.query(&range, limit).await;
        }
        let range = Range::all(key::names(owner)).from(start).to(LAST);
        self.query_where(&range, limit, Some(("attribute_exists(holder)", None))).await
    }
}

/// The files of an item.
fn places(state: FileState, item: &Item) -> Result<Vec<Place>> {
    let sort = item.key()?.sk;
    if state == FileState::Ready {
        return Ok(vec![(sort, item.get("holder")?)]);
    }
    let (name, id) = key::parse_name_and_id(&sort);
    let ids = match id {
        Some(id) => [id].into(),
        None => item.get::<BTreeSet<FileId>>("ids")?,
    };
    Ok(ids.into_iter().map(|id| (name.to_owned(), id)).collect())
}
