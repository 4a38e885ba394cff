//! `/activity`: who did what, from where, latest first.
//!
//! | parameter | |
//! |---|---|
//! | `kind` | one of [`Kind`]: only that |
//! | `grant` | only what happened to that grant |
//! | `of` | `everyone`: all accounts, for operators |
//! | `before` | older than the entry of this number |
//!
//! Everything in an entry is shown as text, short, and without what hides or turns text: names of apps and browsers are what strangers
//! wrote. A member finds what is about their own account and nothing else, whatever the parameters say.

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{HeaderValue, Response, StatusCode, header},
    response::IntoResponse,
};
use url::form_urlencoded;

use super::{
    browser, csv,
    format::plain,
    frame::Frame,
    language::{Language, Moment, filters},
    limits_form::digits,
    ports::{AuditQuery, AuditRow, Ports},
    session::SignedIn,
    state::AppState,
    trouble::Trouble,
    visitor::Visitor,
};
use crate::domain::{
    audit::{Actor, Event},
    id::GrantId,
    oauth::params::Params,
    time::Timestamp,
};

/// Entries on a page.
const PAGE: u32 = 50;
/// Entries in a file.
const EXPORTED: u32 = 2000;
/// Most characters of a name.
const MAX_NAME_CHARS: usize = 80;
/// Most characters of what changed.
const MAX_DETAIL_CHARS: usize = 300;

/// What entries are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Grants and tokens.
    Access,
    /// Apps.
    Apps,
    /// Members and what they may do.
    Members,
    /// Signing in, and whatever else is about the account.
    Account,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Access, Self::Apps, Self::Members, Self::Account];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Apps => "apps",
            Self::Members => "members",
            Self::Account => "account",
        }
    }

    /// By the beginning of the name, so that a new event is found without being listed here.
    fn of(event: Event) -> Self {
        let name = event.as_str();
        let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
        if begins(&["grant_", "limits_", "token_", "delegation_", "notice_", "webhook_"]) {
            Self::Access
        } else if begins(&["app_"]) {
            Self::Apps
        } else if begins(&["member_", "invitation_", "policy_", "user_"]) {
            Self::Members
        } else {
            Self::Account
        }
    }

    const fn label(self) -> &'static str {
        match self {
            Self::Access => "Grants and tokens",
            Self::Apps => "Apps",
            Self::Members => "Members",
            Self::Account => "Account and sign-in",
        }
    }
}

/// What was asked for.
#[derive(Clone, Debug)]
struct Asked {
    kind: Option<Kind>,
    grant: Option<GrantId>,
    everyone: bool,
    before: Option<u64>,
}

impl Asked {
    fn read(query: Option<String>, visitor: &Visitor) -> Result<Self, Trouble> {
        let params = Params::parse(query.unwrap_or_default().as_bytes());
        let kind = Kind::ALL.into_iter().find(|kind| kind.as_str() == params.field("kind"));
        let grant = Some(params.field("grant")).filter(|text| !text.is_empty());
        Ok(Self {
            kind,
            grant: grant.map(str::parse).transpose().map_err(|_| Trouble::not_found())?,
            everyone: params.field("of") == "everyone" && visitor.is_operator(),
            before: digits(params.field("before")),
        })
    }

    fn query(&self, visitor: &Visitor, limit: u32) -> AuditQuery {
        let of_kind = |kind| Event::ALL.iter().copied().filter(|event| Kind::of(*event) == kind).collect();
        AuditQuery {
            user: (!self.everyone).then(|| visitor.user.id.clone()),
            events: self.kind.map(of_kind).unwrap_or_default(),
            grant: self.grant.clone(),
            before: self.before,
            limit,
        }
    }

    /// Whether nothing can be of that kind: an empty list of events would be all of them.
    fn is_of_nothing(&self) -> bool {
        self.kind.is_some_and(|kind| !Event::ALL.iter().any(|event| Kind::of(*event) == kind))
    }

    /// The same, from that entry on, under `path`.
    fn link(&self, path: &str, before: Option<u64>) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        if let Some(kind) = self.kind {
            query.append_pair("kind", kind.as_str());
        }
        if let Some(grant) = &self.grant {
            query.append_pair("grant", grant.as_str());
        }
        if self.everyone {
            query.append_pair("of", "everyone");
        }
        if let Some(before) = before {
            query.append_pair("before", &before.to_string());
        }
        format!("{path}?{}", query.finish())
    }
}

#[derive(Template)]
#[template(path = "activity.html")]
struct ActivityPage {
    frame: Frame,
    asked: Asked,
    kinds: Vec<KindView>,
    entries: Vec<EntryView>,
    /// What the grant that is asked for was called.
    grant_name: Option<String>,
    older: Option<String>,
    export: String,
    without_grant: String,
}

struct KindView {
    value: &'static str,
    label: String,
    chosen: bool,
}

struct EntryView {
    at: Moment,
    said: String,
    detail: String,
    /// BCP 47: what has no other words stays as it was noted.
    detail_language: &'static str,
    /// Who, where it isn't the person themselves.
    by: Option<String>,
    /// Whose account, where several are shown.
    account: Option<String>,
    address: String,
    browser: String,
    /// Where only what happened to the same grant is.
    same_grant: Option<String>,
}

/// `GET /activity`.
///
/// # Errors
/// The database can't answer, or the grant has a name that none has.
pub async fn show<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let asked = Asked::read(query, &visitor)?;
    let mut rows = find(&state, &asked, &visitor, PAGE + 1).await?;
    let has_older = rows.len() > PAGE as usize;
    rows.truncate(PAGE as usize);
    let last = rows.last().map(|row| row.number).filter(|_| has_older);
    let language = frame.language;
    let named = rows.iter().find(|row| !row.subject.is_empty()).map(|row| plain(&row.subject, MAX_NAME_CHARS));
    let kind = |kind: Kind| KindView {
        value: kind.as_str(),
        label: language.t(kind.label()).to_owned(),
        chosen: asked.kind == Some(kind),
    };
    let page = ActivityPage {
        frame: frame.clone(),
        kinds: Kind::ALL.map(kind).into(),
        entries: rows.iter().map(|row| EntryView::new(row, &asked, (state.now, language))).collect(),
        grant_name: named.filter(|_| asked.grant.is_some()),
        older: last.map(|number| asked.link("/activity", Some(number))),
        export: asked.link("/activity.csv", None),
        without_grant: Asked { grant: None, ..asked.clone() }.link("/activity", None),
        asked,
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// `GET /activity.csv`: the latest [`EXPORTED`] of the same, for a spreadsheet (RFC 4180).
///
/// # Errors
/// As [`show`].
pub async fn export<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, .. }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let asked = Asked::read(query, &visitor)?;
    let rows = find(&state, &asked, &visitor, EXPORTED).await?;
    let mut text = String::from("time,account,actor,event,grant,subject,detail,address,browser\r\n");
    for row in &rows {
        let at = Moment::new(row.at, state.now).machine();
        let actor = row.actor.map_or("", Actor::as_str);
        let grant = row.grant.as_ref().map_or("", GrantId::as_str);
        let cells =
            [&*at, &row.user_name, actor, &row.event, grant, &row.subject, &row.detail, &row.address, &row.agent];
        text.push_str(&csv::record(&cells));
    }
    let mut response = text.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/csv; charset=utf-8; header=present"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"activity.csv\""));
    Ok(response)
}

async fn find<P: Ports>(
    state: &AppState<P>,
    asked: &Asked,
    visitor: &Visitor,
    limit: u32,
) -> Result<Vec<AuditRow>, Trouble> {
    if asked.is_of_nothing() {
        return Ok(Vec::new());
    }
    Ok(state.ports.list_audit(&asked.query(visitor, limit)).await?)
}

impl EntryView {
    fn new(row: &AuditRow, asked: &Asked, (now, language): (Timestamp, Language)) -> Self {
        let only = |grant: &GrantId| Asked { grant: Some(grant.clone()), ..asked.clone() }.link("/activity", None);
        Self {
            at: Moment::new(row.at, now),
            said: said(&row.event, &plain(&row.subject, MAX_NAME_CHARS), language),
            detail_language: if language.t(&row.detail) == row.detail {
                Language::English.tag()
            } else {
                language.tag()
            },
            detail: plain(language.t(&row.detail), MAX_DETAIL_CHARS),
            by: match row.actor {
                Some(Actor::App) => Some("by the app"),
                Some(Actor::Broker) => Some("by the broker"),
                Some(Actor::Person) | None => None,
            }
            .map(|by| language.t(by).to_owned()),
            account: asked.everyone.then(|| plain(&row.user_name, MAX_NAME_CHARS)),
            address: plain(&row.address, MAX_NAME_CHARS),
            browser: browser::in_words(&row.agent, language),
            same_grant: row.grant.as_ref().filter(|_| asked.grant.is_none()).map(only),
        }
    }
}

/// An event in a sentence. One that this version doesn't know is called by its name.
fn said(event: &str, subject: &str, language: Language) -> String {
    let key = match event {
        "signed_in" => "Signed in",
        "signed_out" => "Signed out",
        "grant_allowed" => "{0} was allowed access",
        "grant_denied" => "{0} was denied access",
        "limits_changed" => "Limits of {0} were changed",
        "grant_paused" => "{0} was paused",
        "grant_resumed" => "{0} was resumed",
        "grant_extended" => "The end of {0} was changed",
        "grant_revoked" => "The access of {0} was revoked",
        "delegation_revoked" => "A part of {0} that was passed on was revoked",
        "app_registered" => "The app {0} was registered",
        "app_deleted" => "The app {0} was deleted",
        "token_made" => "The token {0} was made",
        "passkey_added" => "The passkey {0} was added",
        "passkey_renamed" => "The passkey {0} was renamed",
        "passkey_removed" => "The passkey {0} was removed",
        "passkey_refused" => "The passkey {0} was refused: there may be a copy of it",
        "recovery_codes_made" => "New recovery codes were made",
        "session_ended" => "A session was ended from another one",
        "other_sessions_ended" => "All other sessions were ended",
        "member_invited" => "{0} was invited",
        "member_removed" => "The member {0} was removed",
        "invitation_revoked" => "The invitation of {0} was taken back",
        "invitation_accepted" => "The invitation was accepted",
        "policy_changed" => "What members may do was changed",
        "name_changed" => "The name was changed",
        "webhook_set" => "Notices are sent to an address",
        "webhook_secret_renewed" => "The secret of the notices was renewed",
        "webhook_removed" => "Notices are no longer sent",
        other => return plain(&other.replace('_', " "), MAX_NAME_CHARS),
    };
    language.with(key, &[&subject])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        domain::{id::UserId, secret::SecretHash},
        web::ports::{Role, User},
    };

    fn visitor(role: Role) -> Visitor {
        Visitor {
            session: SecretHash::from_stored("00".repeat(32)),
            user: User { id: "user_a".parse().unwrap(), name: "A".to_owned(), role },
            since: Timestamp::from_seconds(1),
            confirmed_at: Timestamp::from_seconds(1),
            has_passkey: true,
            csrf: String::new(),
        }
    }

    fn query(text: &str, role: Role) -> AuditQuery {
        let visitor = visitor(role);
        Asked::read(Some(text.to_owned()), &visitor).unwrap().query(&visitor, 1)
    }

    #[test]
    fn a_member_finds_their_own_whatever_they_ask_for() {
        let own: Option<UserId> = Some("user_a".parse().unwrap());
        for text in ["", "of=everyone", "of=user_b", "grant=grant_of_somebody_else", "of=everyone&kind=members"] {
            assert_eq!(query(text, Role::Member).user, own, "{text}");
        }
        assert_eq!(query("", Role::Operator).user, own);
        assert_eq!(query("of=everyone", Role::Operator).user, None);
    }

    #[test]
    fn a_kind_is_some_events_and_every_event_is_of_one() {
        let mut all = Vec::new();
        for kind in Kind::ALL {
            all.extend(query(&format!("kind={}", kind.as_str()), Role::Member).events);
        }
        assert_eq!(all.len(), Event::ALL.len());
        assert!(query("kind=nonsense", Role::Member).events.is_empty());
    }

    #[test]
    fn a_link_to_what_is_older_asks_for_the_same() {
        let text = "kind=access&grant=grant_a&of=everyone&before=7";
        let asked = Asked::read(Some(text.to_owned()), &visitor(Role::Operator)).unwrap();
        assert_eq!(asked.link("/activity", asked.before), format!("/activity?{text}"));
    }

    #[test]
    fn every_event_is_said_in_both_languages() {
        for event in Event::ALL {
            let [english, korean] = Language::ALL.map(|language| said(event.as_str(), "<X>", language));
            assert_ne!(english, korean, "{event:?}");
            assert_eq!(english.contains("<X>"), korean.contains("<X>"), "{event:?}");
        }
    }

    #[test]
    fn what_a_later_version_stored_is_called_by_its_name() {
        assert_eq!(said("moon_landed", "", Language::English), "moon landed");
    }

    #[test]
    fn why_a_grant_ended_is_said_in_both_languages() {
        for why in [
            "the app gave it back",
            "the app was deleted",
            "a code or refresh token was used twice",
            "by an operator",
            "with a one-time link",
        ] {
            assert_ne!(Language::Korean.t(why), why);
        }
    }

    proptest! {
        #[test]
        fn no_query_makes_it_panic_and_none_shows_a_member_the_others(text in "(?s).{0,80}") {
            let visitor = visitor(Role::Member);
            if let Ok(asked) = Asked::read(Some(text), &visitor) {
                prop_assert_eq!(asked.query(&visitor, 1).user, Some(visitor.user.id));
            }
        }
    }
}
