//! `/notices`: what a person was told of their grants. Also how a notice and a refusal are shown wherever they are.

use askama::Template;
use axum::{
    body::Body,
    http::{Response, StatusCode},
};

use super::{
    format::{self, Round, of_this_period, thousands, usd},
    frame::Frame,
    language::{Language, Moment, filters},
    limits_form::digits,
    page::see_other,
    ports::Ports,
    session::{OwnForm, SignedIn},
    state::AppState,
    trouble::Trouble,
};
use crate::domain::{
    id::GrantId,
    ledger::{Cap, Reason},
    limits::Period,
    money::NanoUsd,
    notice::{About, Notice, NoticeId, RefusedCalls},
    time::Timestamp,
};

/// Where the page is.
pub const PATH: &str = "/notices";
/// So long ago refusals are "lately".
pub const LATELY_SECONDS: u64 = 7 * 24 * 3600;
/// Most lines of refusals on the page.
const MAX_REFUSALS: u32 = 30;
/// Most notices on the page.
const MAX_NOTICES: u32 = 100;

#[derive(Template)]
#[template(path = "notices.html")]
struct NoticesPage {
    frame: Frame,
    notices: Vec<NoticeView>,
    /// What was refused lately.
    refusals: Vec<RefusalView>,
    /// The newest, where one isn't read.
    newest_unread: Option<u64>,
}

/// A notice as it is shown by `notice_list.html`, which is included where a page has `frame` and `notices`.
#[derive(Debug)]
pub struct NoticeView {
    /// Its name in a form.
    pub id: u64,
    /// Whose.
    pub grant_id: String,
    /// What happened, in a sentence.
    pub text: String,
    /// More of it.
    pub more: Option<String>,
    /// When.
    pub at: Moment,
    /// Whether the person has not read it.
    pub is_unread: bool,
    /// Whether something doesn't work because of it.
    pub is_urgent: bool,
    /// Whether it stands where a link to its grant leads nowhere else.
    pub is_on_page_of_grant: bool,
}

impl NoticeView {
    /// In this language, seen from now.
    #[must_use]
    pub fn new(notice: &Notice, language: Language, now: Timestamp) -> Self {
        Self {
            id: notice.id.0,
            grant_id: notice.grant_id.to_string(),
            text: sentence(notice, language, now),
            more: more(&notice.about, language),
            at: Moment::new(notice.at, now),
            is_unread: notice.read_at.is_none(),
            is_urgent: matches!(notice.about, About::Limit { percent: 100, .. }),
            is_on_page_of_grant: false,
        }
    }

    /// The same of several.
    #[must_use]
    pub fn all(notices: &[Notice], language: Language, now: Timestamp) -> Vec<Self> {
        notices.iter().map(|notice| Self::new(notice, language, now)).collect()
    }

    /// Several of one grant, on its own page.
    #[must_use]
    pub fn on_page_of_grant(notices: &[Notice], language: Language, now: Timestamp) -> Vec<Self> {
        let notices = notices.iter().map(|notice| Self::new(notice, language, now));
        notices.map(|notice| Self { is_on_page_of_grant: true, ..notice }).collect()
    }
}

fn sentence(notice: &Notice, language: Language, now: Timestamp) -> String {
    let app = &notice.app;
    let About::Limit { cap, period, allowed, percent, used, .. } = &notice.about else {
        let About::Expiry { expires_at, .. } = &notice.about else { return String::new() };
        let end = Moment::new(*expires_at, now).human(language);
        return language.with("The access of {0} ends on {1}.", &[app, &end]);
    };
    let is_used_up = *percent >= 100;
    let (amount, whole) = (thousands(*used), thousands(*allowed));
    match cap {
        Cap::BudgetUsd => {
            let of =
                of_this_period(&usd(NanoUsd(*used), Round::Up), usd(NanoUsd(*allowed), Round::Down), *period, language);
            if is_used_up {
                language.with("{0} has used up its budget: {1}.", &[app, &of])
            } else {
                language.with("{0} has used {1} % of its budget: {2}.", &[app, percent, &of])
            }
        }
        Cap::Tokens if is_used_up => language.with("{0} has used up its tokens: {1} of {2}.", &[app, &amount, &whole]),
        Cap::Tokens => language.with("{0} has used {1} % of its tokens: {2} of {3}.", &[app, percent, &amount, &whole]),
        Cap::Requests if is_used_up => {
            language.with("{0} has used up its requests: {1} of {2}.", &[app, &amount, &whole])
        }
        Cap::Requests => {
            language.with("{0} has used {1} % of its requests: {2} of {3}.", &[app, percent, &amount, &whole])
        }
    }
}

fn more(about: &About, language: Language) -> Option<String> {
    let About::Limit { permission, period, percent, .. } = about else { return None };
    let what = permission.as_ref().map(|permission| format::sentence(permission, language));
    let then = (*percent >= 100).then(|| match period {
        Period::Total => language.t("Its calls are refused until you raise the limit."),
        Period::Day => language.t("Its calls are refused until the next day begins (UTC), or you raise the limit."),
        Period::Month => language.t("Its calls are refused until the next month begins (UTC), or you raise the limit."),
    });
    match (what, then) {
        (Some(what), Some(then)) => Some(format!("{what}. {then}")),
        (what, then) => what.or_else(|| then.map(str::to_owned)),
    }
}

/// Refused calls as they are shown by `refusal_list.html`, which is included where a page has `refusals`.
#[derive(Debug)]
pub struct RefusalView {
    /// Whose.
    pub grant_id: String,
    /// The app.
    pub app: String,
    /// Why, in a sentence.
    pub why: String,
    /// The same as the app was told it.
    pub code: &'static str,
    /// How many.
    pub count: String,
    /// The last of them.
    pub at: Moment,
}

impl RefusalView {
    /// In this language, seen from now.
    #[must_use]
    pub fn new(refused: &RefusedCalls, language: Language, now: Timestamp) -> Self {
        Self {
            grant_id: refused.grant_id.to_string(),
            app: refused.app.clone(),
            why: why(refused.reason, &refused.run.model, language),
            code: refused.reason.as_str(),
            count: language.count(refused.run.count, "{0} refused call", "{0} refused calls"),
            at: Moment::new(refused.run.last_at, now),
        }
    }

    /// The same of several.
    #[must_use]
    pub fn all(refused: &[RefusedCalls], language: Language, now: Timestamp) -> Vec<Self> {
        refused.iter().map(|one| Self::new(one, language, now)).collect()
    }
}

/// Why a call was refused, for the person whose grant it is: a sentence. The one table of these words; a new reason doesn't compile
/// before it has some.
fn why(reason: Reason, model: &str, language: Language) -> String {
    let (text, naming_the_model) = match reason {
        Reason::ModelNotGranted => (
            language.t("It asked for a model that you did not allow."),
            Some(language.t("It asked for the model {0}, which you did not allow.")),
        ),
        Reason::CapabilityNotGranted => (
            language.t("It wanted to do something that you did not allow."),
            Some(language.t("It wanted to use {0} for something that you did not allow.")),
        ),
        Reason::PriceUnknown => (
            language.t("No price is known for a call, and what it may spend is limited."),
            Some(language.t("No price is known for {0}, and what it may spend is limited.")),
        ),
        Reason::ModelNotAllowed => (
            language.t("The operator of this broker doesn’t allow this model."),
            Some(language.t("The operator of this broker doesn’t allow the model {0}.")),
        ),
        Reason::Ended => (language.t("It called although its access had ended."), None),
        Reason::GrantPaused => (language.t("It called while you had it paused."), None),
        Reason::ProviderNotGranted => (language.t("It asked for a provider that you did not allow."), None),
        Reason::TooManyTools => {
            (language.t("One call used too many of the provider’s own tools, and what it may spend is limited."), None)
        }
        Reason::BudgetExhausted => (language.t("Not enough money was left for a call."), None),
        Reason::TokensExhausted => (language.t("Not enough tokens were left for a call."), None),
        Reason::RequestsExhausted => (language.t("It has made as many requests as you allowed."), None),
        Reason::BudgetHeld => (language.t("The rest of the money was reserved for calls in progress."), None),
        Reason::TokensHeld => (language.t("The rest of the tokens were reserved for calls in progress."), None),
        Reason::RequestsHeld => (language.t("The rest of the requests were taken by calls in progress."), None),
        Reason::RateLimited => (language.t("It made more calls in a minute than you allowed."), None),
        Reason::ConcurrencyExceeded => (language.t("It made more calls at once than you allowed."), None),
        Reason::EndpointNotGranted => (language.t("It used a part of the provider that can not be allowed."), None),
        Reason::FieldNotAllowed => (language.t("A call asked for something that can not be allowed."), None),
        Reason::InvalidRequest => (language.t("A call could not be read."), None),
        Reason::BodyTooLarge => (language.t("A call was too long."), None),
        Reason::ProviderNotConfigured => (language.t("This broker has no key for the provider."), None),
        Reason::ProviderNotAllowed => (language.t("The operator of this broker doesn’t allow this provider."), None),
        Reason::AccountBudgetExhausted => {
            (language.t("Not enough was left of what the operator allows you in a month."), None)
        }
        Reason::AccountBudgetHeld => (
            language.t("The rest of what the operator allows you in a month was reserved for calls in progress."),
            None,
        ),
    };
    match naming_the_model.filter(|_| !model.is_empty()) {
        Some(text) => language.with(text, &[&model]),
        None => text.to_owned(),
    }
}

/// `GET /notices`.
///
/// # Errors
/// The database can't answer.
pub async fn list<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
) -> Result<Response<Body>, Trouble> {
    let notices = state.ports.list_notices(&visitor.user.id, MAX_NOTICES).await?;
    let since = Timestamp::from_millis(state.now.millis().saturating_sub(LATELY_SECONDS * 1000));
    let refused = state.ports.recent_refusals(&visitor.user.id, since, MAX_REFUSALS).await?;
    let is_unread = notices.iter().any(|notice| notice.read_at.is_none());
    let page = NoticesPage {
        notices: NoticeView::all(&notices, frame.language, state.now),
        refusals: RefusalView::all(&refused, frame.language, state.now),
        newest_unread: notices.first().filter(|_| is_unread).map(|notice| notice.id.0),
        frame: frame.clone(),
    };
    Ok(frame.html(StatusCode::OK, &page))
}

/// `POST /notices`: the person has read those from `from` to `to`; without `from` all up to `to`. It leads back to the page of `grant`,
/// where it was asked there.
///
/// # Errors
/// The database can't answer.
pub async fn read<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let to = digits(form.params.field("to")).unwrap_or(0);
    let from = digits(form.params.field("from")).unwrap_or(0);
    state.ports.read_notices(&form.visitor.user.id, NoticeId(from), NoticeId(to), state.now).await?;
    Ok(match form.params.field("grant").parse::<GrantId>() {
        Ok(grant) => see_other(&format!("/grants/{grant}#notices")),
        Err(_) => see_other(PATH),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_795_478_400);

    fn notice(about: About) -> Notice {
        Notice {
            id: NoticeId(1),
            grant_id: "grant_a".parse().unwrap(),
            app: "Notes".to_owned(),
            about,
            at: NOW,
            read_at: None,
        }
    }

    fn limit(cap: Cap, period: Period, percent: u8, used: u64, allowed: u64) -> Notice {
        notice(About::Limit { permission: None, cap, period, allowed, percent, used })
    }

    fn said(notice: &Notice) -> [String; 2] {
        Language::ALL.map(|language| NoticeView::new(notice, language, NOW).text)
    }

    #[test]
    fn a_notice_is_said_in_a_sentence() {
        let budget = limit(Cap::BudgetUsd, Period::Month, 50, 2_510_000_000, 5_000_000_000);
        assert_eq!(
            said(&budget),
            [
                "Notes has used 50 % of its budget: 2.51 of 5.00 USD this month.",
                "Notes 앱이 예산의 50%를 썼어요: 이번 달 5.00 USD 중 2.51."
            ]
        );
        let tokens = limit(Cap::Tokens, Period::Total, 100, 1_000_000, 1_000_000);
        assert_eq!(said(&tokens)[0], "Notes has used up its tokens: 1,000,000 of 1,000,000.");
        let expiry = notice(About::Expiry { expires_at: NOW.plus_seconds(86_400), days: 1 });
        assert_eq!(said(&expiry)[0], "The access of Notes ends on 25 Nov 2026, 00:00 UTC.");
    }

    #[test]
    fn what_is_used_up_says_how_it_goes_on() {
        let view = |period| NoticeView::new(&limit(Cap::BudgetUsd, period, 100, 5, 5), Language::English, NOW);
        assert!(view(Period::Total).is_urgent);
        assert_eq!(view(Period::Total).more.unwrap(), "Its calls are refused until you raise the limit.");
        assert!(view(Period::Day).more.unwrap().contains("next day"));
        let half = NoticeView::new(&limit(Cap::BudgetUsd, Period::Total, 50, 3, 5), Language::English, NOW);
        assert_eq!((half.more, half.is_urgent), (None, false));
    }

    #[test]
    fn every_reason_is_said_in_words_of_its_own_in_both_languages() {
        for language in Language::ALL {
            for model in ["", "gpt-9"] {
                let said: BTreeSet<String> =
                    Reason::ALL.into_iter().map(|reason| why(reason, model, language)).collect();
                assert_eq!(said.len(), Reason::ALL.len(), "two reasons are said alike: {said:#?}");
                assert!(said.iter().all(|text| text.ends_with('.')), "{said:#?}");
            }
        }
        for (reason, model) in Reason::ALL.into_iter().flat_map(|reason| [(reason, ""), (reason, "gpt-9")]) {
            let [english, korean] = Language::ALL.map(|language| why(reason, model, language));
            assert!(!english.contains("another reason") && english != korean, "{english}");
        }
    }
}
