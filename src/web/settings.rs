//! `/settings`: what a person calls themselves and in which language they read, and the ways to everything else that can be set. A
//! member also reads what the operator allows them, and an operator how the broker is set up, which is changed where it is deployed and
//! never here.

use askama::Template;
use axum::{
    body::Body,
    extract::RawQuery,
    http::{Response, StatusCode},
};

use futures_util::future::join;

use super::{
    allowance, audit, format,
    frame::Frame,
    language::{Language, Text, filters},
    page::see_other,
    ports::{Ports, StoreError, User},
    session::{OwnForm, SignedIn},
    state::{AppState, Config},
    trouble::Trouble,
    usage::Allowed,
};
use crate::domain::{
    audit::Event,
    oauth::params::Params,
    permission::Provider,
    person::{MAX_PERSON_NAME_CHARS, person_name},
    policy::Policy,
};

#[derive(Template)]
#[template(path = "settings.html")]
struct SettingsPage {
    frame: Frame,
    /// As it is, or as it was typed.
    name: String,
    /// What is wrong with it.
    wrong_name: Option<Text>,
    just_renamed: bool,
    /// For a member.
    allows: Option<AllowsView>,
    /// For a member. `None`: the ledger of their account can't answer.
    allowance: Option<Allowed>,
    /// For an operator.
    broker: Option<BrokerView>,
}

/// What the operator lets a member hand on.
struct AllowsView {
    /// Each provider, and its models in words.
    models: Vec<(&'static str, String)>,
    per_grant: Option<String>,
    per_month: Option<String>,
}

impl AllowsView {
    fn new(policy: &Policy, language: Language) -> Self {
        let models = Provider::ALL.map(|provider| {
            let models: Vec<String> =
                policy.models_of(provider).iter().map(|model| format::model(model, language)).collect();
            (
                provider.display_name(),
                if models.is_empty() { language.t("no model").to_owned() } else { models.join(", ") },
            )
        });
        Self {
            models: models.into(),
            per_grant: policy.max_per_grant.map(|most| most.to_string()),
            per_month: policy.max_per_month.map(|most| most.to_string()),
        }
    }
}

/// How the broker is set up.
struct BrokerView {
    issuer: String,
    providers: Vec<(&'static str, bool)>,
    apps_register_themselves: bool,
    apps_publish_documents: bool,
    version: &'static str,
}

impl BrokerView {
    fn new(config: &Config) -> Self {
        let providers =
            Provider::ALL.map(|provider| (provider.display_name(), config.providers.contains(&provider))).into();
        Self {
            issuer: config.issuer.clone(),
            providers,
            apps_register_themselves: config.registration.is_dynamic,
            apps_publish_documents: config.registration.takes_documents,
            version: env!("CARGO_PKG_VERSION"),
        }
    }
}

impl SettingsPage {
    fn new(config: &Config, frame: Frame) -> Self {
        let visitor = frame.visitor.as_ref();
        Self {
            name: visitor.map(|visitor| visitor.user.name.clone()).unwrap_or_default(),
            wrong_name: None,
            just_renamed: false,
            allows: None,
            allowance: None,
            broker: visitor.filter(|visitor| visitor.is_operator()).map(|_| BrokerView::new(config)),
            frame,
        }
    }

    /// With what the operator allows a member. An account that can't answer hides nothing else.
    async fn read<P: Ports>(state: &AppState<P>, frame: Frame, user: &User) -> Result<Self, StoreError> {
        let language = frame.language;
        let (policed, allowance) = join(allowance::policy_for(state, user), allowance::of(state, user)).await;
        Ok(Self {
            allows: policed?.map(|policed| AllowsView::new(&policed.policy, language)),
            allowance: allowance.ok().flatten().map(|allowance| Allowed::new(&allowance, state.now, language)),
            ..Self::new(&state.config, frame)
        })
    }
}

/// `GET /settings`.
///
/// # Errors
/// The database can't answer.
pub async fn show<P: Ports>(
    state: AppState<P>,
    SignedIn { visitor, frame }: SignedIn,
    RawQuery(query): RawQuery,
) -> Result<Response<Body>, Trouble> {
    let query = Params::parse(query.unwrap_or_default().as_bytes());
    let page = SettingsPage::read(&state, frame.clone(), &visitor.user).await?;
    let page = SettingsPage { just_renamed: query.field("done") == "name", ..page };
    Ok(frame.html(StatusCode::OK, &page))
}

/// `POST /settings/name` with `name`.
///
/// # Errors
/// The database can't answer. A name that can't be one is shown again, with 400.
pub async fn rename<P: Ports>(state: AppState<P>, form: OwnForm) -> Result<Response<Body>, Trouble> {
    let OwnForm { visitor, params, mut frame } = form;
    let typed = params.field("name");
    let name = match person_name(typed) {
        Ok(name) => name,
        Err(error) => {
            // Where the page can be asked for again, should somebody choose another language.
            frame.here = Some("/settings".to_owned());
            let wrong_name = Some(Text::new(error.to_string()));
            let page = SettingsPage::read(&state, frame.clone(), &visitor.user).await?;
            let page = SettingsPage { name: typed.to_owned(), wrong_name, ..page };
            return Ok(frame.html(StatusCode::BAD_REQUEST, &page));
        }
    };
    if name == visitor.user.name {
        return Ok(see_other("/settings"));
    }
    state.ports.rename_user(&visitor.user.id, &name).await?;
    let entry = audit::entry(&state, &visitor, Event::NameChanged).subject(&name).detail(visitor.user.name.as_str());
    Ok(audit::note(&state, &frame, entry, see_other("/settings?done=name")).await)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain::person::WrongName, web::ports::Role};

    fn page_of(role: Role) -> String {
        let config = Config { providers: [Provider::OpenAi].into(), ..Config::example() };
        let visitor = crate::web::visitor::Visitor::example("<Ada>", role);
        let frame = Frame { visitor: Some(visitor), here: Some("/settings".to_owned()), ..Frame::default() };
        SettingsPage::new(&config, frame).render_with_values(&Language::English).unwrap()
    }

    #[test]
    fn an_operator_reads_how_the_broker_is_set_up() {
        let page = page_of(Role::Operator);
        assert!(page.contains("https://broker.example") && page.contains("OpenAI") && page.contains("Anthropic"));
        assert!(page.contains("/members") && page.contains("/settings/policy"));
    }

    #[test]
    fn a_member_does_not() {
        let page = page_of(Role::Member);
        assert!(!page.contains("Anthropic") && !page.contains("/settings/policy") && !page.contains("/members"));
        assert!(page.contains("/settings/security"));
    }

    #[test]
    fn a_name_is_shown_as_text() {
        let page = page_of(Role::Member);
        assert!(!page.contains("<Ada>"));
        assert!(page.contains("&#60;Ada&#62;"));
    }

    #[test]
    fn what_is_wrong_with_a_name_is_said_in_every_language() {
        for error in [WrongName::Empty, WrongName::TooLong, WrongName::NotPlain] {
            let text = Text::new(error.to_string());
            assert_ne!(text.in_language(Language::English), text.in_language(Language::Korean), "{error}");
        }
    }
}
