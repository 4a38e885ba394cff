//! The app behind a request, as it is named to a person who can't be shown what it asks for: they have to sign in first, or may allow
//! nothing of it. And the way back to it.
//!
//! The way back is a link, or a form, on the page itself, and leads to the app with an error. No address of the broker redirects a stranger,
//! unless the request forbids to ask (`prompt=none`), so that no link to the broker leads on to whatever somebody registered
//! ([RFC 9700 §4.11.2](https://www.rfc-editor.org/rfc/rfc9700#section-4.11.2)): whoever presses it has read where it leads. It uses nothing
//! up; the request stays open to whoever signs in after all.

use url::Url;

use super::language::Text;
use crate::domain::{
    consent::Denial,
    oauth::{
        answer::{Answer, ResponseMode},
        authorization_request::AuthorizationRequest,
        client::Client,
        error::RedirectReason,
        pending_request::Asked,
        redirect_uri::{Destination, csp_source},
    },
};

/// An app that asks, whose redirect URI is proven to be its own; or a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The name that its developer gave it.
    pub app: String,
    /// Where its answers go.
    pub place: Place,
    /// What it is told by whoever goes back to it. `None`: a device, which polls.
    back: Option<Answer>,
}

/// Where an app's answers go, as far as the broker knows for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An https site, by its host.
    Site(String),
    /// A program on the person's own machine, by its host and port.
    ThisDevice(String),
    /// An installed app, by its scheme.
    InstalledApp(String),
    /// A device or program that showed a code (RFC 8628).
    OtherDevice,
}

impl Asking {
    /// The app of a request that is valid: whoever goes back denies it.
    #[must_use]
    pub fn of_request(client: &Client, request: &AuthorizationRequest, issuer: &str) -> Self {
        Self::answered(client, request.failure(&RedirectReason::Denied(Denial::Unsaid), issuer))
    }

    /// The app or device that a consent page is about.
    #[must_use]
    pub fn of_asked(client: &Client, asked: &Asked, issuer: &str) -> Self {
        match asked {
            Asked::Redirect(request) => Self::of_request(client, request, issuer),
            Asked::Device { .. } => Self { app: client.name.clone(), place: Place::OtherDevice, back: None },
        }
    }

    /// An app, and the error that it is told.
    #[must_use]
    pub fn answered(client: &Client, back: Answer) -> Self {
        let place = match Destination::of(&back.redirect_uri) {
            Some(Destination::Site(host)) => Place::Site(host),
            Some(Destination::InstalledApp(scheme)) => Place::InstalledApp(scheme),
            // A redirect URI that was registered is one of the three.
            Some(Destination::ThisDevice) | None => Place::ThisDevice(host_and_port(&back.redirect_uri)),
        };
        Self { app: client.name.clone(), place, back: Some(back) }
    }

    /// Whether there is a way back: not to a device.
    #[must_use]
    pub const fn leads_back(&self) -> bool {
        self.back.is_some()
    }

    /// The address of the app with the error in it, where it takes that in a query.
    #[must_use]
    pub fn link(&self) -> Option<String> {
        self.back.as_ref().filter(|back| back.response_mode == ResponseMode::Query).map(Answer::location)
    }

    /// The form that is posted to the app, where it asked for one.
    #[must_use]
    pub fn form(&self) -> Option<&Answer> {
        self.back.as_ref().filter(|back| back.response_mode == ResponseMode::FormPost)
    }

    /// What the way back says where the person can go on here instead.
    #[must_use]
    pub fn cancel(&self) -> Text {
        match &self.place {
            Place::Site(host) => Text::new("Cancel and go back to {0}").with(host.as_str()),
            Place::ThisDevice(_) => Text::new("Cancel and go back to the program"),
            Place::InstalledApp(_) | Place::OtherDevice => Text::new("Cancel and go back to the app"),
        }
    }

    /// What it says where they can't.
    #[must_use]
    pub fn go_back(&self) -> Text {
        match &self.place {
            Place::Site(host) => Text::new("Go back to {0}").with(host.as_str()),
            Place::ThisDevice(_) => Text::new("Go back to the program"),
            Place::InstalledApp(_) | Place::OtherDevice => Text::new("Go back to the app"),
        }
    }

    /// What the page's `form-action` has to name: Chromium holds it against the form of the way back, and against the redirect to the app
    /// that may follow a form of the page.
    #[must_use]
    pub fn csp_source(&self) -> Option<String> {
        self.back.as_ref().and_then(|back| csp_source(&back.redirect_uri))
    }
}

fn host_and_port(address: &str) -> String {
    let url = Url::parse(address).ok();
    let parts = url.as_ref().and_then(|url| Some((url.host_str()?, url.port())));
    match parts {
        Some((host, Some(port))) => format!("{host}:{port}"),
        Some((host, None)) => host.to_owned(),
        None => address.to_owned(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::domain::oauth::{
        authorization_request::{AuthorizationQuery, Way, read_query},
        client::ClientAuth,
    };

    pub const ISSUER: &str = "https://broker.example";
    const STATE: &str = "s\"><b>&t";

    /// The example client, with this redirect URI, asks in this way; it calls itself by what would be markup.
    pub fn asking(redirect_uri: &str, response_mode: &str) -> Asking {
        let client = Client {
            name: "<b>Reading list</b>".to_owned(),
            redirect_uris: vec![redirect_uri.parse().unwrap()],
            ..Client::example(ClientAuth::Public)
        };
        let query = url::form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("response_type", "code"),
                ("client_id", client.id.as_str()),
                ("redirect_uri", redirect_uri),
                ("response_mode", response_mode),
                ("state", STATE),
                ("code_challenge", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"),
                ("code_challenge_method", "S256"),
                ("scope", "openai:chat"),
            ])
            .finish();
        let query = AuthorizationQuery::read(read_query(&query).unwrap(), Way::Browser).unwrap();
        let request = query.prove(Some(&client)).unwrap().request(ISSUER).unwrap();
        Asking::of_request(&client, &request, ISSUER)
    }

    #[test]
    fn rfc_6749_4_1_2_1_the_way_back_says_access_denied_with_state_and_issuer_where_the_app_takes_answers() {
        let link = asking("https://app.example:8443/cb?tenant=1", "query").link().unwrap();
        let link = Url::parse(&link).unwrap();
        assert_eq!(link.as_str().split('&').next(), Some("https://app.example:8443/cb?tenant=1"));
        let pairs: Vec<_> = link.query_pairs().into_owned().skip(1).collect();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            pairs,
            [
                pair("error", "access_denied"),
                pair("error_description", "the user denied the request"),
                pair("state", STATE),
                pair("iss", ISSUER),
            ]
        );
    }

    #[test]
    fn form_post_response_mode_the_way_back_is_a_form_that_the_page_may_post_to_that_app() {
        let asking = asking("https://app.example/cb", "form_post");
        assert_eq!(asking.link(), None);
        let form = asking.form().unwrap();
        assert_eq!(form.redirect_uri, "https://app.example/cb");
        assert!(form.parameters.contains(&("error", "access_denied".to_owned())));
        assert!(form.parameters.contains(&("state", STATE.to_owned())));
        assert_eq!(asking.csp_source().as_deref(), Some("https://app.example"));
    }

    #[test]
    fn a_place_is_what_the_redirect_uri_says_and_never_what_the_app_says() {
        for (redirect_uri, place, back) in [
            ("https://app.example/cb", Place::Site("app.example".into()), "Cancel and go back to app.example"),
            (
                "http://localhost:8788/cb",
                Place::ThisDevice("localhost:8788".into()),
                "Cancel and go back to the program",
            ),
            ("http://[::1]/cb", Place::ThisDevice("[::1]".into()), "Cancel and go back to the program"),
            ("com.example.app:/cb", Place::InstalledApp("com.example.app".into()), "Cancel and go back to the app"),
        ] {
            let asking = asking(redirect_uri, "query");
            assert_eq!(asking.place, place);
            assert_eq!(asking.cancel().in_language(super::super::language::Language::English), back);
        }
    }
}
