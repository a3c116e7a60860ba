//! The `rivergen` server: settings, assembly of the rooms into one router, the OpenAPI document, and the
//! commands of the binary.

pub mod assembly;
pub mod browser;
pub mod commands;
pub mod config;
pub mod console;
pub mod demo;
pub mod health;
pub mod openapi;
pub mod pages;
pub mod serve;
mod sight;
mod targets;

pub use assembly::App;
pub use config::Config;
