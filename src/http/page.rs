//! Pages of a list: `?cursor=&limit=` in, `{"items": […], "next_cursor": …}` out. A cursor is opaque to callers: the position of the
//! last item that they have.

use super::Problem;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

const DEFAULT_LIMIT: i64 = 50;
const LARGEST_LIMIT: i64 = 200;

/// `cursor` and `limit` of a query.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct PageParams {
    /// `next_cursor` of the page before; empty or absent for the first page.
    #[param(pattern = "^[A-Za-z0-9_-]*$", max_length = 64)]
    cursor: Option<String>,
    /// How many items; 50 if not given.
    #[param(minimum = 1, maximum = 200)]
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

    /// How many items; 422 for less than one or more than the largest page.
    pub fn limit(&self) -> Result<i64, Problem> {
        match self.limit.unwrap_or(DEFAULT_LIMIT) {
            limit @ 1..=LARGEST_LIMIT => Ok(limit),
            _ => Err(Problem::invalid(format!("limit: от 1 до {LARGEST_LIMIT}"))),
        }
    }
}

/// One page.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page<T> {
    /// At most as many as were asked for.
    items: Vec<T>,
    /// Where the next page begins; null on the last one.
    #[schema(example = json!(null))]
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
        assert_eq!(params(None, Some(LARGEST_LIMIT)).limit().unwrap(), LARGEST_LIMIT);
        for limit in [0, LARGEST_LIMIT + 1, i64::MAX] {
            assert!(params(None, Some(limit)).limit().is_err());
        }
        assert_eq!(params(Some(""), None).position::<Number>().unwrap(), None);
        assert_eq!(params(Some("5"), None).position().unwrap(), Some(Number(5)));
        assert!(params(Some("x"), None).position::<Number>().is_err());
    }
}
