//! What a person does with their own account. One operation, one file; [`prove`] is none, and serves the rooms above.

pub mod add_email;
pub mod change_password;
pub mod delete;
pub mod forgot_password;
pub mod profile;
pub mod prove;
pub mod reset_password;
pub mod switch_workspace;
