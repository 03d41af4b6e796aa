//! What the server has already under the names of files to upload. Asked before
//! anything is sent, so that nothing is sent in vain.

use futures::{Stream, TryStreamExt, future::Either, stream};
use sluice_sdk::{Client, File, ListQuery};

use super::collect::Item;
use crate::{
    failure::Failure,
    join::{Joined, join},
    remote_tree::files,
};

/// So many names are asked for one by one; more are looked up in a list.
const FEW: usize = 32;

/// What is known about a name on the server.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Existing {
    /// This file has it.
    File(Box<File>),
    Free,
    NotAsked,
}

/// Items, which are sorted by name, each with what the server has.
pub(super) fn with_existing(
    client: &Client,
    items: Vec<Item>,
) -> impl Stream<Item = Result<(Item, Existing), Failure>> {
    if items.len() <= FEW {
        let items = items.into_iter().map(|item| Ok((item, Existing::NotAsked)));
        return Either::Left(stream::iter(items));
    }
    let listed = files(client, ListQuery::by_name().prefix(common_beginning(&items)));
    let joined = join(stream::iter(items.into_iter().map(Ok)), listed);
    Either::Right(joined.try_filter_map(|joined| async {
        Ok(match joined {
            Joined::Left(item) => Some((item, Existing::Free)),
            Joined::Both(item, file) => Some((item, Existing::File(Box::new(file)))),
            Joined::Right(_) => None,
        })
    }))
}

/// What all names begin with.
fn common_beginning(sorted: &[Item]) -> String {
    let (Some(first), Some(last)) = (sorted.first(), sorted.last()) else {
        return String::new();
    };
    let pairs = first.name.chars().zip(last.name.chars());
    pairs.take_while(|(first, last)| first == last).map(|(first, _)| first).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::collect::Origin, *};

    #[test]
    fn a_list_is_as_narrow_as_the_names_allow() {
        let beginning = |names: &[&str]| {
            let item = |name: &&str| Item { origin: Origin::StandardInput, name: (*name).into() };
            common_beginning(&names.iter().map(item).collect::<Vec<_>>())
        };
        assert_eq!(beginning(&["a/b", "a/bc", "a/bd"]), "a/b");
        assert_eq!(beginning(&["ä", "ö"]), "");
        assert_eq!(beginning(&[]), "");
    }
}
