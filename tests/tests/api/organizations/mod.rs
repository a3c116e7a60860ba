mod create;
mod get;
mod list;
mod workspaces;
mod workspaces_default;
mod workspaces_members;
mod workspaces_one;
