//! Two sorted lists side by side: what is only in the one, only in the other,
//! or in both. Neither is held as a whole.

use std::{cmp::Ordering, pin::Pin};

use futures::{Stream, StreamExt, stream, stream::Peekable};

/// Something with a place in a sorted list.
pub(crate) trait Sorted {
    /// Its place; none for what belongs nowhere and is passed on at once.
    fn place(&self) -> Option<&str>;
}

/// One place in two lists.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Joined<L, R> {
    Left(L),
    Right(R),
    Both(L, R),
}

/// Joins two streams that are sorted by the bytes of their places. The first
/// error of either ends the result.
pub(crate) fn join<L, R, E>(
    left: impl Stream<Item = Result<L, E>>,
    right: impl Stream<Item = Result<R, E>>,
) -> impl Stream<Item = Result<Joined<L, R>, E>>
where
    L: Sorted,
    R: Sorted,
{
    let state = (Box::pin(left.peekable()), Box::pin(right.peekable()));
    stream::try_unfold(state, async |(mut left, mut right)| {
        let order = {
            let (left, right) = (peek(&mut left).await, peek(&mut right).await);
            match (left, right) {
                (None, None) => return Ok(None),
                // Errors come before everything else.
                (Some(Err(_)) | Some(Ok(None)), _) | (_, None) => Ordering::Less,
                (_, Some(Err(_) | Ok(None))) | (None, _) => Ordering::Greater,
                (Some(Ok(Some(left))), Some(Ok(Some(right)))) => left.cmp(right),
            }
        };
        let joined = match order {
            Ordering::Less => left.next().await.transpose()?.map(Joined::Left),
            Ordering::Greater => right.next().await.transpose()?.map(Joined::Right),
            Ordering::Equal => {
                let (left, right) = (left.next().await, right.next().await);
                match (left.transpose()?, right.transpose()?) {
                    (Some(left), Some(right)) => Some(Joined::Both(left, right)),
                    _ => None,
                }
            }
        };
        Ok(joined.map(|joined| (joined, (left, right))))
    })
}

/// The place of what comes next, if there is anything.
async fn peek<'a, T: Sorted + 'a, E: 'a, S>(
    stream: &'a mut Pin<Box<Peekable<S>>>,
) -> Option<Result<Option<&'a str>, &'a E>>
where
    S: Stream<Item = Result<T, E>>,
{
    let next = stream.as_mut().peek().await?;
    Some(next.as_ref().map(Sorted::place))
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    impl Sorted for &'static str {
        fn place(&self) -> Option<&str> {
            (*self != "!").then_some(self)
        }
    }

    type Item = Joined<&'static str, &'static str>;

    async fn joined(
        left: &[&'static str],
        right: &[Result<&'static str, ()>],
    ) -> Result<Vec<Item>, ()> {
        let left = stream::iter(left.iter().map(|it| Ok(*it)));
        join(left, stream::iter(right.to_vec())).try_collect().await
    }

    #[tokio::test]
    async fn every_place_comes_once_and_in_order() {
        use Joined::{Both, Left, Right};
        let all = joined(&["a", "b", "!", "d"], &[Ok("b"), Ok("c"), Ok("e")]).await.unwrap();
        assert_eq!(all, [Left("a"), Both("b", "b"), Left("!"), Right("c"), Left("d"), Right("e")]);
        assert_eq!(joined(&[], &[]).await.unwrap(), []);
        assert_eq!(joined(&["a"], &[]).await.unwrap(), [Left("a")]);
        assert_eq!(joined(&[], &[Ok("a")]).await.unwrap(), [Right("a")]);
    }

    #[tokio::test]
    async fn an_error_ends_it() {
        assert_eq!(joined(&["a", "b"], &[Ok("a"), Err(())]).await, Err(()));
        assert_eq!(joined(&[], &[Err(())]).await, Err(()));
    }
}
