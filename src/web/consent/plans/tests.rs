use proptest::prelude::*;

use super::*;
use crate::domain::{consent::Usual, permission::Provider, policy::Policy};

/// Prices of a short question; what isn't named has none, as models have none that don't answer in text.
struct Book;

impl Prices for Book {
    fn price_of_chat(&self, _: Provider, model: &str, _: (u64, u64)) -> Option<NanoUsd> {
        match model {
            "small" => Some(NanoUsd(1_000_000)),
            "large" => Some(NanoUsd(30_000_000)),
            "claude" => Some(NanoUsd(10_000_000)),
            _ => None,
        }
    }
}

fn asked(json: &str) -> Requested {
    Requested::from_authorization_details(json).unwrap()
}

/// What `examples/demo` asks for, but for the names of its models.
const DEMO: &str = r#"[{"type":"ai_access","provider":"openai","models":["small","large*"],"capabilities":["chat"],
    "limits":{"budget_usd":"1.00","requests":50,"requests_per_minute":20}}]"#;

fn shown(requested: &Requested, as_asked: &Requested, most: Option<Amount>, language: Language) -> Vec<PlanView> {
    let offers = requested.offers(as_asked, None, most);
    let numbers = requested.proposed_numbers(None);
    let chosen = Requested::proposed(&offers).map_or(Plan::Custom, |offer| offer.plan);
    Basis { requested, numbers: &numbers, ceiling: most, prices: &Book, language }.plans(&offers, chosen)
}

fn words(plans: &[PlanView]) -> Vec<String> {
    let words = |plan: &PlanView| {
        let mark = if plan.chosen { "* " } else { "" };
        let buys = plan.buys.as_ref().map(|buys| format!(" ({buys})")).unwrap_or_default();
        format!("{mark}{}: {}{buys}", plan.label, plan.terms)
    };
    plans.iter().map(words).collect()
}

fn said(json: &str) -> Vec<String> {
    let asked = asked(json);
    words(&shown(&asked, &asked, None, Language::English))
}

#[test]
fn limits_that_the_app_named_for_its_provider_are_said_with_the_plan_that_is_chosen() {
    assert_eq!(
        said(DEMO),
        [
            "Try it: 1.00 USD in all, 50 requests, for 1 day (about 50 short questions with small, or 30 with large)",
            "* As the app asked: 1.00 USD in all, 50 requests, for 7 days (about 50 short questions with small, or 30 with large)",
        ]
    );
    let asked = asked(DEMO);
    assert_eq!(
        words(&shown(&asked, &asked, None, Language::Korean))[1],
        "* As the app asked: 전체 기간 1.00 USD, 요청 50번, 7일 동안 (짧은 질문 약 50번(small 기준) 또는 약 30번(large 기준))"
    );
}

#[test]
fn of_several_providers_the_sum_is_said_and_each_model_counts_against_its_own_limit() {
    let json = r#"[{"type":"ai_access","provider":"openai","models":["small"],"capabilities":["chat"],"limits":{"budget_usd":"2"}},
        {"type":"ai_access","provider":"anthropic","models":["claude"],"capabilities":["chat"],"limits":{"budget_usd":"10"}}]"#;
    assert_eq!(
        said(json),
        [
            "Try it: 1.00 USD in all, for 1 day (about 1,000 short questions with small, or 100 with claude)",
            "A week: 5.00 USD in all, for 7 days (about 2,000 short questions with small, or 500 with claude)",
            "* As the app asked: 12.00 USD in all, for 7 days (about 2,000 short questions with small, or 1,000 with claude)",
        ]
    );
}

#[test]
fn budgets_for_different_periods_are_said_with_their_providers() {
    let json = r#"[{"type":"ai_access","provider":"openai","models":["small"],"capabilities":["chat"],
            "limits":{"budget_usd":"1","budget_period":"day"}},
        {"type":"ai_access","provider":"anthropic","models":["claude"],"capabilities":["chat"],"limits":{"budget_usd":"10"}}]"#;
    assert_eq!(
        said(json)[2],
        "* As the app asked: 1.00 USD per day with OpenAI, 10.00 USD in all with Anthropic, for 7 days \
         (each day about 1,000 short questions with small, or about 1,000 short questions with claude)"
    );
}

#[test]
fn an_app_that_named_no_limit_is_offered_those_of_the_broker() {
    assert_eq!(
        said(r#"[{"type":"ai_access","provider":"openai","models":["small"],"capabilities":["chat"]}]"#),
        [
            "Try it: 1.00 USD in all, for 1 day (about 1,000 short questions with small)",
            "* A week: 5.00 USD in all, for 7 days (about 5,000 short questions with small)",
        ]
    );
}

#[test]
fn models_that_answer_no_questions_are_in_no_estimate() {
    let json = r#"[{"type":"ai_access","provider":"openai","models":["picture","small","vector*"],"capabilities":["chat","images"]}]"#;
    assert!(said(json).iter().all(|plan| plan.ends_with("short questions with small)")));
    let none = said(r#"[{"type":"ai_access","provider":"openai","models":["small"],"capabilities":["images"]}]"#);
    assert!(none.iter().all(|plan| !plan.contains("questions")), "{none:?}");
}

#[test]
fn where_requests_are_what_runs_out_no_model_is_better_than_another() {
    let json = DEMO.replace(r#""requests":50"#, r#""requests":20"#);
    assert!(said(&json).iter().all(|plan| plan.ends_with("(about 20 short questions)")));
}

#[test]
fn what_the_operator_allows_is_what_the_plans_come_to() {
    let as_asked = asked(&DEMO.replace(r#""budget_usd":"1.00""#, r#""budget_usd":"9.00""#));
    let most: Option<Amount> = "0.5".parse().ok();
    let left = Policy { max_per_grant: most, ..Policy::default() }.narrow(&as_asked).unwrap();
    let plans = shown(&left, &as_asked, most, Language::English);
    let terms: Vec<&str> = plans.iter().map(|plan| plan.terms.as_str()).collect();
    assert_eq!(terms, ["0.50 USD in all, 50 requests, for 1 day", "0.50 USD in all, 50 requests, for 7 days"]);
    assert_eq!(plans[1].is_lowered, Some("less than the app asked: your operator allows no more"));
}

#[test]
fn every_label_and_reason_has_its_korean() {
    let asked = asked(
        r#"[{"type":"ai_access","provider":"openai","models":["small"],"capabilities":["chat"]},
        {"type":"ai_limits","budget_usd":"9"}]"#,
    );
    let usual = Usual { limits: Limits { budget_usd: "7".parse().ok(), ..Limits::NONE }, lifetime_seconds: 3600 };
    let most = "6".parse().ok();
    let left = Policy { max_per_grant: most, ..Policy::default() }.narrow(&asked).unwrap();
    let offers = left.offers(&asked, Some(&usual), most);
    let numbers = left.proposed_numbers(Some(&usual));
    let basis = Basis { requested: &left, numbers: &numbers, ceiling: most, prices: &Book, language: Language::Korean };
    let plans = basis.plans(&offers, Plan::Usual);
    assert_eq!(plans.len(), 4);
    for text in plans.iter().map(|plan| plan.label).chain(plans.iter().filter_map(|plan| plan.is_lowered)) {
        assert_ne!(Language::Korean.t(text), text);
    }
}

proptest! {
    #[test]
    fn no_plan_promises_more_questions_than_the_app_asked_for_requests(
        cents in 1_u64..100_000, requests in 1_u64..5_000, period in prop::sample::select(vec!["total", "month", "day"]),
    ) {
        let limits = format!(r#""budget_usd":"{}.{:02}","budget_period":"{period}","requests":{requests},"#, cents / 100, cents % 100);
        let json = DEMO.replace(r#""budget_usd":"1.00","requests":50,"#, &limits);
        for plan in said(&json) {
            let Some((_, buys)) = plan.split_once("about ") else { continue };
            let count: u64 = buys.split(' ').next().unwrap().replace(',', "").parse().unwrap();
            prop_assert!(count <= requests, "{plan}");
        }
    }
}
