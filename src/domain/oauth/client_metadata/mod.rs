//! What a client says of itself: client metadata ([RFC 7591 §2](https://www.rfc-editor.org/rfc/rfc7591#section-2)), in a registration
//! request or in a client metadata document
//! ([draft-ietf-oauth-client-id-metadata-document](https://datatracker.ietf.org/doc/draft-ietf-oauth-client-id-metadata-document/)).
//!
//! Members that are not known here are ignored, as §2 says, and so is a `software_statement` (§2.3 allows that). A member that is null is
//! one that isn't there (RFC 7592 §2.2).

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use url::Url;

use super::{
    client::{Client, ClientAuth, ClientKeys, GrantType},
    error::{ErrorCode, describe},
    redirect_uri::{InvalidRedirectUri, RedirectUri},
    registration::{MAX_HOME_PAGE_BYTES, MAX_NAME_CHARS, MAX_REDIRECT_URIS, parse_home_page, parse_name},
    remote_address::{InvalidAddress, Reach, RemoteAddress},
};
use crate::domain::{
    access_token::SigningAlgorithm,
    authorization_details::Requested,
    id::ClientId,
    jose::{
        JwkSet,
        jwk_set::JwkSetError,
        strict::{self, Members},
    },
};

/// Largest text that is looked at, in bytes.
pub const MAX_METADATA_BYTES: usize = 16 * 1024;
/// The members that are kept and used for nothing.
const DESCRIBED: [&str; 7] =
    ["scope", "contacts", "application_type", "tos_uri", "policy_uri", "software_id", "software_version"];
/// Longest text among the members that are used for nothing, in bytes.
const MAX_DESCRIBED_BYTES: usize = 256;
/// Most `contacts`.
const MAX_CONTACTS: usize = 10;
/// Most scopes in `scope`.
const MAX_SCOPES: usize = 100;
/// What an app is called that gives no name and has no address to call it by.
const NAMELESS: &str = "Unnamed app";

/// Metadata that passed the rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientMetadata {
    /// `client_name`, or the host of its first address: never empty.
    pub name: String,
    /// `client_uri`: an http or https address.
    pub client_uri: Option<String>,
    /// `logo_uri`: an https address.
    pub logo_uri: Option<String>,
    /// Each once; empty only without `authorization_code`.
    pub redirect_uris: Vec<RedirectUri>,
    /// Never empty.
    pub grant_types: BTreeSet<GrantType>,
    /// `token_endpoint_auth_method`, with the keys that it needs.
    pub auth_method: AuthMethod,
    /// `require_pushed_authorization_requests` (RFC 9126 §6).
    pub requires_par: bool,
    /// `dpop_bound_access_tokens` (RFC 9449 §5.2).
    pub requires_dpop: bool,
    /// `access_token_signed_response_alg`, a member of the broker's own.
    pub access_token_alg: SigningAlgorithm,
    /// Members that are registered, answered, and used for nothing: `scope`, `contacts` and the like.
    pub described: Map<String, Value>,
}

/// `token_endpoint_auth_method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// `none`.
    None,
    /// `client_secret_basic`.
    SecretBasic,
    /// `client_secret_post`.
    SecretPost,
    /// `private_key_jwt`.
    PrivateKeyJwt(ClientKeys),
}

/// Why metadata is refused. The text is for the app's developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataError {
    /// Longer than [`MAX_METADATA_BYTES`].
    #[error("client metadata is at most {MAX_METADATA_BYTES} bytes")]
    TooLong,
    /// Anything else, or a member twice.
    #[error("client metadata is a JSON object in which no member stands twice")]
    NotAnObject,
    /// A member of another type.
    #[error("{0} must be {1}")]
    Type(&'static str, &'static str),
    /// One of the redirect URIs.
    #[error("redirect_uris: {0}")]
    Redirect(#[from] InvalidRedirectUri),
    /// None, with a grant type that needs one.
    #[error("redirect_uris: the grant type authorization_code needs at least one")]
    NoRedirect,
    /// More than [`MAX_REDIRECT_URIS`].
    #[error("redirect_uris: at most {MAX_REDIRECT_URIS}")]
    TooManyRedirects,
    /// The name.
    #[error("client_name: {0}")]
    Name(&'static str),
    /// The home page.
    #[error("client_uri: {0}")]
    HomePage(&'static str),
    /// The picture.
    #[error("logo_uri must be an https address of at most {MAX_HOME_PAGE_BYTES} bytes")]
    Logo,
    /// One that isn't supported, or none.
    #[error(
        "grant_types are among authorization_code, refresh_token, urn:ietf:params:oauth:grant-type:device_code and \
         urn:ietf:params:oauth:grant-type:token-exchange"
    )]
    GrantTypes,
    /// One that isn't supported, or that the grant types contradict (§2.1).
    #[error("response_types is [\"code\"] with the grant type authorization_code, and empty without it")]
    ResponseTypes,
    /// Another method.
    #[error("token_endpoint_auth_method is none, client_secret_basic, client_secret_post or private_key_jwt")]
    AuthMethod,
    /// Both kinds of keys.
    #[error("jwks and jwks_uri exclude each other")]
    TwoKeySets,
    /// No keys, and a method that needs them.
    #[error("private_key_jwt needs jwks or jwks_uri")]
    NoKeySet,
    /// The keys.
    #[error("jwks: {0}")]
    KeySet(#[from] JwkSetError),
    /// The address of the keys.
    #[error("jwks_uri: {0}")]
    KeySetAddress(#[from] InvalidAddress),
    /// Another algorithm.
    #[error("access_token_signed_response_alg is EdDSA or ES256")]
    AccessTokenAlg,
}

impl MetadataError {
    /// RFC 7591 §3.2.2.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Redirect(_) | Self::NoRedirect | Self::TooManyRedirects => ErrorCode::InvalidRedirectUri,
            Self::TooLong
            | Self::NotAnObject
            | Self::Type(..)
            | Self::Name(_)
            | Self::HomePage(_)
            | Self::Logo
            | Self::GrantTypes
            | Self::ResponseTypes
            | Self::AuthMethod
            | Self::TwoKeySets
            | Self::NoKeySet
            | Self::KeySet(_)
            | Self::KeySetAddress(_)
            | Self::AccessTokenAlg => ErrorCode::InvalidClientMetadata,
        }
    }

    /// `error_description`.
    #[must_use]
    pub fn description(&self) -> String {
        describe(&self.to_string())
    }
}

/// Why a client metadata document can't be used. The text is for the app's developer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// The `client_id` is an address, and not one that is fetched.
    #[error("{0}")]
    Address(#[from] InvalidAddress),
    /// It can't be read from there.
    #[error("{0}")]
    Fetch(#[from] FetchError),
    /// What it says.
    #[error("{0}")]
    Metadata(#[from] MetadataError),
    /// Its `client_id` isn't its address.
    #[error("its client_id is not exactly its own address")]
    AnotherClientId,
    /// `client_secret` or `client_secret_expires_at`.
    #[error("a document that everybody can read holds no client_secret")]
    Secret,
    /// A method with a shared secret.
    #[error("token_endpoint_auth_method must be none or private_key_jwt, since nobody shares a secret with a document")]
    SecretMethod,
}

/// Why an address gave nothing that can be used. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// No answer.
    #[error("its server can not be reached")]
    Unreachable,
    /// Not within the time.
    #[error("its server took longer than 3 seconds")]
    Late,
    /// 3xx.
    #[error("its server redirects, which is not followed")]
    Redirected,
    /// Any other but 200.
    #[error("its server answered {0} instead of 200")]
    Status(u16),
    /// Another content type.
    #[error("its content type is not application/json")]
    NotJson,
    /// Longer than is read.
    #[error("it is longer than 16 KiB")]
    TooLong,
}

impl ClientMetadata {
    /// Reads a registration request (RFC 7591 §3.1). The other members that it holds are the caller's to look at.
    ///
    /// # Errors
    /// [`MetadataError`]: the first that is wrong.
    pub fn parse(json: &[u8], reach: Reach) -> Result<(Self, Members), MetadataError> {
        let members = read(json)?;
        Ok((Self::from_members(&members, reach, "client_secret_basic", None)?, members))
    }

    /// Reads the document that `id` is the address of. Without a method it is a public client: none of the others goes without saying.
    ///
    /// # Errors
    /// [`DocumentError`]: the first that is wrong.
    pub fn parse_document(json: &[u8], address: &RemoteAddress, reach: Reach) -> Result<Self, DocumentError> {
        let members = read(json)?;
        if text(&members, "client_id")? != Some(address.as_str()) {
            return Err(DocumentError::AnotherClientId);
        }
        // Whatever may be in there: a secret that isn't one must not be taken for one by anybody.
        if members.keys().any(|name| name.starts_with("client_secret")) {
            return Err(DocumentError::Secret);
        }
        if text(&members, "token_endpoint_auth_method")?.is_some_and(|method| method.starts_with("client_secret")) {
            return Err(DocumentError::SecretMethod);
        }
        Ok(Self::from_members(&members, reach, "none", Some(&address.host()))?)
    }

    /// Of a client that is stored.
    #[must_use]
    pub fn of(client: &Client) -> Self {
        Self {
            name: client.name.clone(),
            client_uri: client.home_page.clone(),
            logo_uri: client.logo_uri.clone(),
            redirect_uris: client.redirect_uris.clone(),
            grant_types: client.grant_types.clone(),
            auth_method: match &client.auth {
                ClientAuth::Public => AuthMethod::None,
                ClientAuth::Confidential(_) if client.prefers_secret_in_body => AuthMethod::SecretPost,
                ClientAuth::Confidential(_) => AuthMethod::SecretBasic,
                ClientAuth::PrivateKey(keys) => AuthMethod::PrivateKeyJwt(keys.clone()),
            },
            requires_par: client.requires_par,
            requires_dpop: client.requires_dpop,
            access_token_alg: client.access_token_alg,
            described: client.described.clone(),
        }
    }

    fn from_members(
        members: &Members,
        reach: Reach,
        default_method: &str,
        host: Option<&str>,
    ) -> Result<Self, MetadataError> {
        let grant_types = grant_types(members)?;
        let redirect_uris = redirect_uris(members)?;
        let takes_code = grant_types.contains(&GrantType::AuthorizationCode);
        if takes_code && redirect_uris.is_empty() {
            return Err(MetadataError::NoRedirect);
        }
        check_response_types(members, takes_code)?;
        let client_uri =
            text(members, "client_uri")?.map(parse_home_page).transpose().map_err(MetadataError::HomePage)?;
        let name = match text(members, "client_name")?.filter(|name| !name.trim().is_empty()) {
            Some(name) => parse_name(name).map_err(MetadataError::Name)?,
            None => default_name(host, client_uri.as_deref(), &redirect_uris),
        };
        Ok(Self {
            name,
            client_uri,
            logo_uri: logo_uri(members)?,
            redirect_uris,
            grant_types,
            auth_method: auth_method(members, default_method, reach)?,
            requires_par: flag(members, "require_pushed_authorization_requests")?,
            requires_dpop: flag(members, "dpop_bound_access_tokens")?,
            access_token_alg: match text(members, "access_token_signed_response_alg")? {
                None => SigningAlgorithm::default(),
                Some(name) => SigningAlgorithm::from_name(name).ok_or(MetadataError::AccessTokenAlg)?,
            },
            described: described(members),
        })
    }

    /// Everything that is registered, as RFC 7591 §3.2.1 wants it in the answer.
    #[must_use]
    pub fn to_json(&self) -> Map<String, Value> {
        let takes_code = self.grant_types.contains(&GrantType::AuthorizationCode);
        let mut members = self.described.clone();
        let mut set = |name: &str, value: Value| members.insert(name.to_owned(), value);
        set("client_name", self.name.as_str().into());
        set("redirect_uris", json!(self.redirect_uris));
        set("grant_types", json!(self.grant_types));
        set("response_types", if takes_code { json!(["code"]) } else { json!([]) });
        set("token_endpoint_auth_method", self.auth_method.as_str().into());
        set("require_pushed_authorization_requests", self.requires_par.into());
        set("dpop_bound_access_tokens", self.requires_dpop.into());
        set("access_token_signed_response_alg", self.access_token_alg.as_str().into());
        if let Some(uri) = &self.client_uri {
            set("client_uri", uri.as_str().into());
        }
        if let Some(uri) = &self.logo_uri {
            set("logo_uri", uri.as_str().into());
        }
        match &self.auth_method {
            AuthMethod::PrivateKeyJwt(ClientKeys::Inline(keys)) => {
                set("jwks", serde_json::from_str(keys).unwrap_or_default());
            }
            AuthMethod::PrivateKeyJwt(ClientKeys::Uri(uri)) => {
                set("jwks_uri", uri.as_str().into());
            }
            AuthMethod::None | AuthMethod::SecretBasic | AuthMethod::SecretPost => {}
        }
        members
    }
}

/// What a client says of itself that the broker keeps and uses for nothing: `scope` (as far as it is known here), `contacts`,
/// `application_type`, `tos_uri`, `policy_uri`, `software_id`, `software_version`. One that can't be what it is called is left out, as
/// RFC 7591 §2 allows: nothing depends on it, and no app should be refused for it.
fn described(members: &Members) -> Map<String, Value> {
    let short = |value: &Value| value.as_str().filter(|text| is_plain(text)).map(|text| json!(text));
    let address = |value: &Value| value.as_str().and_then(|text| parse_home_page(text).ok()).map(|text| json!(text));
    let kind = |value: &Value| value.as_str().filter(|text| matches!(*text, "web" | "native")).map(|text| json!(text));
    let people = |value: &Value| {
        let contacts = value.as_array().filter(|list| list.len() <= MAX_CONTACTS)?;
        contacts.iter().map(short).collect::<Option<Vec<_>>>().filter(|list| !list.is_empty()).map(Value::Array)
    };
    let scopes = |value: &Value| value.as_str().and_then(known_scopes).map(Value::String);
    let find = |name: &'static str| {
        let value = members.get(name)?;
        let value = match name {
            "scope" => scopes(value),
            "contacts" => people(value),
            "application_type" => kind(value),
            "tos_uri" | "policy_uri" => address(value),
            _ => short(value),
        };
        Some((name.to_owned(), value?))
    };
    DESCRIBED.into_iter().filter_map(find).collect()
}

/// The scopes among these that exist here.
fn known_scopes(scope: &str) -> Option<String> {
    let known = scope.split(' ').filter(|one| Requested::from_scope(one).is_ok());
    let known: Vec<&str> = known.take(MAX_SCOPES).collect();
    (!known.is_empty()).then(|| known.join(" "))
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_DESCRIBED_BYTES && !text.chars().any(char::is_control)
}

impl AuthMethod {
    /// As it goes over the wire.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SecretBasic => "client_secret_basic",
            Self::SecretPost => "client_secret_post",
            Self::PrivateKeyJwt(_) => "private_key_jwt",
        }
    }

    /// Whether the client gets a secret.
    #[must_use]
    pub const fn needs_secret(&self) -> bool {
        matches!(self, Self::SecretBasic | Self::SecretPost)
    }
}

/// The keys of a client that signs, from a JWK set as text or from its address.
///
/// # Errors
/// [`MetadataError`]: both or none, or what is wrong with the one.
pub fn client_keys(jwks: Option<&str>, jwks_uri: Option<&str>, reach: Reach) -> Result<ClientKeys, MetadataError> {
    match (jwks, jwks_uri) {
        (Some(_), Some(_)) => Err(MetadataError::TwoKeySets),
        (None, None) => Err(MetadataError::NoKeySet),
        // As the set was understood: what was skipped is not stored.
        (Some(jwks), None) => Ok(ClientKeys::Inline(JwkSet::parse(jwks)?.to_json())),
        (None, Some(uri)) => Ok(ClientKeys::Uri(RemoteAddress::parse(uri, reach)?.as_str().to_owned())),
    }
}

/// Whether `id` could be the address of a document at all.
#[must_use]
pub fn is_address(id: &ClientId) -> bool {
    RemoteAddress::of_document(id, Reach::Public).is_some()
}

fn read(json: &[u8]) -> Result<Members, MetadataError> {
    if json.len() > MAX_METADATA_BYTES {
        return Err(MetadataError::TooLong);
    }
    let mut members = strict::object(json).ok_or(MetadataError::NotAnObject)?;
    members.retain(|_, value| !value.is_null());
    Ok(members)
}

fn text<'a>(members: &'a Members, name: &'static str) -> Result<Option<&'a str>, MetadataError> {
    match members.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(MetadataError::Type(name, "a text")),
    }
}

fn flag(members: &Members, name: &'static str) -> Result<bool, MetadataError> {
    match members.get(name) {
        None => Ok(false),
        Some(Value::Bool(flag)) => Ok(*flag),
        Some(_) => Err(MetadataError::Type(name, "true or false")),
    }
}

fn texts<'a>(members: &'a Members, name: &'static str) -> Result<Option<Vec<&'a str>>, MetadataError> {
    const WRONG: &str = "a list of texts";
    let Some(value) = members.get(name) else { return Ok(None) };
    let list = value.as_array().ok_or(MetadataError::Type(name, WRONG))?;
    let texts = list.iter().map(|value| value.as_str().ok_or(MetadataError::Type(name, WRONG)));
    texts.collect::<Result<_, _>>().map(Some)
}

fn redirect_uris(members: &Members) -> Result<Vec<RedirectUri>, MetadataError> {
    let mut uris: Vec<RedirectUri> = Vec::new();
    for text in texts(members, "redirect_uris")?.unwrap_or_default() {
        let uri = text.parse()?;
        if uris.contains(&uri) {
            continue;
        }
        if uris.len() == MAX_REDIRECT_URIS {
            return Err(MetadataError::TooManyRedirects);
        }
        uris.push(uri);
    }
    Ok(uris)
}

fn grant_types(members: &Members) -> Result<BTreeSet<GrantType>, MetadataError> {
    let named = texts(members, "grant_types")?.unwrap_or_else(|| vec![GrantType::AuthorizationCode.as_str()]);
    let types: Option<BTreeSet<_>> = named.into_iter().map(GrantType::from_wire).collect();
    types.filter(|types| !types.is_empty()).ok_or(MetadataError::GrantTypes)
}

/// §2.1: `code` goes with `authorization_code`.
fn check_response_types(members: &Members, takes_code: bool) -> Result<(), MetadataError> {
    let Some(types) = texts(members, "response_types")? else { return Ok(()) };
    let is_code = !types.is_empty() && types.iter().all(|one| *one == "code");
    if is_code == takes_code && (is_code || types.is_empty()) { Ok(()) } else { Err(MetadataError::ResponseTypes) }
}

fn logo_uri(members: &Members) -> Result<Option<String>, MetadataError> {
    let Some(uri) = text(members, "logo_uri")? else { return Ok(None) };
    let uri = parse_home_page(uri).map_err(|_| MetadataError::Logo)?;
    if uri.starts_with("https://") { Ok(Some(uri)) } else { Err(MetadataError::Logo) }
}

fn auth_method(members: &Members, default: &str, reach: Reach) -> Result<AuthMethod, MetadataError> {
    let jwks = members.get("jwks").map(Value::to_string);
    let jwks_uri = text(members, "jwks_uri")?;
    // A private key is refused even where no key is needed: its owner should know.
    let keys = match client_keys(jwks.as_deref(), jwks_uri, reach) {
        Err(MetadataError::NoKeySet) => None,
        keys => Some(keys?),
    };
    match text(members, "token_endpoint_auth_method")?.unwrap_or(default) {
        "none" => Ok(AuthMethod::None),
        "client_secret_basic" => Ok(AuthMethod::SecretBasic),
        "client_secret_post" => Ok(AuthMethod::SecretPost),
        "private_key_jwt" => keys.map(AuthMethod::PrivateKeyJwt).ok_or(MetadataError::NoKeySet),
        _ => Err(MetadataError::AuthMethod),
    }
}

/// A name for an app that gives none: where it is. The end of a long one, which says whose it is.
fn default_name(host: Option<&str>, client_uri: Option<&str>, redirect_uris: &[RedirectUri]) -> String {
    let host_of = |address: &str| Url::parse(address).ok()?.host_str().map(str::to_owned);
    let name = host
        .map(str::to_owned)
        .or_else(|| redirect_uris.first().and_then(|uri| host_of(uri.as_str())))
        .or_else(|| client_uri.and_then(host_of))
        .unwrap_or_default();
    let too_long = name.chars().count().saturating_sub(MAX_NAME_CHARS);
    parse_name(&name.chars().skip(too_long).collect::<String>()).unwrap_or_else(|_| NAMELESS.to_owned())
}

#[cfg(test)]
mod tests;
