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

/// Why a call was refused, for the person whose grant it is.
fn why(reason: Reason, model: &str, language: Language) -> String {
    if !model.is_empty() {
        match reason {
            Reason::ModelNotGranted => {
                return language.with("It asked for the model {0}, which you did not allow.", &[&model]);
            }
            Reason::CapabilityNotGranted => {
                return language.with("It wanted to use {0} for something that you did not allow.", &[&model]);
            }
            Reason::PriceUnknown => {
                return language.with("Nobody knows what a call of {0} costs, and its use is limited.", &[&model]);
            }
            _ => {}
        }
    }
    let text = match reason {
        Reason::Ended => language.t("It called although its access had ended."),
        Reason::GrantPaused => language.t("It called while you had it paused."),
        Reason::ProviderNotGranted => language.t("It asked for a provider that you did not allow."),
        Reason::ModelNotGranted => language.t("It asked for a model that you did not allow."),
        Reason::CapabilityNotGranted => language.t("It wanted to do something that you did not allow."),
        Reason::PriceUnknown => language.t("Nobody knows what a call costs, and its use is limited."),
        Reason::TooManyTools => {
            language.t("One call brought too many of the provider’s own tools, and its use is limited.")
        }
        Reason::BudgetExhausted => language.t("A call did not fit into the money that is left."),
        Reason::TokensExhausted => language.t("A call did not fit into the tokens that are left."),
        Reason::RequestsExhausted => language.t("It has made as many requests as you allowed."),
        Reason::BudgetHeld => language.t("The money that was left was set aside for calls under way."),
        Reason::TokensHeld => language.t("The tokens that were left were set aside for calls under way."),
        Reason::RequestsHeld => language.t("The requests that were left were taken by calls under way."),
        Reason::RateLimited => language.t("It made more calls in a minute than you allowed."),
        Reason::ConcurrencyExceeded => language.t("It made more calls at once than you allowed."),
        Reason::EndpointNotGranted => language.t("It used a part of the provider that can not be allowed."),
        Reason::FieldNotAllowed => language.t("A call asked for something that can not be allowed."),
        Reason::InvalidRequest => language.t("A call could not be read."),
        Reason::BodyTooLarge => language.t("A call was too long."),
        Reason::ProviderNotConfigured => language.t("This broker has no key for the provider."),
        Reason::ProviderNotAllowed => language.t("The operator of this broker doesn’t allow this provider."),
        Reason::ModelNotAllowed => language.t("The operator of this broker doesn’t allow this model."),
        Reason::AccountBudgetExhausted => language.t("It didn’t fit into what the operator allows you in a month."),
        Reason::AccountBudgetHeld => {
            language.t("What the operator allows you in a month was held by other calls at that moment.")
        }
    };
    text.to_owned()
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
    fn every_reason_is_said_in_both_languages() {
        for model in ["", "gpt-9"] {
            for reason in Reason::ALL {
                let [english, korean] = Language::ALL.map(|language| why(reason, model, language));
                assert!(english.ends_with('.') && english != korean, "{english}");
            }
        }
    }
}
