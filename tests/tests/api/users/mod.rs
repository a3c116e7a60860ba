//! `/api/v1/users`

mod export;
