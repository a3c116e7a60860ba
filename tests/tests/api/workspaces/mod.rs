//! `/api/v1/workspaces`

mod clone;
mod create;
mod delete;
mod get;
mod list;
mod provision;
mod public;
mod settings;
mod update;

const PATH: &str = "/api/v1/workspaces";
