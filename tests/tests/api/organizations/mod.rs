mod create;
mod get;
mod list;
mod roles;
mod workspaces;
