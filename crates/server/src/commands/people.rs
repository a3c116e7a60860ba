//! `rivergen people`: what an operator does for somebody who cannot do it themselves.

use std::io::Read;

use clap::Subcommand;
use rivergen_identity::{account::delete, email_address, operator, user::User};
use rivergen_kernel::{BuiltInRole, Error, Result, Secret};
use rivergen_platform::Clock;
use rivergen_tenancy::provision::{self, Ownership, Person};

use crate::{App, Config};

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Make an owner, with their organization where there is none of that name; a member becomes one too
    CreateOwner {
        /// An account of this address stays as it is, with its password
        email: String,
        /// The organization's name
        #[arg(long, value_name = "NAME")]
        organization: String,
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// Read the password from the standard input; without it, a link to set one is printed
        #[arg(long)]
        password_stdin: bool,
    },
    /// Print a link with which a password can be set, once and within the hour
    PasswordLink {
        /// An address of the account
        email: String,
    },
    /// Remove somebody's second factors, backup codes and trusted devices; their passkeys stay
    ResetMfa {
        /// An address of the account
        email: String,
    },
    /// End sessions: tokens die on every node
    #[command(arg_required_else_help = true)]
    EndSessions {
        /// An address of the account
        #[arg(required_unless_present = "everybody", conflicts_with = "everybody")]
        email: Option<String>,
        /// Of all accounts
        #[arg(long)]
        everybody: bool,
    },
    /// Open an account again that its person closed less than thirty days ago
    Restore {
        /// An address of the account
        email: String,
    },
}

impl PeopleCommand {
    pub async fn run(self, config: &Config) -> Result<()> {
        let app = App::build(config, Clock::system()).await?;
        let identity = &app.tenancy.identity;
        let address = |email: &str| email_address::normalise(email, "email");
        match self {
            Self::CreateOwner { email, organization, display_name, password_stdin } => {
                let email = address(&email)?;
                let password = if password_stdin { Some(read_password()?) } else { None };
                let before = User::find_by_email(identity.platform.db.read(), &email).await?;
                let has_password = before.as_ref().is_some_and(|user| user.account.password_hash.is_some());
                // A password is taken for a new account only.
                let needs_link = !has_password && (password.is_none() || before.is_some());
                let person = Person {
                    email: email.clone(),
                    display_name,
                    password,
                    password_hash: None,
                    role: BuiltInRole::Owner,
                    attributes: Default::default(),
                };
                match provision::make_owner(&app.tenancy, &organization, person).await? {
                    Ownership::Made => println!("{email} is an owner of {organization}."),
                    Ownership::Raised => {
                        println!("{email} belonged to {organization} already, and is an owner of it now.")
                    }
                    Ownership::Kept => println!("{email} is an owner of {organization} already; nothing was changed."),
                }
                if has_password {
                    println!("The account has a password, which stays.");
                }
                if needs_link {
                    println!("Set a password within the hour: {}", operator::password_link(identity, &email).await?);
                }
            }
            Self::PasswordLink { email } => {
                println!("{}", operator::password_link(identity, &address(&email)?).await?);
            }
            Self::ResetMfa { email } => {
                let email = address(&email)?;
                let removed = operator::reset_mfa(identity, &email).await?;
                println!("{email} had {removed} second factors and has none now.");
            }
            Self::EndSessions { email: Some(email), .. } => {
                let email = address(&email)?;
                println!("{} sessions of {email} have ended.", operator::end_sessions(identity, &email).await?);
            }
            Self::EndSessions { email: None, .. } => {
                println!("{} sessions have ended.", operator::end_everybodys_sessions(identity).await?);
            }
            Self::Restore { email } => {
                let email = address(&email)?;
                delete::restore(identity, &email).await?;
                println!("The account of {email} is open again.");
            }
        }
        Ok(())
    }
}

/// One line, without its end.
fn read_password() -> Result<Secret> {
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text).map_err(Error::internal)?;
    Ok(Secret::new(text.lines().next().unwrap_or_default()))
}
