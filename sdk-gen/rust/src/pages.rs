//! Lists that come page by page, as one stream.

use futures::{Stream, TryStreamExt, stream};

use crate::{Error, Result};

/// All items of a list. `fetch` is given a page token and answers with the
/// items of that page and the token of the next one, which is empty at the end.
pub(crate) fn paged<T, F, Fut>(fetch: F) -> impl Stream<Item = Result<T>>
where
    F: Fn(String) -> Fut,
    Fut: Future<Output = Result<(Vec<T>, String)>>,
{
    let pages = stream::try_unfold(Some(String::new()), move |token| {
        let page = token.map(&fetch);
        async {
            let Some(page) = page else { return Ok(None) };
            let (items, next) = page.await?;
            let next = Some(next).filter(|token| !token.is_empty());
            Ok::<_, Error>(Some((stream::iter(items.into_iter().map(Ok)), next)))
        }
    });
    pages.try_flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn pages_follow_each_other_until_the_token_is_empty() {
        let list = paged(|token| async move {
            Ok(match token.as_str() {
                "" => (vec![1, 2], "a".to_owned()),
                "a" => (vec![], "b".to_owned()),
                "b" => (vec![3], String::new()),
                _ => unreachable!(),
            })
        });
        assert_eq!(list.try_collect::<Vec<_>>().await.unwrap(), [1, 2, 3]);
    }
}
