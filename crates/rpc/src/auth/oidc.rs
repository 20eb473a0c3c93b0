//! Tokens of an OpenID Connect issuer: whose they are, whether they are good now, what they allow here.

use std::collections::BTreeMap;
use std::time::Duration;

use gristmill_types::{ErrorCode, Micros};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::jwt::{Algorithm, Unchecked};
use super::keys::Keys;
use super::tokens::is_name;
use super::{Known, Principal, Rights};
use crate::error::Problem;
use crate::tls::ClientTlsConfig;

/// Clocks may differ by no more than this, whatever is configured.
const MOST_LEEWAY: u64 = 300;
const SECOND: Micros = 1_000_000;

/// An issuer whose tokens are taken. Off without `issuer`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OidcConfig {
    /// What tokens must name as `iss`, to the letter.
    pub issuer: String,
    /// What tokens must name as (one) `aud`.
    pub audience: String,
    /// The issuer's key set: `https://…` (`http://` only on this machine) or a file's path.
    pub jwks: String,
    /// How the key set's server is checked.
    pub jwks_tls: ClientTlsConfig,
    /// How tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// How far clocks may differ, seconds; at most 300.
    pub leeway_seconds: u64,
    /// How often the key set is fetched again.
    pub refresh_seconds: u64,
    /// The claim that names the caller.
    pub name_claim: String,
    /// Put before every name, to tell these callers from those of the token file.
    pub name_prefix: String,
    /// The claim with the caller's groups, a list of texts; `a.b` is claim `b` inside `a`.
    pub groups_claim: String,
    /// What each group may do: roles by project, `*` for every project.
    pub groups: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

impl Default for OidcConfig {
    fn default() -> Self {
        Self {
            issuer: String::new(),
            audience: String::new(),
            jwks: String::new(),
            jwks_tls: ClientTlsConfig::default(),
            algorithms: Algorithm::ALL.to_vec(),
            leeway_seconds: 60,
            refresh_seconds: 300,
            name_claim: "sub".into(),
            name_prefix: String::new(),
            groups_claim: "groups".into(),
            groups: BTreeMap::new(),
        }
    }
}

/// An issuer, checked.
#[derive(Debug)]
pub(super) struct Oidc {
    config: OidcConfig,
    groups: BTreeMap<String, Rights>,
    leeway: Micros,
    pub(super) keys: Keys,
}

/// Why a token is not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// For good.
    Bad(Problem),
    /// Its key is not known; it may be new.
    UnknownKey,
}

fn bad(reason: &'static str, message: impl Into<String>) -> Refused {
    Refused::Bad(Problem::new(ErrorCode::Unauthenticated, reason, message))
}

impl Oidc {
    /// `None` when no issuer is named.
    ///
    /// # Errors
    /// Which setting is wrong.
    pub(super) async fn open(config: &OidcConfig) -> Result<Option<Self>, String> {
        let config = config.clone();
        if config.issuer.is_empty() {
            return if config == OidcConfig::default() { Ok(None) } else { Err("`issuer` is missing".into()) };
        }
        for (name, value) in
            [("audience", &config.audience), ("jwks", &config.jwks), ("name_claim", &config.name_claim)]
        {
            if value.is_empty() {
                return Err(format!("`{name}` is missing"));
            }
        }
        if config.algorithms.is_empty() {
            return Err("`algorithms` is empty: name RS256, ES256 or EdDSA".into());
        }
        if config.leeway_seconds > MOST_LEEWAY {
            return Err(format!("`leeway_seconds` is {}, at most {MOST_LEEWAY}", config.leeway_seconds));
        }
        let mut groups = BTreeMap::new();
        for (group, projects) in &config.groups {
            let mut rights = Rights::default();
            for (project, roles) in projects {
                let added = roles.iter().try_for_each(|role| rights.grant_named(project, role));
                added.map_err(|error| format!("group `{group}`: {error}"))?;
            }
            groups.insert(group.clone(), rights);
        }
        let every = Duration::from_secs(config.refresh_seconds.max(10));
        let keys = Keys::open(&config.jwks, &config.jwks_tls, every).await.map_err(|error| format!("jwks: {error}"))?;
        let leeway = Micros::try_from(config.leeway_seconds).unwrap_or(0) * SECOND;
        Ok(Some(Self { config, groups, leeway, keys }))
    }

    /// Tells whose token it is, if it is good at `now`: 1. form, 2. algorithm, 3. signature, and only then
    /// its claims.
    pub(super) fn check(&self, token: &str, now: Micros) -> Result<Known, Refused> {
        let unchecked = Unchecked::parse(token)
            .map_err(|why| bad("TOKEN_MALFORMED", format!("the token cannot be used: {why}")))?;
        let algorithm = Algorithm::named(&unchecked.algorithm).filter(|one| self.config.algorithms.contains(one));
        let algorithm = algorithm.ok_or_else(|| {
            let names: Vec<String> = self.config.algorithms.iter().map(|one| format!("{one:?}")).collect();
            bad("TOKEN_ALGORITHM", format!("tokens signed in that way are not taken, only {}", names.join(", ")))
        })?;
        let Some(keys) = self.keys.current() else { return Err(Refused::UnknownKey) };
        match keys.verifies(algorithm, &unchecked) {
            Some(true) => {}
            Some(false) => return Err(bad("TOKEN_SIGNATURE", "the token's signature is wrong: get a new token")),
            None => return Err(Refused::UnknownKey),
        }
        let claims =
            unchecked.claims().map_err(|why| bad("TOKEN_MALFORMED", format!("the token cannot be used: {why}")))?;
        self.addressed(&claims)?;
        let expires = self.in_time(&claims, now)?;
        let principal = Principal::asserted(self.name(&claims)?, self.rights(&claims));
        Ok(Known { principal: principal.into(), expires: Some(expires), changes: 0 })
    }

    /// From our issuer, for us.
    fn addressed(&self, claims: &Map<String, Value>) -> Result<(), Refused> {
        if claims.get("iss").and_then(Value::as_str) != Some(&self.config.issuer) {
            return Err(bad("TOKEN_ISSUER", "the token is of another issuer than the one that is trusted here"));
        }
        let ours = |value: &Value| value.as_str() == Some(&self.config.audience);
        let meant = match claims.get("aud") {
            Some(Value::Array(all)) => all.iter().any(ours),
            Some(one) => ours(one),
            None => false,
        };
        if meant {
            Ok(())
        } else {
            Err(bad("TOKEN_AUDIENCE", "the token is meant for another service: ask for one for this one"))
        }
    }

    /// When it ends, if it is good now.
    fn in_time(&self, claims: &Map<String, Value>, now: Micros) -> Result<Micros, Refused> {
        let at = |name: &str| match claims.get(name) {
            None => Ok(None),
            Some(value) => seconds(value)
                .map(Some)
                .ok_or_else(|| bad("TOKEN_MALFORMED", format!("the token's `{name}` is not a number of seconds"))),
        };
        let ends = at("exp")?.ok_or_else(|| bad("TOKEN_MALFORMED", "the token says not when it ends (`exp`)"))?;
        let ends = ends.saturating_add(self.leeway);
        if now >= ends {
            return Err(Refused::Bad(expired()));
        }
        for name in ["nbf", "iat"] {
            if at(name)?.is_some_and(|from| from.saturating_sub(self.leeway) > now) {
                return Err(bad(
                    "TOKEN_NOT_YET_VALID",
                    format!("the token is not valid yet (`{name}`): compare the clocks"),
                ));
            }
        }
        Ok(ends)
    }

    fn name(&self, claims: &Map<String, Value>) -> Result<String, Refused> {
        let claim = &self.config.name_claim;
        let name = find(claims, claim).and_then(Value::as_str).map(|name| format!("{}{name}", self.config.name_prefix));
        name.filter(|name| is_name(name)).ok_or_else(|| {
            bad(
                "TOKEN_NAME",
                format!("the token's `{claim}` names nobody: 1 to 128 visible ASCII characters are taken"),
            )
        })
    }

    fn rights(&self, claims: &Map<String, Value>) -> Rights {
        let mut rights = Rights::default();
        let groups = match find(claims, &self.config.groups_claim) {
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
            Some(Value::String(group)) => vec![group.as_str()],
            _ => Vec::new(),
        };
        for granted in groups.into_iter().filter_map(|group| self.groups.get(group)) {
            rights.add(granted);
        }
        rights
    }
}

/// A claim by its name, or by the names on the way to it.
fn find<'a>(claims: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if let Some(value) = claims.get(name) {
        return Some(value);
    }
    let (first, rest) = name.split_once('.')?;
    find(claims.get(first)?.as_object()?, rest)
}

/// A moment in whole or broken seconds, in microseconds.
fn seconds(value: &Value) -> Option<Micros> {
    if let Some(whole) = value.as_i64() {
        return Some(whole.saturating_mul(SECOND));
    }
    let broken = value.as_f64().filter(|broken| broken.is_finite())?;
    // A cast beyond the range ends at its bound, which is far enough away.
    Some((broken * SECOND as f64) as Micros)
}

pub(super) fn expired() -> Problem {
    Problem::new(ErrorCode::Unauthenticated, "TOKEN_EXPIRED", "the token has expired: get a new one")
}
