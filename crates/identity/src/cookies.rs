//! Cookies of a request, as they are asked for one at a time, and the one that binds a sign-in to its browser.

use axum::http::{HeaderMap, HeaderValue, header};
use rivergen_kernel::{Error, Result, TokenHash};

/// The value of the first cookie of this name.
pub fn read<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

/// The cookie of a sign-in that is on its way through a provider. It is bound to the sign-in's state and shows that the
/// browser which comes back is the one that it was begun in, so a link that somebody else began signs nobody in.
#[derive(Debug, Clone, Copy)]
pub struct SignInCookie {
    /// Goes before the beginning of the state's hash: each sign-in of a browser has a cookie of its own.
    pub prefix: &'static str,
    pub path: &'static str,
}

impl SignInCookie {
    /// Whether the request comes from the browser that the sign-in was begun in, whose cookie has the hash `browser`.
    pub fn is_of(&self, headers: &HeaderMap, state: &TokenHash, browser: &TokenHash) -> bool {
        read(headers, &self.name(state)).is_some_and(|value| browser.matches(value))
    }

    /// The header that sets it for so many seconds; for none, it takes it away. `sites` are the attributes that say
    /// with whose requests it comes along.
    pub fn written(&self, state: &TokenHash, value: &str, age: i64, sites: &str) -> Result<HeaderValue> {
        let (name, path) = (self.name(state), self.path);
        let text = format!("{name}={value}; Path={path}; Max-Age={age}; HttpOnly; {sites}");
        HeaderValue::from_str(&text).map_err(Error::internal)
    }

    fn name(&self, state: &TokenHash) -> String {
        let beginning: String = hex::encode(&state.0).chars().take(16).collect();
        format!("{}{beginning}", self.prefix)
    }
}
