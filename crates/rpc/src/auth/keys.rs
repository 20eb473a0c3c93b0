//! The keys of an issuer (RFC 7517): read from a file or fetched, and kept while they cannot be had.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use tokio::time::Instant;

use super::jwt::{Algorithm, PublicKey, Unchecked, exactly, number};
use crate::fetch::{Fetch, Source};
use crate::tls::{ClientTlsConfig, Stamp, read};

/// Most keys of one issuer.
const KEYS: usize = 64;
/// An unknown key's id makes the set be fetched again, but not sooner than this after the last time.
const PAUSE: Duration = Duration::from_secs(5);

/// Keys by their id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeySet(Vec<(Option<String>, PublicKey)>);

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    alg: Option<String>,
    #[serde(rename = "use")]
    purpose: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl KeySet {
    /// Reads a key set. Keys for other purposes or algorithms are passed over, as the standard wants it.
    ///
    /// # Errors
    /// It is no key set, or has no key that could be used.
    pub(super) fn parse(text: &[u8]) -> Result<Self, String> {
        let document: Document =
            serde_json::from_slice(text).map_err(|error| format!("not a JSON Web Key Set: {error}"))?;
        let keys: Vec<_> = document.keys.into_iter().take(KEYS).filter_map(usable).collect();
        if keys.is_empty() {
            return Err("no key in it that could be used (RSA, P-256 or Ed25519, for signatures)".into());
        }
        Ok(Self(keys))
    }

    /// Whether the token is signed by one of the keys; `None` when there is none to ask.
    pub(super) fn verifies(&self, algorithm: Algorithm, token: &Unchecked<'_>) -> Option<bool> {
        let mut asked = None;
        for (id, key) in &self.0 {
            let named = token.key.is_none() || token.key == *id;
            // The key says what it is for; the token's word for it must be the same.
            if !named || key.algorithm() != algorithm {
                continue;
            }
            if key.verifies(token.message, &token.signature) {
                return Some(true);
            }
            asked = Some(false);
        }
        asked
    }
}

fn usable(key: serde_json::Value) -> Option<(Option<String>, PublicKey)> {
    let key: Jwk = serde_json::from_value(key).ok()?;
    if key.purpose.as_deref().is_some_and(|purpose| purpose != "sig") {
        return None;
    }
    let public = match (key.kty.as_str(), key.crv.as_deref()) {
        ("RSA", _) => PublicKey::Rsa { n: number(key.n.as_deref()?)?, e: number(key.e.as_deref()?)? },
        ("EC", Some("P-256")) => {
            let (x, y) = (exactly(key.x.as_deref()?, 32)?, exactly(key.y.as_deref()?, 32)?);
            PublicKey::P256([vec![4], x, y].concat())
        }
        ("OKP", Some("Ed25519")) => PublicKey::Ed25519(exactly(key.x.as_deref()?, 32)?),
        _ => return None,
    };
    let fits = key.alg.as_deref().is_none_or(|alg| Algorithm::named(alg) == Some(public.algorithm()));
    fits.then_some((key.kid, public))
}

/// Where an issuer's keys come from, and what they were when they were last had.
#[derive(Debug)]
pub(super) struct Keys {
    from: From,
    every: Duration,
    current: ArcSwapOption<KeySet>,
    /// When they were last asked for, successfully or not.
    asked: tokio::sync::Mutex<Option<Asked>>,
}

#[derive(Debug)]
enum From {
    File(PathBuf),
    Server(Box<Fetch>),
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    stamp: Option<Stamp>,
}

impl Keys {
    /// Has them for the first time. A server that is away is no reason not to start; a broken file is.
    ///
    /// # Errors
    /// What is wrong with the place or the file.
    pub(super) async fn open(from: &str, tls: &ClientTlsConfig, every: Duration) -> Result<Self, String> {
        let from = match Source::parse(from)? {
            Source::File(path) => From::File(path),
            Source::Server(url) => From::Server(Box::new(Fetch::open(url, tls)?)),
        };
        let keys = Self { from, every, current: ArcSwapOption::empty(), asked: tokio::sync::Mutex::default() };
        let had = keys.ask(&mut *keys.asked.lock().await).await;
        match (&keys.from, had) {
            (From::File(_), Err(error)) => return Err(error),
            (From::Server(_), Err(error)) => {
                tracing::error!(error, "keys of the token issuer cannot be had, its tokens are refused until they can");
            }
            (_, Ok(_)) => {}
        }
        Ok(keys)
    }

    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// A token names a key that is not there: asks again, unless that was done just now. One question at
    /// a time, however many tokens come.
    pub(super) async fn ask_for_unknown(&self) {
        let mut asked = self.asked.lock().await;
        if asked.as_ref().is_some_and(|asked| asked.at.elapsed() < PAUSE) {
            return;
        }
        self.told(self.ask(&mut asked).await);
    }

    /// Asks again if it is time, or the file has changed. Whether there are other keys now.
    pub(super) async fn follow(&self) -> bool {
        let mut asked = self.asked.lock().await;
        let due = match (&self.from, asked.as_ref()) {
            (From::File(path), Some(asked)) => asked.stamp != Some(Stamp::of(&[path])),
            // Until the first success it is tried more often.
            (From::Server(_), Some(asked)) if self.current.load().is_none() => asked.at.elapsed() >= PAUSE,
            (From::Server(_), Some(asked)) => asked.at.elapsed() >= self.every,
            (_, None) => true,
        };
        due && self.told(self.ask(&mut asked).await)
    }

    fn told(&self, had: Result<bool, String>) -> bool {
        had.unwrap_or_else(|error| {
            tracing::error!(error, "keys of the token issuer cannot be had, the last good ones stay");
            false
        })
    }

    async fn ask(&self, asked: &mut Option<Asked>) -> Result<bool, String> {
        let stamp = match &self.from {
            From::File(path) => Some(Stamp::of(&[path])),
            From::Server(_) => None,
        };
        *asked = Some(Asked { at: Instant::now(), stamp });
        let text = match &self.from {
            From::File(path) => read(path).map_err(|error| error.to_string())?,
            From::Server(fetch) => fetch.get().await?,
        };
        let new = KeySet::parse(&text)?;
        let changed = self.current.load().as_deref() != Some(&new);
        if changed {
            self.current.store(Some(Arc::new(new)));
        }
        Ok(changed)
    }
}
