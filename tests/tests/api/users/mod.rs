//! `/api/v1/users`

mod activity;
mod delete;
mod export;
mod list;
mod profile;
mod search;
mod status;
