//! Secrets and variables, read once per isolate.
//!
//! | name | | |
//! |---|---|---|
//! | `SIGNING_KEYS` | secret | JWK set of private keys, newest first: one Ed25519 key at least, P-256 ones beside it |
//! | `COOKIE_KEY`, `SIGN_IN_KEY` | secret | 32 random bytes each, base64url |
//! | `OPENAI_API_KEY`, `ANTHROPIC_API_KEY` | secret | a provider without its key is shown as not configured |
//! | `ISSUER` | variable | the broker's origin; without it, the origin that the request came to |
//! | `OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL` | variable | where the provider's API is, when it isn't its own |
//! | `PRICES` | variable | JSON list of prices that are added to the built-in ones or replace them; docs/prices.md |
//! | `DYNAMIC_REGISTRATION`, `CLIENT_DOCUMENTS` | variable | `on` or `off`: whether apps may register themselves, or be known by a document; on |
//! | `CLIENT_DOCUMENTS_FROM_LOOPBACK` | variable | `on`: documents and key sets may lie on this machine; heeded only where `ISSUER` does too |
//! | `UPSTREAM_TIMEOUT_SECONDS` | variable | until a provider begins to answer; 600 |
//! | `DATABASE_TIMEOUT_SECONDS` | variable | what a page, an OAuth endpoint, or the first call of a grant waits for the database in all; 5 |
//! | `ANSWER_IDLE_SECONDS`, `ANSWER_SECONDS` | variable | until an answer that has begun goes on, and until it ends; 300 and 3600 |
//! | `BODY_IDLE_SECONDS`, `BODY_SECONDS` | variable | until a body that has begun goes on, and until it ends; 30 and 300 |
//! | `BODY_MEMORY_MIB` | variable | memory of an isolate for the bodies of calls; 32 |
//! | `CALLS_WAITING` | variable | calls of one grant that may wait for its ledger in an isolate; 128 |
//! | `HOLD_TTL_SECONDS` | variable | until a call that nobody settled is booked at its bound; 900 |
//! | `LEDGER_AHEAD_CALLS` | variable | calls that a ledger sets room aside for in one write; 8, and 0 writes each |
//! | `POLICY_MAX_AGE_SECONDS` | variable | until the ledger of a member's account asks whether the policy has changed; 300 |
//! | `PROOF_ABOVE_USD`, `PROOF_ABOVE_DAYS` | variable | what people allow beyond it takes a proof that it is them; 25, 30 |

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc, sync::Arc};

use secrecy::SecretString;
use url::Url;
use worker::Env;

use crate::{
    domain::{
        access_token::{KeySetError, SigningKeys},
        oauth::{dpop::Nonces, mac::MacKey, redirect_uri::is_loopback, remote_address::Reach},
        permission::Provider,
        policy_age::DEFAULT_MAX_AGE_SECONDS,
        risk::Unasked,
    },
    gateway::{
        dialect,
        prices::{PriceBook, PriceError},
    },
    web::{self, RegistrationPolicy},
};

const DEFAULT_UPSTREAM_TIMEOUT_SECONDS: u64 = 600;
/// What a request waits for the database where the operator says nothing else.
pub const DEFAULT_DATABASE_TIMEOUT_SECONDS: u64 = 5;
const DEFAULT_HOLD_TTL_SECONDS: u64 = 900;
/// Providers are silent for minutes while a model thinks.
const DEFAULT_ANSWER: Patience = Patience { idle_seconds: 300, seconds: 3600 };
/// 16 MiB take two minutes at a megabit a second.
const DEFAULT_BODY: Patience = Patience { idle_seconds: 30, seconds: 300 };
const MIB: u64 = 1024 * 1024;
/// An isolate has 128 MiB for everything.
const BODY_MEMORY_MIB: Range = Range { least: 16, usual: 32, most: 64 };
const CALLS_WAITING: Range = Range { least: 1, usual: 128, most: 100_000 };
const DEFAULT_AHEAD_CALLS: u32 = 8;
/// What a crash makes doubtful stays small.
const MAX_AHEAD_CALLS: u32 = 64;
/// Room for the longest answer a provider gives; beyond it a mistyped number would keep holds for years.
const MAX_SECONDS: u64 = 24 * 3600;
const SECONDS_PER_DAY: u64 = 86_400;
/// No grant lasts longer.
const MAX_UNASKED_DAYS: u32 = 365;

/// What the operator configured. `Debug` shows no key.
#[derive(Debug)]
pub struct Settings {
    /// The broker's origin, when it is configured.
    issuer: Option<String>,
    cookie_key: MacKey,
    sign_in_key: MacKey,
    /// For access tokens.
    pub signing_keys: Arc<SigningKeys>,
    /// For `DPoP` proofs.
    pub nonces: Nonces,
    upstreams: BTreeMap<Provider, Upstream>,
    registration: RegistrationPolicy,
    /// What models cost.
    pub prices: PriceBook,
    /// The models in there.
    known_models: Arc<BTreeMap<Provider, Vec<String>>>,
    /// Seconds until a provider begins to answer.
    pub upstream_timeout_seconds: u64,
    /// Seconds that a request waits for the database in all.
    pub database_timeout_seconds: u64,
    /// For an answer that has begun.
    pub answer_patience: Patience,
    /// For a body that has begun.
    pub body_patience: Patience,
    /// Memory of an isolate for the bodies of calls, in bytes.
    pub body_memory_bytes: u64,
    /// Calls of one grant that may wait for its ledger in an isolate.
    pub calls_waiting: u32,
    /// Seconds until a hold is booked at its bound.
    pub hold_ttl_seconds: u64,
    /// For how many calls a ledger sets room aside durably, so that they need no write of their own.
    pub ahead_calls: u32,
    /// Seconds until an account's ledger asks whether the policy has changed.
    pub policy_max_age_seconds: u64,
    /// What people may allow without a proof that it is them.
    unasked: Unasked,
}

/// What goes without a proof, by `PROOF_ABOVE_USD` and `PROOF_ABOVE_DAYS`.
fn unasked(usd: Option<String>, days: Option<String>) -> Result<Unasked, SettingsError> {
    let usual = Unasked::default();
    let usd = usd.map(|text| text.parse().map_err(|_| SettingsError::NotUsd("PROOF_ABOVE_USD"))).transpose()?;
    let seconds = match days.map(|text| text.parse::<u32>()) {
        None => usual.seconds,
        Some(Ok(days @ 0..=MAX_UNASKED_DAYS)) => u64::from(days) * SECONDS_PER_DAY,
        Some(_) => return Err(SettingsError::NotACount("PROOF_ABOVE_DAYS", MAX_UNASKED_DAYS)),
    };
    Ok(Unasked { usd: usd.unwrap_or(usual.usd), seconds })
}

/// How long is waited for something that comes in pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Seconds between two pieces.
    pub idle_seconds: u32,
    /// Seconds in all.
    pub seconds: u32,
}

/// What a number may be.
struct Range {
    least: u32,
    usual: u32,
    most: u32,
}

/// A provider that has a key.
#[derive(Debug)]
pub struct Upstream {
    /// Where its API is, without a trailing slash.
    pub base_url: String,
    /// The real key.
    pub key: SecretString,
}

/// Why the broker can't work. For the log alone; repeats no secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// A secret isn't there.
    #[error("the secret {0} is missing; `npm run secrets` makes one")]
    Missing(&'static str),
    /// `SIGNING_KEYS` can't be used.
    #[error(transparent)]
    SigningKeys(#[from] KeySetError),
    /// A key of another length.
    #[error("the secret {0} is not 32 bytes in base64url; `npm run secrets` makes one")]
    NotAKey(&'static str),
    /// A variable isn't an http or https address.
    #[error("{0} is not an http or https address without query")]
    NotAnAddress(&'static str),
    /// `ISSUER` isn't an origin, or not one that a browser reaches in secret.
    #[error("ISSUER is not an https origin, such as https://broker.example")]
    NotAnOrigin,
    /// A variable isn't a number of seconds.
    #[error("{0} is not a number of seconds from 1 to {MAX_SECONDS}")]
    NotSeconds(&'static str),
    /// `PRICES` can't be read.
    #[error("PRICES: {0}")]
    Prices(#[from] PriceError),
    /// A variable is neither on nor off.
    #[error("{0} is neither on nor off")]
    NotASwitch(&'static str),
    /// A variable isn't money.
    #[error("{0} is not an amount in USD, such as 25.00")]
    NotUsd(&'static str),
    /// A variable isn't a number in its range.
    #[error("{0} is not a number from 0 to {1}")]
    NotACount(&'static str, u32),
    /// A variable isn't a number between two others.
    #[error("{0} is not a number from {1} to {2}")]
    NotInRange(&'static str, u32, u32),
}

thread_local! {
    static SETTINGS: OnceCell<Rc<Settings>> = const { OnceCell::new() };
}

impl Settings {
    /// The settings of this deployment. They can't change while the isolate lives.
    ///
    /// # Errors
    /// [`SettingsError`]; asked again at the next request.
    pub fn get(env: &Env) -> Result<Rc<Self>, SettingsError> {
        SETTINGS.with(|cell| {
            if let Some(settings) = cell.get() {
                return Ok(Rc::clone(settings));
            }
            let read = |name: &str| env.secret(name).ok().map(|value| value.to_string());
            let settings = Rc::new(Self::read(read)?);
            Ok(Rc::clone(cell.get_or_init(|| settings)))
        })
    }

    fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let get = |name: &str| get(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        let signing_keys = get("SIGNING_KEYS").ok_or(SettingsError::Missing("SIGNING_KEYS"))?;
        let mac_key = |name| {
            let text = get(name).ok_or(SettingsError::Missing(name))?;
            MacKey::from_secret(&text).ok_or(SettingsError::NotAKey(name))
        };
        let seconds = |name, default| match get(name) {
            None => Ok(default),
            Some(text) => match text.parse() {
                Ok(seconds @ 1..=MAX_SECONDS) => Ok(seconds),
                _ => Err(SettingsError::NotSeconds(name)),
            },
        };
        let number = |name, range: &Range| match get(name).map(|text| text.parse()) {
            None => Ok(range.usual),
            Some(Ok(number)) if (range.least..=range.most).contains(&number) => Ok(number),
            Some(_) => Err(SettingsError::NotInRange(name, range.least, range.most)),
        };
        let patience = |idle, all, default: Patience| {
            let short =
                |name, default: u32| seconds(name, default.into()).map(|all| u32::try_from(all).unwrap_or(default));
            Ok::<_, SettingsError>(Patience {
                idle_seconds: short(idle, default.idle_seconds)?,
                seconds: short(all, default.seconds)?,
            })
        };
        let address = |name| get(name).map(|text| address(&text).ok_or(SettingsError::NotAnAddress(name))).transpose();
        let switch = |name, default| match get(name).as_deref() {
            None => Ok(default),
            Some("on") => Ok(true),
            Some("off") => Ok(false),
            Some(_) => Err(SettingsError::NotASwitch(name)),
        };
        let issuer = get("ISSUER").map(|text| origin(&text).ok_or(SettingsError::NotAnOrigin)).transpose()?;
        let mut prices = match get("PRICES") {
            None => PriceBook::built_in(),
            Some(json) => PriceBook::with_overrides(&json)?,
        };
        let mut upstreams = BTreeMap::new();
        for provider in Provider::ALL {
            let (key, base_url) = match provider {
                Provider::OpenAi => ("OPENAI_API_KEY", "OPENAI_BASE_URL"),
                Provider::Anthropic => ("ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
            };
            let base_url = address(base_url)?.unwrap_or_else(|| dialect(provider).origin.to_owned());
            if dialect(provider).has_regional_hosts && base_url != dialect(provider).origin {
                prices = prices.in_one_region(provider);
            }
            if let Some(key) = get(key) {
                upstreams.insert(provider, Upstream { base_url, key: key.into() });
            }
        }
        Ok(Self {
            known_models: Arc::new(
                Provider::ALL.map(|provider| (provider, prices.models(provider).into_iter().collect())).into(),
            ),
            prices,
            nonces: Nonces::new(mac_key("COOKIE_KEY")?),
            registration: RegistrationPolicy {
                is_dynamic: switch("DYNAMIC_REGISTRATION", true)?,
                takes_documents: switch("CLIENT_DOCUMENTS", true)?,
                // What a request says of where it came to doesn't open this machine to anybody.
                reach: if switch("CLIENT_DOCUMENTS_FROM_LOOPBACK", false)? && is_at_home(issuer.as_deref()) {
                    Reach::LoopbackToo
                } else {
                    Reach::Public
                },
            },
            issuer,
            cookie_key: mac_key("COOKIE_KEY")?,
            sign_in_key: mac_key("SIGN_IN_KEY")?,
            signing_keys: Arc::new(SigningKeys::from_jwk_set(&signing_keys)?),
            upstreams,
            upstream_timeout_seconds: seconds("UPSTREAM_TIMEOUT_SECONDS", DEFAULT_UPSTREAM_TIMEOUT_SECONDS)?,
            database_timeout_seconds: seconds("DATABASE_TIMEOUT_SECONDS", DEFAULT_DATABASE_TIMEOUT_SECONDS)?,
            answer_patience: patience("ANSWER_IDLE_SECONDS", "ANSWER_SECONDS", DEFAULT_ANSWER)?,
            body_patience: patience("BODY_IDLE_SECONDS", "BODY_SECONDS", DEFAULT_BODY)?,
            body_memory_bytes: MIB.saturating_mul(number("BODY_MEMORY_MIB", &BODY_MEMORY_MIB)?.into()),
            calls_waiting: number("CALLS_WAITING", &CALLS_WAITING)?,
            hold_ttl_seconds: seconds("HOLD_TTL_SECONDS", DEFAULT_HOLD_TTL_SECONDS)?,
            policy_max_age_seconds: seconds("POLICY_MAX_AGE_SECONDS", DEFAULT_MAX_AGE_SECONDS)?,
            unasked: unasked(get("PROOF_ABOVE_USD"), get("PROOF_ABOVE_DAYS"))?,
            ahead_calls: match get("LEDGER_AHEAD_CALLS") {
                None => DEFAULT_AHEAD_CALLS,
                Some(text) => match text.parse() {
                    Ok(calls @ 0..=MAX_AHEAD_CALLS) => calls,
                    _ => return Err(SettingsError::NotACount("LEDGER_AHEAD_CALLS", MAX_AHEAD_CALLS)),
                },
            },
        })
    }

    /// The broker's origin, for a request that came to `request_origin`.
    #[must_use]
    pub fn issuer<'a>(&'a self, request_origin: &'a str) -> &'a str {
        self.issuer.as_deref().unwrap_or(request_origin)
    }

    /// A provider, if it has a key.
    #[must_use]
    pub fn upstream(&self, provider: Provider) -> Option<&Upstream> {
        self.upstreams.get(&provider)
    }

    /// What is asked of the operator's own addresses: nothing but the public internet, unless the broker runs on this machine itself.
    #[must_use]
    pub fn own_reach(&self) -> Reach {
        if is_at_home(self.issuer.as_deref()) { Reach::LoopbackToo } else { Reach::Public }
    }

    /// What sessions and codes are signed with, and secrets are made of.
    #[must_use]
    pub const fn cookie_key(&self) -> &MacKey {
        &self.cookie_key
    }

    /// What the control plane gets to know.
    #[must_use]
    pub fn for_web(&self, request_origin: &str) -> web::Config {
        web::Config {
            issuer: self.issuer(request_origin).to_owned(),
            cookie_key: self.cookie_key.clone(),
            sign_in_key: self.sign_in_key.clone(),
            signing_keys: Arc::clone(&self.signing_keys),
            providers: self.upstreams.keys().copied().collect(),
            known_models: Arc::clone(&self.known_models),
            registration: self.registration,
            own_reach: self.own_reach(),
            unasked: self.unasked,
        }
    }
}

/// As browsers write it, since their `Origin` is compared with it: lower case, no default port, no slash.
fn origin(text: &str) -> Option<String> {
    let url = Url::parse(&address(text)?).ok()?;
    let is_secret = url.scheme() == "https" || is_loopback(&url);
    (url.path() == "/" && is_secret).then(|| url.origin().ascii_serialization())
}

fn is_at_home(issuer: Option<&str>) -> bool {
    issuer.and_then(|issuer| Url::parse(issuer).ok()).is_some_and(|url| is_loopback(&url))
}

fn address(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    plain.then(|| text.trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::money::NanoUsd;

    fn complete(name: &str) -> Option<String> {
        let key = "A".repeat(43);
        match name {
            "SIGNING_KEYS" => Some(format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","kid":"k","d":"{key}"}}]}}"#)),
            "COOKIE_KEY" | "SIGN_IN_KEY" => Some(key),
            "OPENAI_API_KEY" => Some("sk-real".into()),
            _ => None,
        }
    }

    fn with(changed: &'static str, value: Option<&'static str>) -> Result<Settings, SettingsError> {
        Settings::read(|name| if name == changed { value.map(str::to_owned) } else { complete(name) })
    }

    #[test]
    fn a_missing_secret_is_named() {
        for name in ["SIGNING_KEYS", "COOKIE_KEY", "SIGN_IN_KEY"] {
            assert_eq!(with(name, None).err(), Some(SettingsError::Missing(name)));
            assert_eq!(with(name, Some(" ")).err(), Some(SettingsError::Missing(name)));
        }
    }

    #[test]
    fn an_unusable_secret_is_named_and_not_repeated() {
        for name in ["SIGNING_KEYS", "COOKIE_KEY", "SIGN_IN_KEY"] {
            let error = with(name, Some("nonsense")).unwrap_err().to_string();
            assert!(error.contains(name) && !error.contains("nonsense"), "{error}");
        }
    }

    #[test]
    fn a_provider_without_a_key_is_not_configured() {
        let settings = with("", None).unwrap();
        assert_eq!(settings.upstream(Provider::OpenAi).unwrap().base_url, "https://api.openai.com");
        assert!(settings.upstream(Provider::Anthropic).is_none());
    }

    #[test]
    fn a_base_url_loses_its_trailing_slash() {
        let settings = with("OPENAI_BASE_URL", Some("http://127.0.0.1:8789/")).unwrap();
        assert_eq!(settings.upstream(Provider::OpenAi).unwrap().base_url, "http://127.0.0.1:8789");
    }

    #[test]
    fn the_issuer_is_an_origin_as_browsers_write_it() {
        let settings = with("ISSUER", Some("HTTPS://Broker.Example:443/")).unwrap();
        assert_eq!(settings.issuer("http://other.example"), "https://broker.example");
    }

    #[test]
    fn a_variable_that_can_not_be_used_is_named() {
        for issuer in [
            "localhost",
            "https://broker.example/path",
            "https://broker.example?x",
            "ftp://broker.example",
            "http://broker.example",
        ] {
            assert_eq!(with("ISSUER", Some(issuer)).err(), Some(SettingsError::NotAnOrigin), "{issuer}");
        }
        assert_eq!(with("OPENAI_BASE_URL", Some("x")).err(), Some(SettingsError::NotAnAddress("OPENAI_BASE_URL")));
        for seconds in ["0", "-1", "soon", "1e9", "99999999999"] {
            for name in ["HOLD_TTL_SECONDS", "POLICY_MAX_AGE_SECONDS"] {
                assert_eq!(with(name, Some(seconds)).err(), Some(SettingsError::NotSeconds(name)));
            }
        }
    }

    #[test]
    fn a_number_out_of_its_range_is_named_with_the_range() {
        for (name, least, most, bad) in
            [("BODY_MEMORY_MIB", 16, 64, ["15", "65", "much"]), ("CALLS_WAITING", 1, 100_000, ["0", "100001", "-1"])]
        {
            for text in bad {
                assert_eq!(with(name, Some(text)).err(), Some(SettingsError::NotInRange(name, least, most)), "{text}");
            }
        }
        let settings = with("BODY_MEMORY_MIB", Some("16")).unwrap();
        assert!(settings.body_memory_bytes >= crate::gateway::MAX_BODY_BYTES as u64, "the longest body fits");
        for name in ["BODY_IDLE_SECONDS", "BODY_SECONDS", "ANSWER_IDLE_SECONDS", "ANSWER_SECONDS"] {
            assert_eq!(with(name, Some("0")).err(), Some(SettingsError::NotSeconds(name)));
        }
        let patience = Patience { idle_seconds: 7, ..DEFAULT_ANSWER };
        assert_eq!(with("ANSWER_IDLE_SECONDS", Some("7")).unwrap().answer_patience, patience);
    }

    #[test]
    fn what_goes_without_a_proof_is_money_and_days() {
        let unasked =
            |name, value| with(name, Some(value)).map(|settings| settings.for_web("https://x.example").unasked);
        assert_eq!(unasked("PROOF_ABOVE_USD", "0").unwrap(), Unasked { usd: NanoUsd::ZERO, ..Unasked::default() });
        assert_eq!(unasked("PROOF_ABOVE_DAYS", "7").unwrap(), Unasked { seconds: 604_800, ..Unasked::default() });
        for wrong in ["-1", "many", "1e3"] {
            assert_eq!(unasked("PROOF_ABOVE_USD", wrong).err(), Some(SettingsError::NotUsd("PROOF_ABOVE_USD")));
            assert_eq!(
                unasked("PROOF_ABOVE_DAYS", wrong).err(),
                Some(SettingsError::NotACount("PROOF_ABOVE_DAYS", 365))
            );
        }
        assert!(unasked("PROOF_ABOVE_DAYS", "366").is_err());
    }

    #[test]
    fn documents_lie_on_this_machine_only_where_the_issuer_does() {
        let reach = |issuer: Option<&'static str>, from_loopback: &'static str| {
            let read = |name: &str| match name {
                "ISSUER" => issuer.map(str::to_owned),
                "CLIENT_DOCUMENTS_FROM_LOOPBACK" => Some(from_loopback.to_owned()),
                _ => complete(name),
            };
            Settings::read(read).unwrap().for_web("http://localhost:8787").registration.reach
        };
        assert_eq!(reach(Some("http://localhost:8787"), "on"), Reach::LoopbackToo);
        assert_eq!(reach(Some("http://localhost:8787"), "off"), Reach::Public);
        assert_eq!(reach(Some("https://broker.example"), "on"), Reach::Public);
        assert_eq!(reach(None, "on"), Reach::Public, "the name that a request came to proves nothing");
    }

    #[test]
    fn a_switch_is_on_or_off() {
        assert!(
            with("", None).unwrap().registration.is_dynamic && with("", None).unwrap().registration.takes_documents
        );
        assert!(!with("DYNAMIC_REGISTRATION", Some("off")).unwrap().registration.is_dynamic);
        assert!(!with("CLIENT_DOCUMENTS", Some("off")).unwrap().registration.takes_documents);
        let error = with("CLIENT_DOCUMENTS", Some("no")).err();
        assert_eq!(error, Some(SettingsError::NotASwitch("CLIENT_DOCUMENTS")));
    }

    #[test]
    fn debug_output_shows_no_key() {
        let text = format!("{:?}", with("", None).unwrap());
        assert!(!text.contains("sk-real") && !text.contains("AAAA"), "{text}");
    }
}
