//! Pages of a list: `?cursor=&limit=` in, `{"items": […], "next_cursor": …}` out. A cursor is opaque to callers: the position of the
//! last item that they have.

use super::Problem;
use serde::{Deserialize, Serialize};

const DEFAULT_LIMIT: i64 = 50;
const LARGEST_LIMIT: i64 = 200;

/// `cursor` and `limit` of a query.
#[derive(Debug, Deserialize)]
pub(super) struct PageParams {
    cursor: Option<String>,
    limit: Option<i64>,
}

/// A position that a cursor can name.
pub(crate) trait Position: Sized {
    /// As text, of letters, digits, `-` and `_`.
    fn to_cursor(&self) -> String;
    /// Reads [`Position::to_cursor`].
    fn from_cursor(text: &str) -> Option<Self>;
}

impl PageParams {
    /// Where to go on; 422 for a cursor that we did not make.
    pub fn position<P: Position>(&self) -> Result<Option<P>, Problem> {
        let cursor = self.cursor.as_deref().filter(|cursor| !cursor.is_empty());
        cursor.map(|cursor| P::from_cursor(cursor).ok_or_else(|| Problem::invalid("Неизвестный курсор страницы"))).transpose()
    }

    /// How many items; 422 for less than one. More than the largest page gives the largest page.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            ..1 => Err(Problem::invalid("limit должен быть больше нуля")),
            limit => Ok(limit.min(LARGEST_LIMIT)),
        }
    }
}

/// One page.
#[derive(Debug, Serialize)]
pub(super) struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` items out of `limit + 1` that were asked for: the extra one only tells that there are more.
    pub fn cut<P: Position>(mut items: Vec<T>, limit: i64, position: impl Fn(&T) -> P) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let more = items.len() > limit;
        items.truncate(limit);
        let next_cursor = items.last().filter(|_| more).map(|last| position(last).to_cursor());
        Self { items, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Number(i32);

    impl Position for Number {
        fn to_cursor(&self) -> String {
            self.0.to_string()
        }

        fn from_cursor(text: &str) -> Option<Self> {
            text.parse().ok().map(Self)
        }
    }

    fn params(cursor: Option<&str>, limit: Option<i64>) -> PageParams {
        PageParams { cursor: cursor.map(str::to_owned), limit }
    }

    #[test]
    fn the_extra_item_tells_that_there_are_more() {
        let page = Page::cut(vec![3, 2, 1], 2, |&number| Number(number));
        assert_eq!((page.items, page.next_cursor.as_deref()), (vec![3, 2], Some("2")));
        let last = Page::cut(vec![1], 2, |&number| Number(number));
        assert_eq!((last.items, last.next_cursor), (vec![1], None));
    }

    #[test]
    fn limits_are_bounded_and_foreign_cursors_refused() {
        assert_eq!(params(None, None).limit().unwrap(), DEFAULT_LIMIT);
        assert_eq!(params(None, Some(i64::MAX)).limit().unwrap(), LARGEST_LIMIT);
        assert!(params(None, Some(0)).limit().is_err());
        assert_eq!(params(Some(""), None).position::<Number>().unwrap(), None);
        assert_eq!(params(Some("5"), None).position().unwrap(), Some(Number(5)));
        assert!(params(Some("x"), None).position::<Number>().is_err());
    }
}
