mod audit_logs;
mod create;
mod delete;
mod get;
mod list;
mod settings;
mod update;
mod workspaces;
