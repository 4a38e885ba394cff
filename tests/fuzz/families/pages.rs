//! What the addresses and forms of the pages say.

use aipassport::domain::{
    day::Day,
    grant_list::{GrantPosition, GrantQuery},
    permission::Provider,
    personal_token::{End, read_models, read_name},
    user_agent::Browser,
};

use super::texts;

/// The query of the list of grants.
pub fn list_of_grants(input: &[u8]) {
    let Some([query]) = texts(input) else { return };
    let read = GrantQuery::parse(query);
    assert!(!read.search.chars().any(char::is_control));
    if let Some(after) = read.after {
        assert_eq!(
            after.to_string().parse::<GrantPosition>().as_ref(),
            Ok(&after),
            "a position is written as it is read"
        );
    }
}

/// A day, a browser's name, and what is typed for a personal token.
pub fn form_of_a_token(input: &[u8]) {
    let Some([day, agent, choice, name, models]) = texts(input) else { return };
    if let Ok(read) = day.parse::<Day>() {
        assert_eq!(read.to_string(), day);
    }
    let _ = Browser::of(agent);
    let _ = End::parse(choice, day);
    if let Ok(name) = read_name(name) {
        assert!(!name.is_empty() && !name.chars().any(char::is_control));
    }
    if let Ok(models) = read_models(Provider::OpenAi, models.lines()) {
        assert!(!models.is_empty(), "none at all is every one");
    }
}
