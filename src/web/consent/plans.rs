//! Limits to choose from: what each plan comes to, and what that roughly buys.

use core::cmp::Reverse;

use crate::{
    domain::{
        authorization_details::Requested,
        consent::{Most, MostMoney, Offer, Plan, QUESTION_TOKENS, Questions},
        limits::{Limits, Period},
        money::{Amount, NanoUsd},
        permission::{Capability, Permission},
    },
    web::{
        format::{self, thousands},
        language::Language,
        ports::Prices,
    },
};

/// Limits to choose.
#[derive(Debug)]
pub struct PlanView {
    /// The value of the form field.
    pub value: &'static str,
    /// Its name: a text of the tables.
    pub label: &'static str,
    /// The money, calls and time of the plan, in words.
    pub terms: String,
    /// The short questions that the plan roughly pays for, where prices are known.
    pub buys: Option<String>,
    /// Whether the plan is preselected.
    pub chosen: bool,
    /// Whether it is less than what the person chose before, or than what the app asked, and why: a text of the tables.
    pub is_lowered: Option<&'static str>,
}

/// What the plans are worked out from.
#[derive(Clone, Copy, Debug)]
pub struct Basis<'a, P> {
    /// The request, narrowed to what the person may grant.
    pub requested: &'a Requested,
    /// The limits over everything, but for money, that hold whichever plan is chosen.
    pub numbers: &'a Limits,
    /// What the operator allows for a grant, where they say so.
    pub ceiling: Option<Amount>,
    /// What models cost.
    pub prices: &'a P,
    /// The language of the page.
    pub language: Language,
}

impl<P: Prices> Basis<'_, P> {
    /// Each offer as it is shown.
    pub fn plans(&self, offers: &[Offer], chosen: Plan) -> Vec<PlanView> {
        let models = self.chat_models();
        offers.iter().map(|offer| self.plan(offer, offer.plan == chosen, &models)).collect()
    }

    fn plan(&self, offer: &Offer, chosen: bool, models: &[ChatModel<'_>]) -> PlanView {
        let limits = offer.money.or(*self.numbers);
        let most = self.requested.most(&limits, self.ceiling);
        PlanView {
            value: offer.plan.as_str(),
            label: match offer.plan {
                Plan::Usual => "Your usual limits",
                Plan::Try => "Try it",
                Plan::Week => "A week",
                Plan::Asked => "As the app asked",
                Plan::Custom => "Your own limits",
            },
            terms: self.language.with(
                "{0}, for {1}",
                &[
                    &most_in_words(&most.in_a_life_of(offer.lifetime_seconds), self.language).join(", "),
                    &format::lifetime(offer.lifetime_seconds, self.language),
                ],
            ),
            buys: self.buys(&limits, offer.lifetime_seconds, models),
            chosen,
            is_lowered: offer.is_lowered.then_some(match offer.plan {
                Plan::Asked => "less than the app asked: your operator allows no more",
                _ => "less than you chose before: your operator allows no more",
            }),
        }
    }

    /// The models that answer questions, as far as their price is known. Of a family, the model that it is named after.
    fn chat_models(&self) -> Vec<ChatModel<'_>> {
        let chats = self.requested.permissions.iter().filter(|asked| asked.capabilities.contains(&Capability::Chat));
        let named =
            chats.flat_map(|permission| permission.models.iter().map(move |model| (permission, model.as_str())));
        let priced = named.filter_map(|(permission, model)| {
            let name = model.trim_end_matches('*');
            let cost = self.prices.price_of_chat(permission.provider, name, QUESTION_TOKENS)?;
            Some(ChatModel { permission, name, cost })
        });
        priced.collect()
    }

    /// With the model that answers most questions, and with the one that answers fewest.
    fn buys(&self, limits: &Limits, lifetime_seconds: u64, models: &[ChatModel<'_>]) -> Option<String> {
        let Self { ceiling, language, .. } = *self;
        let fit = |model: &ChatModel<'_>| {
            let most = Most::of(limits, core::slice::from_ref(model.permission), ceiling);
            Questions::that_fit(&most, model.cost, lifetime_seconds)
        };
        let mut counted: Vec<(Questions, &str)> =
            models.iter().filter_map(|model| Some((fit(model)?, model.name))).collect();
        counted.sort_by_key(|(questions, name)| (Reverse(questions.in_all), *name));
        let ((most, cheapest), (fewest, dearest)) = (*counted.first()?, *counted.last()?);
        let (many, few) = (thousands(most.count), thousands(fewest.count));
        let each = |of: Period, text: String| match of {
            Period::Total => text,
            Period::Month => language.with("each month {0}", &[&text]),
            Period::Day => language.with("each day {0}", &[&text]),
        };
        let one = |(questions, count, model): (Questions, &String, &str)| {
            each(questions.each, language.with("about {0} short questions with {1}", &[count, &model]))
        };
        Some(if cheapest == dearest {
            one((fewest, &few, dearest))
        } else if (most.count, most.each) == (fewest.count, fewest.each) {
            each(most.each, language.with("about {0} short questions", &[&many]))
        } else if most.each == fewest.each {
            let texts: [&dyn core::fmt::Display; 4] = [&many, &cheapest, &few, &dearest];
            each(most.each, language.with("about {0} short questions with {1}, or {2} with {3}", &texts))
        } else {
            language.with("{0}, or {1}", &[&one((most, &many, cheapest)), &one((fewest, &few, dearest))])
        })
    }
}

/// A model that answers questions.
struct ChatModel<'a> {
    permission: &'a Permission,
    name: &'a str,
    /// The price of a short question.
    cost: NanoUsd,
}

/// Limits that are used up, in words, one each: `1.00 USD in all`, `50 requests`.
pub fn most_in_words(most: &Most, language: Language) -> Vec<String> {
    let mut words: Vec<String> = match &most.money {
        MostMoney::Together(budgets) => {
            budgets.iter().map(|budget| format::per(budget.amount, budget.period, language)).collect()
        }
        MostMoney::Each(budgets) => budgets
            .iter()
            .map(|(provider, budget)| {
                let money = format::per(budget.amount, budget.period, language);
                language.with("{0} with {1}", &[&money, &provider.display_name()])
            })
            .collect(),
        MostMoney::Open => vec![language.t("no money limit").to_owned()],
    };
    words.extend(most.requests.map(|most| language.count(most.get(), "{0} request", "{0} requests")));
    words.extend(most.tokens.map(|most| language.count(most.get(), "{0} token", "{0} tokens")));
    words
}

#[cfg(test)]
mod tests;
