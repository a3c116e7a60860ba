mod assign;
mod create;
mod evaluations;
mod get;
mod list;
