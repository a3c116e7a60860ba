//! `POST /api/v1/auth/forgot-password`: a mail with a link to set another password.
//!
//! The request itself looks nobody up: it leaves a job, and the job does. So it takes as long for an address that has
//! an account as for one that has none, and leaves the same behind.

use std::time::Duration;

use async_trait::async_trait;
use axum::extract::State;
use garde::Validate;
use rivergen_kernel::Result;
use rivergen_platform::{
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin},
    jobs::{Handler, JobContext, JobError, JobOptions},
    limits::Rule,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Identity, email_address, mails, user::User};

const BY_IP: Rule = Rule::new("forgot_password_by_ip", 3, Duration::from_secs(3600));
const BY_EMAIL: Rule = Rule::new("forgot_password_by_email", 3, Duration::from_secs(3600));

const JOB: &str = "identity.forgot_password";

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"email": "ada@acme.example"}))]
pub struct ForgotPasswordRequest {
    #[garde(skip)]
    pub email: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Asked {
    pub message: &'static str,
}

errors! { pub ForgotPasswordErrors: InvalidRequest, ValidationError, RateLimited; }

const GENERIC: &str = "If the address belongs to an account, an e-mail with a link is on its way.";

/// Request an e-mail to reset the password
#[utoipa::path(post, path = "/api/v1/auth/forgot-password", tag = "authentication", request_body = ForgotPasswordRequest, security(()),
    responses((status = 200, description = "The same answer whether or not the address is known", body = Envelope<Asked>), ForgotPasswordErrors))]
pub async fn forgot_password(
    State(identity): State<Identity>,
    origin: RequestOrigin,
    Json(request): Json<ForgotPasswordRequest>,
) -> Result<Reply<Asked>> {
    let platform = &identity.platform;
    let email = email_address::normalise(&request.email, "email")?;
    let uses = platform.check_limits(&[(&BY_IP, &origin.limit_key()), (&BY_EMAIL, &email)]).await?;
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    let asked = Request { email, ip: origin.ip, user_agent: origin.user_agent };
    platform.jobs.enqueue(&tx, JOB, &asked, JobOptions::default()).await?;
    tx.commit().await?;
    Ok(Reply::ok(Asked { message: GENERIC }, GENERIC))
}

#[derive(Serialize, Deserialize)]
struct Request {
    email: String,
    ip: Option<std::net::IpAddr>,
    user_agent: Option<String>,
}

/// Looks the address up and mails what fits.
pub struct Mailer(pub Identity);

impl Mailer {
    pub fn register(identity: &Identity) {
        identity.platform.jobs.register(JOB, std::sync::Arc::new(Self(identity.clone())));
    }
}

#[async_trait]
impl Handler for Mailer {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let asked: Request = serde_json::from_value(payload).map_err(|_| JobError::fatal("not a request"))?;
        self.answer(asked).await.map_err(JobError::retry)
    }
}

impl Mailer {
    async fn answer(&self, asked: Request) -> Result<()> {
        let identity = &self.0;
        let platform = &identity.platform;
        let tx = platform.db.begin().await?;
        let user = User::find_by_email(tx.conn(), &asked.email).await?;
        let user = user.filter(|user| user.account.disabled_at.is_none());
        let record = AuditRecord::new(None, Actor::anonymous().with_ip(asked.ip), "auth.forgot_password");
        let record = match &user {
            Some(user) if user.account.password_hash.is_some() => {
                mails::send_password_reset(identity, &tx, user).await?;
                record.target("user", user.id().0)
            }
            Some(user) => {
                mails::send_no_password(identity, &tx, user).await?;
                record.target("user", user.id().0).details(serde_json::json!({"reason": "has no password"}))
            }
            None => record.outcome(audit::Outcome::Failure).details(serde_json::json!({"reason": "unknown address"})),
        };
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await
    }
}
