//! Tokens that may do less than their grant: `authorization_details` or `scope` at the token endpoint (RFC 9396 §6, RFC 6749 §6).
//!
//! A narrowed token names fewer models and capabilities, and carries them itself. Limits are counted by the ledger, for the grant and
//! not for a token; what has limits of its own is a delegation (token exchange).

use std::collections::BTreeSet;

use super::{
    authorization_details::{GrantedDetail, Requested},
    grant::Terms,
    limits::Limits,
    permission::Permission,
};

/// Why a token can't be narrowed so. The text is for the app's developer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NarrowingError {
    /// More than was granted.
    #[error("entry {index} is not within any single granted entry")]
    Wider {
        /// Position among the entries that name a provider, from 0.
        index: usize,
    },
    /// Other limits than those that were granted.
    #[error(
        "limits of a token can not differ from those granted; token exchange makes tokens with limits of their own"
    )]
    Limits,
}

/// What a token may do, of what was granted. `None`: all of it.
///
/// # Errors
/// [`NarrowingError`].
pub fn narrow(granted: &Terms, asked: &Requested) -> Result<Option<Vec<Permission>>, NarrowingError> {
    if !asked.limits.is_empty() && asked.limits != granted.limits {
        return Err(NarrowingError::Limits);
    }
    let narrowed = within(&granted.permissions, &asked.permissions)?;
    for (asked, within) in asked.permissions.iter().zip(&narrowed) {
        if !asked.limits.is_empty() && asked.limits != within.limits {
            return Err(NarrowingError::Limits);
        }
    }
    if narrowed == granted.permissions {
        return Ok(None);
    }
    Ok(Some(narrowed.into_iter().map(without_limits).collect()))
}

/// What a token may do that was asked for by `scope`: what was granted of it. `None`: all that was granted.
///
/// # Errors
/// [`NothingGranted`]: nothing of it was.
pub fn narrow_to_scope(
    granted: &[Permission],
    asked: &[Permission],
) -> Result<Option<Vec<Permission>>, NothingGranted> {
    let narrowed = of_scope(granted, asked);
    if narrowed.is_empty() {
        return Err(NothingGranted);
    }
    Ok((narrowed != granted).then(|| narrowed.into_iter().map(without_limits).collect()))
}

/// Nothing of the scope that is asked for was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing of the scope was granted")]
pub struct NothingGranted;

/// What these permissions allow of a scope, which names providers and capabilities and means every model.
#[must_use]
pub fn of_scope(granted: &[Permission], asked: &[Permission]) -> Vec<Permission> {
    let of = |granted: &Permission| {
        let asked = asked.iter().find(|asked| asked.provider == granted.provider)?;
        let capabilities: BTreeSet<_> = granted.capabilities.intersection(&asked.capabilities).copied().collect();
        (!capabilities.is_empty()).then(|| Permission { capabilities, ..granted.clone() })
    };
    granted.iter().filter_map(of).collect()
}

/// Each of `asked`, with the limits of the granted permission that it lies within.
fn within(granted: &[Permission], asked: &[Permission]) -> Result<Vec<Permission>, NarrowingError> {
    let find = |(index, permission): (usize, &Permission)| {
        let covering =
            granted.iter().find(|granted| permission.is_within(granted)).ok_or(NarrowingError::Wider { index })?;
        Ok(Permission { limits: covering.limits, ..permission.clone() })
    };
    asked.iter().enumerate().map(find).collect()
}

/// What a narrowed token may do, each entry with the limits that bind it, and with the position of the granted one that they are from.
#[must_use]
pub fn bound(granted: &[Permission], narrowed: &[Permission]) -> Vec<(usize, Permission)> {
    let find = |permission: &Permission| {
        let (position, covering) = granted.iter().enumerate().find(|(_, granted)| permission.is_within(granted))?;
        Some((position, Permission { limits: covering.limits, ..permission.clone() }))
    };
    narrowed.iter().filter_map(find).collect()
}

/// What a token response says of a narrowed token (RFC 9396 §7): what it may do, and the limits that bind it.
#[must_use]
pub fn details(granted: &Terms, narrowed: Option<&[Permission]>, issuer: &str) -> Vec<GrantedDetail> {
    let permissions = narrowed.and_then(|narrowed| within(&granted.permissions, narrowed).ok());
    match permissions {
        None => GrantedDetail::list(granted, issuer),
        Some(permissions) => GrantedDetail::list(&Terms { permissions, ..granted.clone() }, issuer),
    }
}

fn without_limits(permission: Permission) -> Permission {
    Permission { limits: Limits::NONE, ..permission }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::time::Timestamp;

    fn granted() -> Terms {
        let asked = asked(
            r#"[{"type":"ai_access","provider":"openai","models":["gpt-5*","o4"],"capabilities":["chat","embeddings"],
                "limits":{"requests":9}},{"type":"ai_access","provider":"anthropic","models":["*"],"capabilities":["chat"]},
                {"type":"ai_limits","budget_usd":"5.00"}]"#,
        );
        let expires_at = Timestamp::from_seconds(1);
        Terms { permissions: asked.permissions, limits: asked.limits, expires_at, ..Terms::default() }
    }

    fn asked(json: &str) -> Requested {
        Requested::from_authorization_details(json).unwrap()
    }

    #[test]
    fn fewer_models_of_one_provider_are_a_narrower_token() {
        let asked =
            asked(r#"[{"type":"ai_access","provider":"openai","models":["gpt-5-mini"],"capabilities":["chat"]}]"#);
        let narrowed = narrow(&granted(), &asked).unwrap().unwrap();
        assert_eq!(narrowed, asked.permissions);
        let told = serde_json::to_value(details(&granted(), Some(&narrowed), "https://b.example")).unwrap();
        assert_eq!(told[0]["limits"]["requests"], 9, "the limits of the grant bind it");
        assert_eq!(told[1], serde_json::json!({"type": "ai_limits", "budget_usd": "5.00"}));
    }

    #[test]
    fn a_narrower_entry_is_bound_by_the_limits_of_the_first_that_covers_it() {
        let narrowed = asked(
            r#"[{"type":"ai_access","provider":"anthropic","models":["claude-opus-5"],"capabilities":["chat"]},
                {"type":"ai_access","provider":"openai","models":["o4"],"capabilities":["chat"]}]"#,
        );
        let bound = bound(&granted().permissions, &narrowed.permissions);
        let found: Vec<_> =
            bound.iter().map(|(position, bound)| (*position, bound.limits.requests.is_some())).collect();
        assert_eq!(found, [(1, false), (0, true)]);
    }

    #[test]
    fn all_that_was_granted_is_no_narrowing() {
        let granted = granted();
        let all = Requested { permissions: granted.permissions.clone(), limits: granted.limits };
        assert_eq!(narrow(&granted, &all), Ok(None));
    }

    #[test]
    fn what_was_not_granted_is_refused() {
        for json in [
            r#"[{"type":"ai_access","provider":"openai","models":["*"],"capabilities":["chat"]}]"#,
            r#"[{"type":"ai_access","provider":"openai","models":["o4"],"capabilities":["images"]}]"#,
            r#"[{"type":"ai_access","provider":"anthropic","models":["claude-opus-5"],"capabilities":["server_tools"]}]"#,
        ] {
            assert_eq!(narrow(&granted(), &asked(json)), Err(NarrowingError::Wider { index: 0 }), "{json}");
        }
    }

    #[test]
    fn other_limits_are_refused_since_they_would_not_be_kept() {
        for json in [
            r#"[{"type":"ai_access","provider":"openai","models":["o4"],"capabilities":["chat"],"limits":{"requests":8}}]"#,
            r#"[{"type":"ai_access","provider":"openai","models":["o4"],"capabilities":["chat"]},{"type":"ai_limits","budget_usd":"1.00"}]"#,
        ] {
            assert_eq!(narrow(&granted(), &asked(json)), Err(NarrowingError::Limits), "{json}");
        }
    }

    proptest! {
        #[test]
        fn a_narrowed_token_allows_no_model_that_the_grant_does_not(pattern in "(gpt-5|gpt|o4|claude)[a-z0-9.-]{0,5}\\*?", model in "(gpt-5|gpt|o4)[a-z0-9.-]{0,5}") {
            let json = serde_json::json!([{"type":"ai_access","provider":"openai","models":[pattern],"capabilities":["chat"]}]);
            if let Ok(Some(narrowed)) = narrow(&granted(), &asked(&json.to_string())) {
                let allows = |permissions: &[Permission]| permissions.iter().any(|one| one.allows_model(&model));
                prop_assert!(!allows(&narrowed) || allows(&granted().permissions[..1]));
            }
        }
    }
}
