//! The authorization server at work: tokens of services, codes against tokens, questions about tokens.

use std::{path::Path, time::Duration};

use serde_json::{Value, json};

use crate::{
    error::{BenchError, Result},
    load::{self, Load},
    median,
    report::{Goal, Report},
    server::Server,
};

const RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
const CONNECTIONS: usize = 32;
const CODES: usize = 4_000;

const CALLBACK: &str = "https://app.bench.example/callback";
/// The example of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// Everything on one database: SQLite where none is given.
pub fn measure(binary: &Path, name: &str, database: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, database)?;
    let session = server.sign_in()?.access_token;
    let me = Load::get(server.address, "/api/v1/auth/me", &session, 1).once()?;
    let me: Value = serde_json::from_slice(&me)?;
    let organization = me["data"]["organizations"][0]["id"].as_i64();
    let organization = organization.ok_or_else(|| BenchError::Answer("the owner has no organization".into()))?;
    let registration = json!({"name": "bench", "grant_types": ["authorization_code", "client_credentials"],
        "redirect_uris": [CALLBACK], "scopes": ["read"]});
    let path = format!("/api/v1/organizations/{organization}/oauth-applications");
    let application = server.post(&path, &registration, Some(&session))?["data"].take();
    let (id, secret) = (text(&application, "client_id")?, text(&application, "client_secret")?);
    let client = format!("client_id={id}&client_secret={secret}");
    let form = |path: &str, rest: &str| Load::form(server.address, path, &format!("{client}&{rest}"), CONNECTIONS);

    let credentials = form("/oauth/token", "grant_type=client_credentials");
    let rate = rate(&credentials)?;
    report.bound(format!("client credentials, {name}"), rate, "/s", Goal::AtLeast(2_000.0));

    let tokens: Value = serde_json::from_slice(&credentials.once()?)?;
    let ask = form("/oauth/introspect", &format!("token={}", text(&tokens, "access_token")?));
    report.bound(format!("introspection of one token, {name}"), self::rate(&ask)?, "/s", Goal::AtLeast(8_000.0));

    let decision = json!({"client_id": id, "redirect_uri": CALLBACK, "scope": "openid read", "approve": true,
        "code_challenge": CHALLENGE, "code_challenge_method": "S256"});
    let exchanges = (0..CODES).map(|_| {
        let answer = server.post("/api/v1/oauth/authorize", &decision, Some(&session))?;
        let location = text(&answer["data"], "redirect_url")?;
        let (_, code) =
            location.split_once("code=").ok_or_else(|| BenchError::Answer("no code was answered".into()))?;
        let code = code.split('&').next().unwrap_or_default();
        let rest =
            format!("grant_type=authorization_code&code={code}&redirect_uri={CALLBACK}&code_verifier={VERIFIER}");
        Ok(form("/oauth/token", &rest).request)
    });
    let rate = load::all_per_second(server.address, exchanges.collect::<Result<_>>()?, CONNECTIONS)?;
    report.bound(format!("codes against tokens, {name}"), rate, "/s", Goal::AtLeast(800.0));
    Ok(())
}

fn rate(load: &Load) -> Result<f64> {
    Ok(median((0..RUNS).map(|_| load.per_second(WARM_UP, MEASURED)).collect::<Result<_>>()?))
}

fn text(value: &Value, name: &str) -> Result<String> {
    let found = value[name].as_str().map(str::to_owned);
    found.ok_or_else(|| BenchError::Answer(format!("no {name} was answered")))
}
