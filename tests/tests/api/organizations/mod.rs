mod create;
mod get;
mod invitations;
mod list;
mod members;
mod tokens;
mod workspaces;
