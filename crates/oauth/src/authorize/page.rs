//! The pages that a person meets here: plain HTML, nothing from elsewhere, in no other site's frame, and without a script, but for
//! the one that goes on by itself.

use axum::{
    Json,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Response},
};
use rivergen_kernel::{Error, ErrorCode, Result, Token};
use rivergen_platform::{http::preferred, mail::escape};
use rivergen_tenancy::organization::branding::Color;
use url::Url;

use super::{
    Place,
    sign_in::{AUTHORIZE, DEVICE},
};
use crate::{
    application::{self, Origin},
    error::OauthErrorBody,
    scope::{Item, ScopeSet},
};

const STYLE: &str = include_str!("page.css");
/// Whose page it is, as the console's pages say it.
const BRAND: &str = concat!("<header>", include_str!("mark.svg"), "RiverGen</header>");

/// Nobody keeps the answer, and nobody is told where it came from.
pub(crate) fn keep_private(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}

/// What the page stands on in the two themes, as its style says.
const CARDS: [Color; 2] = [Color::WHITE, Color::new(0x14, 0x1c, 0x25)];

/// Whose page it is, and in which colours: the organization's where it has set them, else as everywhere.
fn brand(place: Option<&Place>) -> (String, String) {
    let Some(place) = place.filter(|place| !place.branding.is_plain()) else {
        return (BRAND.to_owned(), String::new());
    };
    let logo = place.branding.logo.as_deref().map(|logo| format!("<img alt=\"\" src=\"{}\">", escape(logo)));
    let header = format!("<header>{}{}</header>", logo.unwrap_or_default(), escape(&place.organization));
    let style = place.branding.accent_color.map(|color| {
        let [light, dark] = CARDS.map(|card| color.legible_on(card));
        format!(
            ":root {{ --fill: {color}; --on: {on}; --deep: {deep}; --river: {light}; }}\n\
             @media (prefers-color-scheme: dark) {{ :root {{ --river: {dark}; }} }}\n",
            on = color.text_on(),
            deep = color.pointed_at(),
        )
    });
    (header, style.unwrap_or_default())
}

/// A page of RiverGen itself, without a script.
fn page(status: StatusCode, title: &str, body: &str) -> Result<Response> {
    written(status, title, body, None, None)
}

/// Where the forms of a page lead is left open: browsers ask that of each address on the way, and the last is an application's.
fn written(
    status: StatusCode,
    title: &str,
    body: &str,
    place: Option<&Place>,
    script: Option<&str>,
) -> Result<Response> {
    let (header, colors) = brand(place);
    let nonce = Token::random(&mut rand::rng());
    let nonce = &nonce.expose()[..22];
    let scripts = script.map(|_| format!("; script-src 'nonce-{nonce}'")).unwrap_or_default();
    let script = script.map(|script| format!("<script nonce=\"{nonce}\">{script}</script>\n")).unwrap_or_default();
    let policy = format!(
        "default-src 'none'{scripts}; style-src 'nonce-{nonce}'; img-src data:; frame-ancestors 'none'; base-uri 'none'"
    );
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>{title} · RiverGen</title>\n\
         <style nonce=\"{nonce}\">\n{STYLE}{colors}</style></head>\n<body>{header}\n<main>\n{body}\n</main>\n{script}</body>\n\
         </html>\n",
        title = escape(title),
    );
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    keep_private(headers);
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_str(&policy).map_err(Error::internal)?);
    // For browsers that do not know frame-ancestors.
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    Ok(response)
}

/// Where a person is sent, as they can recognise it.
fn destination(redirect_uri: &str) -> String {
    let url = Url::parse(redirect_uri).ok();
    let host = url.as_ref().and_then(Url::host_str).map(str::to_owned);
    match host {
        Some(host) if matches!(host.as_str(), "127.0.0.1" | "localhost" | "[::1]") => {
            "a program on this device".to_owned()
        }
        Some(host) => host,
        None => format!("the program that opens {}:", url.as_ref().map(Url::scheme).unwrap_or_default()),
    }
}

/// What stands in each form here: where it leads back to, and a token against forms of other sites, which the browser's cookie
/// says too.
pub(crate) struct Form<'a> {
    pub back: Back<'a>,
    pub token: &'a str,
}

/// The page to come back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Back<'a> {
    pub to: &'static str,
    pub query: &'a str,
    /// From which second on a sign-in counts, where the request wants a new one.
    pub since: Option<i64>,
}

impl Form<'_> {
    fn hidden(&self) -> String {
        format!(
            "<input type=\"hidden\" name=\"to\" value=\"{}\"><input type=\"hidden\" name=\"continue\" value=\"{}\">\
             <input type=\"hidden\" name=\"since\" value=\"{}\"><input type=\"hidden\" name=\"form_token\" value=\"{}\">",
            escape(self.back.to),
            escape(self.back.query),
            self.back.since.map(|since| since.to_string()).unwrap_or_default(),
            escape(self.token)
        )
    }
}

/// The question: who asks, for what, where, and who answers.
pub(crate) struct Consent<'a> {
    pub application: &'a application::Model,
    /// Its picture, as a data URL that was checked.
    pub logo: Option<&'a str>,
    pub place: &'a Place,
    pub email: &'a str,
    pub scope: ScopeSet,
    pub asked_by: AskedBy<'a>,
    /// It stands for the whole request.
    pub ticket: &'a str,
    /// To begin again as somebody else.
    pub begin_again: Form<'a>,
}

/// How the request came.
pub(crate) enum AskedBy<'a> {
    /// Through the browser, which is sent on.
    Browser { redirect_uri: &'a str },
    /// By a device that shows this code.
    Device { code: &'a str },
}

impl Consent<'_> {
    pub fn response(&self) -> Result<Response> {
        let mut wishes = self.scope.clone();
        // Refresh tokens are given whether they were asked for or not.
        wishes.0.insert(Item::OfflineAccess);
        let wishes: String = wishes.0.iter().map(|item| format!("<li>{}</li>\n", escape(&item.sentence()))).collect();
        let description = self.application.description.as_deref().map(|text| format!("<p>{}</p>\n", escape(text)));
        let organization = escape(&self.place.organization);
        let place = match &self.place.workspace {
            Some(workspace) => format!("<b>{organization}</b>, workspace <b>{}</b>", escape(workspace)),
            None => format!("<b>{organization}</b>"),
        };
        let (action, what_follows) = match self.asked_by {
            AskedBy::Browser { redirect_uri } => {
                (AUTHORIZE, format!("You will be redirected to <b>{}</b>.", escape(&destination(redirect_uri))))
            }
            AskedBy::Device { code } => (
                DEVICE,
                format!(
                    "<b>Continue only if the code {} is shown on your own device and you started this yourself:</b> \
                     anyone who sent you a code would get access.",
                    escape(code)
                ),
            ),
        };
        let unverified = match self.application.is_unverified() {
            true => {
                "<p class=\"bad\" role=\"alert\">Nobody in your organization has checked who made this program, and it \
                 chose its own name. Continue only if you started this yourself.</p>\n"
            }
            false => "",
        };
        let logo = self.logo.map(|logo| format!("<img class=\"logo\" alt=\"\" src=\"{}\">\n", escape(logo)));
        // The address is the one thing about it that cannot be made up.
        let told_at = match self.application.origin {
            Origin::Document => {
                format!("<p>It describes itself at <b>{}</b>.</p>\n", escape(&destination(&self.application.client_id)))
            }
            Origin::Administrator | Origin::Registered => String::new(),
        };
        let body = format!(
            "{logo}<h1>{name} asks to act for you</h1>\n{unverified}{told_at}{description}\
             <p>In {place}, it would be able to:</p>\n<ul>\n{wishes}</ul>\n\
             <p>It can never do more than you can yourself. {what_follows} You can withdraw this at any time under Connected \
             applications.</p>\n<form method=\"post\" action=\"{action}\"><input type=\"hidden\" name=\"ticket\" value=\"{ticket}\">\n\
             <div class=\"ways\"><button name=\"approve\" value=\"true\">Allow</button>\
             <button class=\"plain\" name=\"approve\" value=\"false\">Do not allow</button></div></form>\n\
             <form method=\"post\" action=\"/oauth/sign-out\">{hidden}\
             <p><small>You are signed in as {email}. <button class=\"link\">Not you?</button></small></p></form>",
            name = escape(&self.application.name),
            logo = logo.unwrap_or_default(),
            description = description.unwrap_or_default(),
            ticket = escape(self.ticket),
            hidden = self.begin_again.hidden(),
            email = escape(self.email),
        );
        written(StatusCode::OK, &self.application.name, &body, Some(self.place), None)
    }
}

/// The pages that ask who is there.
pub(crate) struct SignIn<'a> {
    pub form: Form<'a>,
    pub place: Option<&'a Place>,
    pub fault: Option<&'a str>,
}

impl SignIn<'_> {
    fn fault(&self) -> String {
        self.fault.map(|text| format!("<p class=\"bad\" role=\"alert\">{}</p>\n", escape(text))).unwrap_or_default()
    }

    /// With the way to the console's sign-in, where there is one.
    pub fn password(&self, email: &str, elsewhere: Option<&str>) -> Result<Response> {
        let elsewhere = elsewhere.map(|address| {
            format!("\n<p><a href=\"{}\">Use a passkey, single sign-on or another provider</a></p>", escape(address))
        });
        let body = format!(
            "<h1>Sign in to RiverGen</h1>\n<p>An application wants to know who you are.</p>\n{fault}\
             <form method=\"post\" action=\"/oauth/sign-in\">{hidden}\n\
             <label for=\"email\">E-mail address</label><input id=\"email\" name=\"email\" type=\"email\" \
             autocomplete=\"username\" required value=\"{email}\">\n\
             <label for=\"password\">Password</label><input id=\"password\" name=\"password\" type=\"password\" \
             autocomplete=\"current-password\" required>\n<div class=\"ways\"><button>Sign in</button></div></form>{elsewhere}",
            elsewhere = elsewhere.unwrap_or_default(),
            fault = self.fault(),
            hidden = self.form.hidden(),
            email = escape(email),
        );
        written(StatusCode::OK, "Sign in", &body, self.place, None)
    }

    pub fn sign_out(&self, application: Option<&str>, email: &str) -> Result<Response> {
        let body = format!(
            "<h1>Sign out of RiverGen?</h1>\n<p>{asks} You are signed in as <b>{email}</b>.</p>\n\
             <form method=\"post\" action=\"/oauth/logout\">{hidden}<div class=\"ways\"><button>Sign out</button></div></form>\n\
             <p><small>To stay signed in, close this page.</small></p>",
            asks = application.map(|name| format!("<b>{}</b> asks you to.", escape(name))).unwrap_or_default(),
            email = escape(email),
            hidden = self.form.hidden(),
        );
        page(StatusCode::OK, "Sign out", &body)
    }

    pub fn code(&self, temporary_token: &str, message: &str) -> Result<Response> {
        let body = format!(
            "<h1>One more step</h1>\n<p>{message}</p>\n{fault}<form method=\"post\" action=\"/oauth/sign-in/code\">{hidden}\
             <input type=\"hidden\" name=\"temporary_token\" value=\"{token}\">\n\
             <label for=\"code\">Code or backup code</label><input id=\"code\" name=\"code\" autocomplete=\"one-time-code\" \
             required autofocus>\n<div class=\"ways\"><button>Continue</button></div></form>",
            message = escape(message),
            fault = self.fault(),
            hidden = self.form.hidden(),
            token = escape(temporary_token),
        );
        written(StatusCode::OK, "Sign in", &body, self.place, None)
    }
}

/// The page on which a person types the code of a device.
pub(crate) fn user_code(place: Option<&Place>, typed: &str, fault: Option<&str>) -> Result<Response> {
    let body = format!(
        "<h1>Connect a device</h1>\n<p>Enter the code that your device shows.</p>\n{fault}<form action=\"/oauth/device\">\
         <label for=\"user_code\">Code</label><input id=\"user_code\" name=\"user_code\" autocomplete=\"off\" autofocus \
         required value=\"{typed}\">\n<div class=\"ways\"><button>Continue</button></div></form>",
        fault = fault.map(|text| format!("<p class=\"bad\" role=\"alert\">{}</p>\n", escape(text))).unwrap_or_default(),
        typed = escape(typed),
    );
    written(StatusCode::OK, "Connect a device", &body, place, None)
}

/// An answer to an application that wants it posted (OAuth 2.0 Form Post Response Mode): the one page with a script, for whoever
/// has one; others press the button.
pub(crate) fn hand_over(redirect_uri: &str, answer: &[(&str, &str)]) -> Result<Response> {
    let fields: String = answer
        .iter()
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">\n", escape(name), escape(value)))
        .collect();
    let body = format!(
        "<h1>Back to the application</h1>\n<p>You will be redirected to <b>{place}</b>.</p>\n<form method=\"post\" action=\"{action}\">\n\
         {fields}<div class=\"ways\"><button>Continue</button></div></form>",
        place = escape(&destination(redirect_uri)),
        action = escape(redirect_uri),
    );
    written(StatusCode::OK, "Back to the application", &body, None, Some("document.forms[0].submit()"))
}

/// A page that says something and asks nothing.
pub(crate) fn notice(place: Option<&Place>, title: &str, text: &str) -> Result<Response> {
    let body = format!("<h1>{}</h1>\n<p>{}</p>", escape(title), escape(text));
    written(StatusCode::OK, title, &body, place, None)
}

/// Why nobody is sent anywhere: a page for a person, the protocol's body for a program.
pub(crate) fn refusal(headers: &HeaderMap, code: ErrorCode) -> Response {
    if preferred(headers, &["application/json", "text/html"]) != Some("text/html") {
        let body = OauthErrorBody {
            error: if code == ErrorCode::OauthInvalidClient { "invalid_client" } else { "invalid_request" },
            error_description: code.message().to_owned(),
        };
        return (StatusCode::BAD_REQUEST, [(header::CACHE_CONTROL, "no-store")], Json(body)).into_response();
    }
    let body = format!(
        "<h1>This cannot continue</h1>\n<p>{}</p>\n<p>Nothing was allowed, and you were not redirected. Go back to the \
         application and start again; if that does not help, tell its developer.</p>",
        escape(code.message())
    );
    page(StatusCode::BAD_REQUEST, "This cannot continue", &body).unwrap_or_else(IntoResponse::into_response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_is_recognisable() {
        for (uri, shown) in [
            ("https://app.example/cb", "app.example"),
            ("http://127.0.0.1:5000/cb", "a program on this device"),
            ("com.example.app:/cb", "the program that opens com.example.app:"),
        ] {
            assert_eq!(destination(uri), shown);
        }
    }
}
