mod login;
mod logout;
mod me;
mod refresh;
mod signup;
mod verify_email;
