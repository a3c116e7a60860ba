//! `/api/v1/users`

mod activity;
mod create;
mod delete;
mod export;
mod import;
mod list;
mod merge;
mod plans;
mod profile;
mod search;
mod status;
