//! What is shown of a grant.

use askama::Template;

use super::{
    calls::CallsView,
    delegations::DelegationView,
    end_form::{self, EndForm},
    history::{self, ChangeView},
    read_ledger,
};
use crate::{
    domain::{
        grant::{Grant, Terms},
        ledger::Snapshot,
        limits::Limits,
        money::Amount,
        notice::Notice,
        oauth::client::Client,
        time::Timestamp,
    },
    web::{
        format::sentence,
        frame::Frame,
        grants::{LastUse, place_of, terms_of},
        language::{Language, Moment, filters},
        limits_form::{LimitsView, Posted},
        notices::NoticeView,
        ports::Ports,
        state::AppState,
        usage::GrantUsage,
    },
};

/// Most notices on the page; the others are under `/notices`.
const MAX_NOTICES: u32 = 5;

#[derive(Template)]
#[template(path = "grant.html")]
pub struct GrantPage {
    pub frame: Frame,
    pub app: String,
    pub host: String,
    /// A key of a text.
    pub notice: Option<&'static str>,
    pub error: Option<String>,
    /// What the operator allows for it over its life, where they say so.
    pub ceiling: Option<Amount>,
    pub live: Live,
    /// `None`: nothing can be changed.
    pub form: Option<FormView>,
    pub end: Option<EndForm>,
    /// `None`: they can't be read.
    pub calls: Option<CallsView>,
    /// The latest. `None`: they can't be read.
    pub changes: Option<Vec<ChangeView>>,
    /// What its owner was told of it lately. `None`: it can't be read.
    pub notices: Option<Vec<NoticeView>>,
}

/// What may change while somebody looks.
pub struct Live {
    pub id: String,
    /// The app, or the token.
    pub app: String,
    /// Whether it is a token that its owner made, and no app's.
    pub is_token: bool,
    pub created: Moment,
    pub expires: Moment,
    pub last_used: LastUse,
    pub state: StateView,
    pub usage: GrantUsage,
    pub delegations: Vec<DelegationView>,
    /// `false`: the ledger can't answer.
    pub is_known: bool,
}

pub enum StateView {
    Active,
    Paused,
    Revoked(Moment),
    Expired,
}

/// The limits to edit.
pub struct FormView {
    /// Of the terms that are shown: what was changed elsewhere meanwhile is not overwritten unseen.
    pub revision: u64,
    pub overall: LimitsView,
    pub permissions: Vec<EditablePermission>,
}

/// A permission's limits to edit.
pub struct EditablePermission {
    pub sentence: String,
    pub limits: LimitsView,
}

/// What the page needs beside the grant. What can't be read is said on it and hides nothing else.
pub struct Found {
    snapshot: Option<Snapshot>,
    client: Option<Client>,
    changes: Option<Vec<ChangeView>>,
    notices: Option<Vec<Notice>>,
}

impl Found {
    /// Over the whole grant.
    pub fn requests_used(&self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.overall.requests_used)
    }
}

/// Reads what the page needs.
pub async fn read<P: Ports>(state: &AppState<P>, grant: &Grant) -> Found {
    Found {
        snapshot: read_ledger(state, &grant.id).await.ok(),
        client: state.ports.find_client(&grant.client_id).await.ok().flatten(),
        changes: history::latest(state, &grant.id).await.ok(),
        notices: state.ports.notices_of_grant(&grant.id, MAX_NOTICES).await.ok(),
    }
}

impl GrantPage {
    /// Without its calls.
    pub fn new(frame: Frame, grant: &Grant, found: &Found, posted: Option<Posted<'_>>, now: Timestamp) -> Self {
        let language = frame.language;
        let snapshot = found.snapshot.as_ref();
        let terms = terms_of(grant, snapshot);
        let live = Live::new(grant, snapshot, now, language);
        // Without the ledger nothing can be saved; what was filled in must not be lost by that.
        let is_editable = live.state.is_live() && (snapshot.is_some() || posted.is_some());
        Self {
            app: grant.client_name.clone(),
            host: if grant.is_personal() {
                language.t("a token of yours").to_owned()
            } else {
                place_of(found.client.as_ref()).in_language(language)
            },
            notice: None,
            error: None,
            ceiling: terms.ceiling.filter(|_| terms.account.is_some()),
            form: is_editable.then(|| FormView::new(terms, posted, language)),
            end: is_editable.then(|| {
                let latest = end_form::latest(grant, terms.expires_at, now);
                EndForm::new(terms.expires_at, (latest, now), posted, language)
            }),
            calls: None,
            changes: found.changes.clone(),
            notices: found.notices.as_deref().map(|notices| NoticeView::on_page_of_grant(notices, language, now)),
            frame,
            live,
        }
    }

    /// Whether the calls that are shown are the newest of all: those are read again while the page is open.
    pub fn is_live_here(&self) -> bool {
        self.calls.as_ref().is_none_or(|calls| calls.is_newest && !calls.is_filtered)
    }
}

impl Live {
    pub fn new(grant: &Grant, snapshot: Option<&Snapshot>, now: Timestamp, language: Language) -> Self {
        let terms = terms_of(grant, snapshot);
        let used = snapshot.cloned().unwrap_or_default();
        Self {
            id: grant.id.to_string(),
            app: grant.client_name.clone(),
            is_token: grant.is_personal(),
            created: Moment::new(grant.created_at, now),
            expires: Moment::new(terms.expires_at, now),
            last_used: LastUse::of(snapshot, now),
            state: StateView::of(grant, terms, snapshot, now),
            usage: GrantUsage::new(terms, &used, now, language),
            delegations: used.delegations.iter().map(|one| DelegationView::new(one, now, language)).collect(),
            is_known: snapshot.is_some(),
        }
    }
}

impl StateView {
    fn of(grant: &Grant, terms: &Terms, snapshot: Option<&Snapshot>, now: Timestamp) -> Self {
        // The row says when; the ledger knows first.
        match grant.revoked_at.or_else(|| snapshot.and_then(|snapshot| snapshot.revoked_at)) {
            Some(at) => Self::Revoked(Moment::new(at, now)),
            None if now >= terms.expires_at => Self::Expired,
            None if terms.paused => Self::Paused,
            None => Self::Active,
        }
    }

    /// Whether it can be used, or could be if it were resumed.
    pub const fn is_live(&self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

/// Before the names of a permission's fields.
pub fn prefix(permission: usize) -> String {
    format!("p{permission}.")
}

impl FormView {
    fn new(terms: &Terms, posted: Option<Posted<'_>>, language: Language) -> Self {
        let is_open = Limits::leave_money_open(&terms.limits, terms.limits_of_permissions());
        // What was sent by another form of the page says nothing of this one.
        let posted = posted.filter(|form| form.params.all("revision").next().is_some());
        let permissions = terms.permissions.iter().enumerate().map(|(index, permission)| {
            let limits = LimitsView::current(&prefix(index), &permission.limits, posted, language);
            EditablePermission { sentence: sentence(permission, language), limits }
        });
        Self {
            revision: terms.revision,
            overall: LimitsView::current("", &terms.limits, posted, language).with_no_money_limit(is_open, posted),
            permissions: permissions.collect(),
        }
    }
}
