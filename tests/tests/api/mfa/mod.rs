mod backup_codes;
mod email_otp;
mod status;
mod totp;
