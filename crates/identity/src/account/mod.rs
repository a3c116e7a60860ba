//! What a person does with their own account. One operation, one file.

pub mod add_email;
pub mod change_password;
pub mod delete;
pub mod forgot_password;
pub mod profile;
pub mod reset_password;
pub mod switch_workspace;
