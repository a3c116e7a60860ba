//! Paging: what a caller asks for and what a list answers.

use serde::{Deserialize, Serialize};

/// `page` from 1 and `page_size` up to 100, as a caller sends them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageRequest {
    page: u64,
    page_size: u64,
}

impl PageRequest {
    pub const MAX_SIZE: u64 = 100;
    pub const DEFAULT_SIZE: u64 = 20;

    /// Refuses page 0 and sizes outside 1..=100.
    pub fn new(page: Option<u64>, page_size: Option<u64>) -> crate::Result<Self> {
        Self::up_to(Self::MAX_SIZE, page, page_size.unwrap_or(Self::DEFAULT_SIZE))
    }

    /// For a list whose pages may be larger than others'.
    pub fn up_to(most: u64, page: Option<u64>, page_size: u64) -> crate::Result<Self> {
        let page = page.unwrap_or(1);
        if page == 0 || page > u64::from(u32::MAX) {
            return Err(crate::Error::invalid_field("page", "must be at least 1"));
        }
        if !(1..=most).contains(&page_size) {
            return Err(crate::Error::invalid_field("page_size", format!("must be from 1 to {most}")));
        }
        Ok(Self { page, page_size })
    }

    /// The page's part of a list that is in memory as a whole.
    pub fn of<T>(&self, all: impl IntoIterator<Item = T>) -> Vec<T> {
        let at = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        all.into_iter().skip(at(self.offset())).take(at(self.limit())).collect()
    }

    pub fn page(&self) -> u64 {
        self.page
    }

    pub fn limit(&self) -> u64 {
        self.page_size
    }

    pub fn offset(&self) -> u64 {
        (self.page - 1) * self.page_size
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub pagination: Pagination,
}

impl<T> Page<T> {
    pub fn new(items: Vec<T>, request: PageRequest, total_items: u64) -> Self {
        Self { items, pagination: Pagination::new(request, total_items) }
    }

    pub fn map<U>(self, f: impl FnMut(T) -> U) -> Page<U> {
        Page { items: self.items.into_iter().map(f).collect(), pagination: self.pagination }
    }
}

/// Where a page stands in its list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Pagination {
    #[schema(examples(1))]
    pub page: u64,
    #[schema(examples(20))]
    pub page_size: u64,
    #[schema(examples(42))]
    pub total_items: u64,
    #[schema(examples(3))]
    pub total_pages: u64,
    pub has_next: bool,
    pub has_previous: bool,
}

impl Pagination {
    pub fn new(request: PageRequest, total_items: u64) -> Self {
        let total_pages = total_items.div_ceil(request.page_size);
        Self {
            page: request.page,
            page_size: request.page_size,
            total_items,
            total_pages,
            has_next: request.page < total_pages,
            has_previous: request.page > 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_page_has_no_next() {
        let pagination = Pagination::new(PageRequest::new(Some(3), Some(20)).unwrap(), 42);
        assert_eq!((pagination.total_pages, pagination.has_next, pagination.has_previous), (3, false, true));
    }

    #[test]
    fn page_zero_and_sizes_over_the_limit_are_refused() {
        assert!(PageRequest::new(Some(0), None).is_err());
        assert!(PageRequest::new(None, Some(101)).is_err());
        assert!(PageRequest::new(None, Some(0)).is_err());
    }
}
