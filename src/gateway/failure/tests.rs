use super::*;

#[test]
fn an_answer_that_was_written_and_kept_back_may_be_billed() {
    for message in [
        "Output blocked by content filtering policy",
        "Could not finish the message because max_tokens or model output limit was reached. Please try again with higher max_tokens.",
    ] {
        let body = serde_json::json!({ "error": { "type": "invalid_request_error", "message": message } });
        assert_eq!(is_billed(400, Some(&body.to_string())), Billed::Unknown, "{message}");
    }
    let usual = r#"{"error":{"type":"invalid_request_error","message":"max_tokens: Field required"}}"#;
    assert_eq!(is_billed(400, Some(usual)), Billed::ACall);
    assert_eq!(is_billed(400, None), Billed::ACall);
}

#[test]
fn a_reason_that_a_person_is_told_is_the_code_that_the_app_was_told() {
    let limit = Limit { scope: Scope::Grant, allowed: 1 };
    let shortage = |of| Shortage { limit, of, needed: 1, remaining: 0, fitting_output_tokens: None, resets_at: None };
    let of_each = [Resource::Budget(Period::Total), Resource::Tokens].map(shortage);
    let at = Timestamp::default();
    let mut refusals = vec![
        Refusal::Paused,
        Refusal::ProviderNotGranted,
        Refusal::ModelNotGranted("m".to_owned()),
        Refusal::CapabilityNotGranted(crate::domain::permission::Capability::Chat),
        Refusal::PriceUnknown("p".to_owned()),
        Refusal::TooManyTools(128),
        Refusal::RequestsExhausted(limit),
        Refusal::RequestsHeld(limit),
        Refusal::RateLimited { limit, resets_at: at, retry_after_seconds: 1 },
        Refusal::ConcurrencyExceeded(limit),
    ];
    refusals.extend(of_each.map(Refusal::DoesNotFit));
    refusals.extend(of_each.map(Refusal::RoomHeld));
    let mut seen: Vec<Reason> = Vec::new();
    for refusal in refusals {
        let reason = Reason::of(&refusal).unwrap();
        assert_eq!(reason.as_str(), Failure::Refused(refusal).code().as_str());
        seen.push(reason);
    }
    for failure in [
        Failure::EndpointNotGranted { covered: String::new() },
        Failure::FieldNotAllowed { field: String::new(), reason: "" },
        Failure::InvalidRequest(String::new()),
        Failure::BodyTooLarge,
        Failure::ProviderNotConfigured(Provider::OpenAi),
    ] {
        let reason = failure.reason_before_the_ledger().unwrap();
        assert_eq!(reason.as_str(), failure.code().as_str());
        seen.push(reason);
    }
    for refusal in [
        Refusal::ProviderNotGranted,
        Refusal::ModelNotGranted("m".to_owned()),
        Refusal::DoesNotFit(of_each[0]),
        Refusal::RoomHeld(of_each[0]),
    ] {
        let reason = Reason::of_account(&refusal).unwrap();
        assert_eq!(reason.as_str(), Failure::NotAllowed(refusal).code().as_str());
        seen.push(reason);
    }
    // `ended` is told to nobody but the person: to the app it is an invalid token.
    assert_eq!(seen.len() + 1, Reason::ALL.len());
}

#[test]
fn a_delegation_that_has_ended_is_answered_as_a_grant_that_has() {
    for refusal in [Refusal::NoSuchDelegation, Refusal::Revoked, Refusal::Expired] {
        let failure = Failure::Refused(refusal);
        assert_eq!(failure.code(), FailureCode::InvalidToken);
        assert_eq!(failure.message(), Failure::InvalidToken.message());
    }
}

#[test]
fn a_proof_that_is_not_accepted_is_a_401_with_the_code_of_rfc_9449() {
    let floor = Timestamp::from_seconds(5);
    for (refusal, code) in
        [(Refusal::ProofReplayed, "invalid_dpop_proof"), (Refusal::ProofTooOld { floor }, "use_dpop_nonce")]
    {
        let failure = Failure::Refused(refusal);
        assert_eq!((failure.code().status(), failure.code().as_str()), (401, code));
        assert_eq!(failure.retry_after_seconds(), None);
    }
}

#[test]
fn too_many_tools_are_the_fault_of_the_call_and_the_message_says_how_many_may_be_sent() {
    for failure in [Failure::Refused(Refusal::TooManyTools(128)), Failure::NotAllowed(Refusal::TooManyTools(128))] {
        assert_eq!((failure.code().status(), failure.code().as_str()), (400, "too_many_tools"));
        assert!(failure.message().ends_with("; send at most 128 of those"), "{}", failure.message());
        assert_eq!(failure.retry_after_seconds(), None);
    }
}
