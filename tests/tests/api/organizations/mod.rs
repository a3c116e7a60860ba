mod create;
mod get;
mod list;
mod workspaces;
